"""The audit's way to the inventory: the same file that pyinfra deploys from."""

from audit.errors import AuditError
from audit.target import Target
from roles.errors import SettingError
from roles.inventory import hosts_of


def targets(inventory: str, only: frozenset[str] = frozenset()) -> list[Target]:
    """Return the hosts of an inventory, all or those named in ``only``.

    Raises AuditError for an inventory that cannot be read, holds no host, or lacks a host of ``only``: to audit
    nothing must never look like success.
    """
    try:
        hosts = hosts_of(inventory)
    except SettingError as error:
        raise AuditError(str(error)) from error
    for name in sorted(only - hosts.keys()):
        raise AuditError(f"{inventory}: no host {name!r}; it holds: {', '.join(hosts)}")
    return [Target.of(name, data) for name, data in hosts.items() if not only or name in only]
