"""The one error that says why the lab cannot do what was asked."""


class LabError(Exception):
    """The lab cannot go on; the text says what is wrong and how to remedy it, in one sentence."""
