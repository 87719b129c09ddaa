"""Every page with a script gives its file to a browser that runs it; the table says why one has no such script."""

import re
from collections.abc import Iterator

import pytest

from tests.corpus.payload import HARMLESS
from tests.corpus.table import BY_ID
from tests.unit.corpus import lenient_mail as mail
from tests.unit.corpus.lenient_scripts import saved

# Slugs of html-smuggling, and why nothing is saved when the page is run; test_recovery.py has the readers for these.
_NOT_RUN = {
    "data-.*|file|utf-.*|noscript|srcdoc|comment-condition|svg-image": "no script: an address that is clicked or loaded",
    "page-style": "no script: an address in a style",
    "text.*|hidden-text|comment|page-(plaintext|xmp|soft-hyphens|zero-width|parameter)": "no script: text of the page",
    "behind-.*": "a script, behind bytes of another format, that names the content and saves nothing",
    "script-(js|js-octets|js-text|mjs)": "a file of JavaScript that names the content and saves nothing",
    "script-(sct|hta-.*|page-.*|svg-prefix|lnk-page)": "a script that names the base64 and saves nothing",
    "script-(vbs.*|ps1.*|bat|sh.*|reg|py|php)": "another language",
    "script-(lnk|swf|notebook)": "no page",
}
_SLUGS = [name.partition(".")[2] for name in BY_ID if name.startswith("html-smuggling.")]
_RUN = [slug for slug in _SLUGS if not any(re.fullmatch(one, slug) for one in _NOT_RUN)]


def _files(slug: str) -> Iterator[bytes]:
    for part in mail.parts(BY_ID[f"html-smuggling.{slug}"].build(HARMLESS)):
        yield from saved(part)


@pytest.mark.parametrize("slug", _RUN)
def test_a_browser_saves_the_file(slug: str) -> None:
    assert HARMLESS in _files(slug)


@pytest.mark.parametrize("slug", sorted(set(_SLUGS) - set(_RUN)))
def test_what_the_table_names_saves_nothing(slug: str) -> None:
    assert not list(_files(slug))


def test_the_table_names_nothing_else() -> None:
    assert [one for one in _NOT_RUN if not any(re.fullmatch(one, slug) for slug in _SLUGS)] == []


def _page(script: str, body: str = "") -> bytes:
    return f"<!DOCTYPE html><html><body>{body}<script>{script}</script></body></html>".encode()


@pytest.mark.parametrize(
    ("script", "file"),
    [
        ("navigator.msSaveOrOpenBlob(new File(['one', new Uint8Array([0, 255])], 'a'))", b"one\0\xff"),
        ("location.href = 'data:,%41B'", b"AB"),
        ("location.assign(URL.createObjectURL(new Blob([new TextEncoder().encode('\\u00e9')])))", b"\xc3\xa9"),
        ("fetch('data:;base64,QUI=').then(b => b.arrayBuffer()).then(b => open('data:,' + b.byteLength))", b"2"),
        ("const s = document.createElement('script'); s.text = 'open(`data:,C`)'; document.body.append(s)", b"C"),
        ("document.addEventListener('DOMContentLoaded', () => open('data:,' + i.dataset.aB + i.textContent))", b"x>y"),
        ("document.write('<script>document.write(`<script>open(\"data:,D\")<\\\\/script>`)<\\/script>')", b"D"),
        ("nothing.at.all</script><script>open('data:,' + new TextDecoder().decode(new Uint8Array([69])))", b"E"),
        ("const a = document.querySelector('a[download]'); a.click()", b"F"),
    ],
)  # fmt: skip
def test_ways_to_save(script: str, file: bytes) -> None:
    body = '<i id="i" data-a-b="x">&gt;y</i><a href="data:,F" download>F</a>'
    assert list(saved(_page(script, body))) == [file]


@pytest.mark.parametrize(
    "script", ["for (;;);", "const l = []; for (;;) l.push(l.concat(Array(1e5).fill(l.length)));"]
)
def test_a_script_without_end_is_ended(script: str) -> None:
    assert list(saved(_page(script))) == []
