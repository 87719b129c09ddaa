"""Put the operating system's defences on a host."""

from roles.hardening.defences import DEFENCES
from roles.kinds import InterfaceSysctl, SshdOption, Sysctl
from roles.operations import converged, files_owned, layer, packages_installed, unit_current
from roles.platforms import Platform
from roles.rendering import OwnedFile, lines, rendered
from roles.settings import Gateway

SYSCTL_FILE = "/etc/sysctl.d/90-bastide.conf"
# sshd takes the first value that it reads, and reads these in the order of their names.
SSHD_FILE = "/etc/ssh/sshd_config.d/00-bastide.conf"


@layer("Hardening")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Set kernel parameters and sshd's options; neither ends a session that is open."""
    packages_installed(name="Install what hardening configures", packages=platform.packages["hardening"])
    sysctls = [*lines(DEFENCES, Sysctl, gateway), *lines(DEFENCES, InterfaceSysctl, gateway)]
    files_owned(
        name="Write the kernel parameters",
        files=[
            OwnedFile(
                path=SYSCTL_FILE, content=rendered("hardening", "sysctl.conf.j2", gateway, sysctls=sysctls)
            )
        ],
    )
    wanted = [
        setting
        for defence in DEFENCES
        for setting in defence.sets
        if isinstance(setting, Sysctl | InterfaceSysctl)
    ]
    converged(
        name="Set the kernel parameters",
        question="; ".join(setting.question(gateway) for setting in wanted),
        wanted="\n".join(setting.wanted(gateway) for setting in wanted),
        remedy=f"sysctl --quiet --load={SYSCTL_FILE}",
    )
    files_owned(
        name="Write sshd's options",
        files=[
            OwnedFile(
                path=SSHD_FILE,
                content=rendered(
                    "hardening", "sshd.conf.j2", gateway, options=list(lines(DEFENCES, SshdOption, gateway))
                ),
                mode="600",
            )
        ],
        check=f"mkdir -p /run/sshd; sshd -t -f $stage{SSHD_FILE}",
    )
    unit_current(name="Run sshd with its options", unit="ssh.service", files=(SSHD_FILE,), on_change="reload")
