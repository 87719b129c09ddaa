"""Why the audit, or one probe of it, came to no sight."""


class AuditError(Exception):
    """The audit could not run: one sentence that names what is wrong and the remedy."""


class UnseenError(Exception):
    """A claim could not be looked at, for want of a vantage or a privilege; the text says which."""


class NoSightError(Exception):
    """The probe ran, but never came to see what the claim is about; the text says what happened instead."""
