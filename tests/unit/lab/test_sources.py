"""Which of a machine's apt sources are Debian 12's own."""

import pytest

from lab.sources import debian_sources

DEB822 = """\
Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""
EXPECTED = """\
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""


def test_deb822_entries_are_taken() -> None:
    assert debian_sources([("debian.sources", DEB822)]) == EXPECTED


def test_one_line_entries_are_taken() -> None:
    lines = (
        "# deb http://old.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # here\n"
        "deb-src http://mirror.example/debian bookworm main\n"
    )
    assert debian_sources([("sources.list", lines)]) == (
        "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\nSigned-By: /k.gpg\n"
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("debian.sources.disabled", DEB822),
        ("debian.sources", DEB822.replace("bookworm", "trixie")),
        ("debian.sources", "Enabled: no\n" + DEB822.partition("\n\n")[0]),
        ("debian.sources", DEB822.partition("\n\n")[2]),
        ("docker.list", "deb http://vendor.example/debian bookworm stable\n"),
        ("vendor.list", "deb http://vendor.example/debian vendor-bookworm main\n"),
    ],
    ids=["disabled-by-name", "other-release", "disabled", "security-alone", "other-component", "other-suite"],
)
def test_what_is_not_debian_12_is_passed_over(name: str, text: str) -> None:
    assert debian_sources([(name, text)]) == ""


def test_a_key_inside_the_file_is_left_to_apts_own_keys() -> None:
    text = DEB822.replace(
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg", "Signed-By:\n -----BEGIN KEY-----\n abc"
    )
    assert "Signed-By" not in debian_sources([("debian.sources", text)])
