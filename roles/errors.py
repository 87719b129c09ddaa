"""The one error that says an administrator's setting is wrong."""


class SettingError(ValueError):
    """A setting that cannot be used; the text names the setting and the remedy."""
