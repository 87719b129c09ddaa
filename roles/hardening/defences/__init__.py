"""The operating system's defences, a module a subject."""

from roles.defence import Defence
from roles.hardening.defences import (
    accounts,
    boot,
    declared,
    files,
    kernel,
    logins,
    logs,
    mounts,
    network,
    passwords,
    software,
    ssh,
)

DEFENCES: tuple[Defence, ...] = (
    *network.DEFENCES,
    *kernel.DEFENCES,
    *mounts.DEFENCES,
    *ssh.DEFENCES,
    *accounts.DEFENCES,
    *passwords.DEFENCES,
    *logins.DEFENCES,
    *files.DEFENCES,
    *software.DEFENCES,
    *declared.DEFENCES,
    *boot.DEFENCES,
    *logs.DEFENCES,
)
