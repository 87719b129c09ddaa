"""Errors that say who erred; none of their texts is shown to an SMTP client."""


class FilterdError(Exception):
    """Base of all errors of this package."""


class ProtocolError(FilterdError):
    """The MTA broke the milter protocol, or offers less than this filter needs."""


class ReplyError(FilterdError):
    """Our own code asked for a milter reply that is not allowed here, or whose text is not safe to send."""


class ConfigError(FilterdError):
    """The configuration cannot be used; the text names the file, the setting and the remedy."""


class UsageError(FilterdError):
    """What was asked for makes no sense; the text says what would."""


class ScannerError(FilterdError):
    """An engine gave no verdict that can be relied on: the message counts as not inspected."""


class ScannerDownError(ScannerError):
    """An engine could not be reached, hung up or did not answer in time."""


class ScannerAnswerError(ScannerError):
    """An engine answered something that is neither "clean" nor a finding."""
