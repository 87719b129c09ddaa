"""Why a scan came to no figure."""

from audit.errors import AuditError


class ScanError(AuditError):
    """A scanner could not run, or ended without a result: one sentence that names it, the host and the remedy."""
