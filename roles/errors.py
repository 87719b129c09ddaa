"""The one error that says an administrator's setting is wrong."""


class SettingError(ValueError):
    """A setting that cannot be used; the text names the setting and the remedy."""


def explained(text: str, fields: tuple[str, ...]) -> str:
    """Turn msgspec's words into ours: which setting, and where the list of settings is; of an unknown one, also the known ones."""
    if " - at `$" in text:
        return f"inventory data: {text.replace('Object', 'it')}; docs/settings.md explains each setting"
    said = text.replace("Object", "the gateway")
    return f"inventory data: {said}; docs/settings.md explains each setting, known names are: {', '.join(fields)}"
