"""What belongs to the machine below the gateway: its console, disks, and what of it was there before a deploy came."""

from roles.hardening.defences.declared import INSTALLED, STARTED
from roles.hardening.homes import NOT_THEIRS
from roles.hardening.settings import LEVELS
from roles.kinds import HostAnswer, Listeners
from roles.kinds.base import IN_CONTAINER
from roles.platforms import row
from roles.settings import Gateway
from roles.tasks.task import Task

# Where one full directory stops the mail or the log, or where anybody may write.
_SEPARATE = ("/home", "/tmp", "/var", "/var/log", "/var/tmp")  # noqa: S108 - the directories that are asked for


def _root_locked(gateway: Gateway) -> bool:
    return LEVELS.index(gateway.hardening_level) >= LEVELS.index("moderate")


def _declared_at(gateway: Gateway) -> bool:
    return "hardening.declared-packages" not in row(gateway).lacks


TASKS = (
    Task(
        id="machine.grub-password",
        title="The boot loader asks for a password before it changes an entry",
        why="Who is at the console otherwise boots a shell of root's, before any defence runs.",
        how="Run `grub-mkpasswd-pbkdf2`, put what it prints into `hardening.grub_password`, and deploy.",
        settled=lambda gateway: bool(gateway.hardening.grub_password),
        defence="hardening.grub-password",
    ),
    Task(
        id="machine.console",
        title="The console, the firmware and the provider's panel are locked",
        why="Who boots another medium, or opens the hypervisor's console, is past all that runs on the machine.",
        how="Set a firmware password and boot from the system disk alone; guard the provider's or hypervisor's account by a second "
        "factor; lock the room.",
    ),
    Task(
        id="machine.way-back",
        title="There is another way in when ssh has none",
        why="root has no password at this level, so rescue mode lets nobody in.",
        how="Keep a rescue medium or the provider's rescue system at hand, try it once, and take a snapshot before each upgrade.",
        when=_root_locked,
    ),
    Task(
        id="machine.partitions",
        title="What fills up or is written by all has file systems of its own",
        why="A full /var/log must not stop the queue, and options such as noexec hold for a whole file system.",
        how=f"Install the machine with {', '.join(_SEPARATE)} on partitions or volumes of their own; a deploy moves none.",
        asks=HostAnswer(
            subject="directories without a file system of their own",
            command=f"for d in {' '.join(_SEPARATE)}; do mountpoint -q $d || echo $d; done",
            matches="",
            refuted_by="/var/log",
            needs="mounts",
        ),
    ),
    Task(
        id="machine.encryption",
        title="The disk is encrypted",
        why="A disk that is returned, stolen or copied from below holds all mail that was kept, and all keys.",
        how="Install the machine on LUKS (cryptsetup(8)); kept mail alone is encrypted by `filterd_store_encrypted`.",
        asks=HostAnswer(
            subject="kinds of devices below the root file system",
            command='lsblk --noheadings --inverse --output TYPE "$(findmnt --noheadings --nofsroot --output SOURCE /)" | '
            "sort -u | tr '\\n' ' '",
            matches=r"(.* )?crypt( .*)?",
            refuted_by="disk part",
            needs="mounts",
        ),
    ),
    Task(
        id="machine.listeners",
        title="Nothing listens but what is declared",
        why="What listens beside the gateway's own services was there before: the packet filter closes its port, and it stays a "
        "program that nobody needs.",
        how="For each port that is named: `ss -ltnup` on the host says whose it is; `systemctl disable --now UNIT`, or remove its package.",
        asks=Listeners(others_only=True),
        defence="firewall.agreement",
    ),
    Task(
        id="machine.packages",
        title="Each package of your own is declared",
        why="What a machine had before a deploy came, or got since, is kept new and remembered by nobody but you.",
        how="For each package that is named: remove it, or write it with your reason into `hardening.packages`; `apt-cache rdepends "
        "--installed PACKAGE` says what needs it.",
        asks=INSTALLED,
        when=_declared_at,
        defence="hardening.declared-packages",
    ),
    Task(
        id="machine.units",
        title="Each unit of your own that starts by itself is declared",
        why="A unit that no package brought and nobody knows may be how somebody comes back after a reboot.",
        how="For each unit that is named: `systemctl cat UNIT` says what it runs; `systemctl disable --now UNIT`, or write it with your "
        "reason into `hardening.units`.",
        asks=STARTED,
        when=_declared_at,
        defence="hardening.declared-units",
    ),
    Task(
        id="machine.passwords",
        title="No account has a password that nobody needs",
        why="A deploy takes away none but root's and those of daemons: whose it is, and whether sudo wants it, only you know.",
        how="For each account that is named: `passwd --lock NAME` unless its owner needs it for sudo; `userdel NAME` if it is nobody's.",
        asks=HostAnswer(
            subject="accounts with a password",
            command="awk -F: '$2 ~ /^\\$/ || length($2) == 13 { print $1 }' /etc/shadow | tr '\\n' ' '",
            matches="",
            refuted_by="alice",
        ),
    ),
    Task(
        id="machine.homes",
        title="No home directory is another's too",
        why="A home that is root's, a daemon's or the system's cannot be shut for one account, so what lies there is open to all.",
        how="For each directory that is named: `grep :DIRECTORY: /etc/passwd` says who is at home there. Give that one a directory "
        "of his own (`usermod --home DIRECTORY --move-home NAME`), or leave it where it is meant, as a chroot of sftp's is.",
        asks=HostAnswer(
            subject="homes that are not their account's alone and that others can enter",
            command=NOT_THEIRS,
            matches="",
            refuted_by="/srv",
        ),
    ),
    Task(
        id="machine.keys",
        title="Each ssh key that opens the host is somebody's who still may",
        why="Keys of people who left, and of the machine that installed this one, open it for ever.",
        how="Look through /root/.ssh/authorized_keys and that of each account in the groups of `hardening.ssh_groups`; take out what "
        "is nobody's.",
    ),
    Task(
        id="machine.leftovers",
        title="No removed package has left its configuration behind",
        why="What is of no use is read by nobody, until a later installation takes it up again.",
        how="`dpkg --list | grep ^rc` names them; keep what you need of their files, then `dpkg --purge NAME`. Under EL these are the "
        "files below /etc that end in .rpmsave: remove them.",
        asks=HostAnswer(
            subject="packages of which only the configuration is there",
            command=lambda gateway: row(gateway).manager.left_behind(),
            matches="",
            refuted_by="exim4-base",
        ),
    ),
    Task(
        id="machine.upgrades",
        title="No upgrade of an installed package waits",
        why="A flaw that everybody can read about is the one that is tried.",
        how="`apt-get update && apt-get upgrade`, under EL `dnf upgrade`, on the host, then `.venv/bin/python -m audit INVENTORY`. "
        "What waits is counted by the lists as they are there: how old they are `ls -l /var/lib/apt/lists` says.",
        asks=HostAnswer(
            subject="upgrades that wait",
            command=lambda gateway: row(gateway).manager.upgrades(),
            matches="0",
            refuted_by="3",
        ),
    ),
    Task(
        id="machine.reboot",
        title="The kernel that runs is the newest that is installed",
        why="An upgraded kernel protects from the next start on.",
        how="Reboot the host at a quiet hour; mail waits at its senders meanwhile.",
        asks=HostAnswer(
            subject="a newer kernel than the one that runs",
            command=f"if {IN_CONTAINER}; then exit 0; fi; n=$(ls -1v /boot/vmlinuz-* | tail -n 1); "
            '[ "${n#/boot/vmlinuz-}" = "$(uname -r)" ] || echo "${n#/boot/vmlinuz-}"',
            matches="",
            refuted_by="6.1.0-99-amd64",
            needs="kernel",
        ),
    ),
    Task(
        id="machine.kept-packages",
        title="No package is kept that the gateway has no use for",
        why="Each one is a way in, and stays for what else the host does.",
        how="Move what needs the packages of `hardening.keep_packages` to another host, then take their names out and deploy.",
        settled=lambda gateway: not gateway.hardening.keep_packages,
        defence="hardening.no-other-services",
    ),
)
