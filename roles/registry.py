"""The registry: every defence of every layer, outermost layer first."""

from roles.clamav.defences import DEFENCES as CLAMAV
from roles.defence import Defence
from roles.dns.defences import DEFENCES as DNS
from roles.filterd.defences import DEFENCES as FILTERD
from roles.firewall.defences import DEFENCES as FIREWALL
from roles.hardening.defences import DEFENCES as HARDENING
from roles.integrity.defences import DEFENCES as INTEGRITY
from roles.mta.defences import DEFENCES as MTA
from roles.reports.defences import DEFENCES as REPORTS
from roles.sandbox.defences import DEFENCES as SANDBOX
from roles.spamassassin.defences import DEFENCES as SPAMASSASSIN
from roles.updates.defences import DEFENCES as UPDATES

LAYERS: tuple[tuple[str, tuple[Defence, ...]], ...] = (
    ("firewall", FIREWALL),
    ("hardening", HARDENING),
    ("sandbox", SANDBOX),
    ("dns", DNS),
    ("mta", MTA),
    ("clamav", CLAMAV),
    ("spamassassin", SPAMASSASSIN),
    ("filterd", FILTERD),
    ("reports", REPORTS),
    ("updates", UPDATES),
    ("integrity", INTEGRITY),
)


def _registered() -> tuple[Defence, ...]:
    """Return all defences; ValueError for an id given twice or standing in another layer's file."""
    seen: dict[str, Defence] = {}
    for layer, defences in LAYERS:
        for defence in defences:
            if defence.id in seen:
                raise ValueError(f"defence {defence.id!r} is defined twice")
            if defence.layer != layer:
                raise ValueError(f"defence {defence.id!r} stands in the file of layer {layer!r}")
            seen[defence.id] = defence
    return tuple(seen.values())


DEFENCES: tuple[Defence, ...] = _registered()
