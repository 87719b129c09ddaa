"""The Debian sources of this machine, so that the lab downloads from where this machine does.

Pure: text in, text out. Both forms of sources.list(5) are understood, one-line and deb822.
"""

import re
from collections.abc import Iterable

from lab.platforms import PLATFORMS

# The releases that the lab builds. Other vendors use the same suite names, but none of them has a component called main
# that is not Debian's own.
_RELEASES = tuple(platform.suite for platform in PLATFORMS.values())
_PARTS = ("", "-updates", "-security")
_SUITES = frozenset(f"{release}{part}" for release in _RELEASES for part in _PARTS)
_COMPONENT = "main"

_ONE_LINE = re.compile(r"deb\s+(?P<options>\[[^\]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)")


def debian_sources(files: Iterable[tuple[str, str]], suite: str) -> str:
    """Return this machine's entries for a release of Debian as one deb822 file, or "" if it has none that serve.

    ``files`` are (name, text) of sources.list and of the files in sources.list.d. Only the component main is taken.
    A machine that has no entries for the release is likely to run another: where that one comes from, this one is too.
    """
    stanzas = []
    for name, text in files:
        if name.endswith(".sources"):
            stanzas += [found for stanza in re.split(r"\n\s*\n", text) if (found := _from_deb822(stanza))]
        elif name.endswith(".list"):
            stanzas += [found for line in text.splitlines() if (found := _from_one_line(line.strip()))]
    there = {name for stanza in stanzas for name in stanza["Suites"].split()}
    serving = next((release for release in (suite, *_RELEASES) if release in there), None)
    if serving is None:
        return ""
    kept = [own for stanza in stanzas if (own := _renamed(stanza, serving, suite))]
    return "\n".join("".join(f"{key}: {value}\n" for key, value in stanza.items()) for stanza in kept)


def _renamed(stanza: dict[str, str], serving: str, suite: str) -> dict[str, str] | None:
    """Return a stanza with what it has of the one release under the name of the other, or None if it has nothing of it."""
    names = {f"{serving}{part}": f"{suite}{part}" for part in _PARTS}
    kept = [names[name] for name in stanza["Suites"].split() if name in names]
    return {**stanza, "Suites": " ".join(kept)} if kept else None


def _from_deb822(text: str) -> dict[str, str] | None:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", "\n".join(lines), flags=re.MULTILINE))
    given = {key.lower(): value.strip() for key, value in fields.items()}
    if "deb" not in given.get("types", "").split() or given.get("enabled", "yes").lower() in {"no", "false"}:
        return None
    return _stanza(
        uris=given.get("uris", ""),
        suites=given.get("suites", "").split(),
        components=given.get("components", "").split(),
        signed_by=given.get("signed-by", ""),
    )


def _from_one_line(line: str) -> dict[str, str] | None:
    match = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
    if match is None:
        return None
    signed_by = re.search(r"signed-by=([^\s\]]+)", match["options"] or "")
    return _stanza(
        uris=match["uri"],
        suites=[match["suite"]],
        components=match["components"].split(),
        signed_by=signed_by[1] if signed_by else "",
    )


def _stanza(*, uris: str, suites: list[str], components: list[str], signed_by: str) -> dict[str, str] | None:
    wanted = [suite for suite in suites if suite in _SUITES]
    if not wanted or not uris or _COMPONENT not in components:
        return None
    stanza = {"Types": "deb", "URIs": uris, "Suites": " ".join(wanted), "Components": _COMPONENT}
    # A key block inside the file spans lines that are not kept; apt's own trusted keys serve instead.
    if signed_by.startswith("/"):
        stanza["Signed-By"] = signed_by
    return stanza
