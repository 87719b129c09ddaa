"""The one error that says an administrator's setting is wrong."""


class SettingError(ValueError):
    """A setting that cannot be used; the text names the setting and the remedy."""


def explained(text: str, fields: tuple[str, ...]) -> str:
    """Turn msgspec's words into ours: which setting, and where the list of settings is."""
    return (
        f"inventory data: {text.replace('Object', 'the gateway')}; "
        f"docs/settings.md explains each setting, known names are: {', '.join(fields)}"
    )
