"""Booting: what somebody at the console can do without a login."""

from roles.defence import Defence
from roles.hardening.paths import GRUB_USERS, GRUB_WRAPPED
from roles.kinds import FileMode, HostAnswer, HostState

# Entries are told by their identifiers, which no language changes; those of recovery end in a shell of root's.
_MENU = """awk '/^set superusers="root"$/ { s = 1 } /^password_pbkdf2 root / { p = 1 }
!/^[ \\t]*(menuentry|submenu) / { next } { free = / --unrestricted / } /^[ \\t]*menuentry / { n++ }
/(gnulinux-simple-|-advanced-)/ { if (!free) print; next } free && /-recovery-/ { print }
END { if (!s || !p) print "no password"; if (!n) print "no entries" }'"""
_CONSOLE = "It takes somebody at the console."

DEFENCES = (
    Defence(
        id="hardening.no-console-reboot",
        title="Keys at the console do not restart the machine",
        why="Ctrl-Alt-Del needs no login; a gateway that is restarted over and over is off.",
        rows=("H09",),
        sets=(
            HostState(
                subject="state of ctrl-alt-del.target",
                command="systemctl is-enabled ctrl-alt-del.target || true",
                value="masked",
                remedy="systemctl --quiet mask ctrl-alt-del.target",
            ),
            HostAnswer(
                subject="what seven presses of Ctrl-Alt-Del do",
                command="systemd-analyze cat-config systemd/system.conf | sed -n 's/^CtrlAltDelBurstAction=//p' | tail -n 1",
                matches="none",
                refuted_by="reboot-force",
            ),
        ),
        unseen=_CONSOLE,
        weight=3,
    ),
    Defence(
        id="hardening.rescue-asks",
        title="Rescue and emergency mode ask for root's password",
        why="One word on the kernel's command line starts them; a shell without a question would be root for the taking.",
        rows=("H09",),
        sets=(
            HostAnswer(
                subject="shells that rescue and emergency mode start",
                command="systemctl show --property ExecStart rescue.service emergency.service | "
                "grep -o 'path=[^ ;]*' | sort -u",
                matches="path=(?:/usr)?/lib/systemd/systemd-sulogin-shell",
                refuted_by="path=/bin/bash",
            ),
            HostAnswer(
                subject="what lets them in without a password",
                command="{ systemctl show --property Environment rescue.service emergency.service; "
                "systemctl is-enabled debug-shell.service; } | grep -cE 'SULOGIN_FORCE|^enabled' || true",
                matches="0",
                refuted_by="1",
            ),
        ),
        unseen=_CONSOLE,
        weight=3,
    ),
    Defence(
        id="hardening.grub-password",
        title="The boot loader starts its entries unattended, and changes none without a password",
        why="One more word on the kernel's command line gives a shell of root's before any of these defences runs.",
        rows=("H09",),
        sets=(
            FileMode(path=GRUB_USERS, mode="700"),
            HostState(
                subject="entries of the boot menu that only the password starts, or that it does not protect",
                command=f"{_MENU} /boot/grub/grub.cfg",
                value="",
                # grub-mkconfig(8) runs what is executable; an override outlives an upgrade of the package.
                remedy=f"dpkg-statoverride --list {GRUB_WRAPPED} >/dev/null || "
                f"dpkg-statoverride --update --add root root 0644 {GRUB_WRAPPED}; update-grub",
                needs="boot",
            ),
        ),
        unseen=_CONSOLE,
        when=lambda gateway: bool(gateway.hardening.grub_password),
        level="moderate",
        cost="To change an entry at the console, or to start a recovery entry, takes the password.",
        weight=3,
    ),
)
