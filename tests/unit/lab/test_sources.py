"""Which of a machine's apt sources serve a release of Debian."""

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
    assert debian_sources([("debian.sources", DEB822)], "bookworm") == EXPECTED


def test_one_line_entries_are_taken() -> None:
    lines = (
        "# deb http://old.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # here\n"
        "deb-src http://mirror.example/debian bookworm main\n"
    )
    assert debian_sources([("sources.list", lines)], "bookworm") == (
        "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\nSigned-By: /k.gpg\n"
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("debian.sources.disabled", DEB822),
        ("debian.sources", DEB822.replace("bookworm", "bullseye")),
        ("debian.sources", "Enabled: no\n" + DEB822.partition("\n\n")[0]),
        ("debian.sources", DEB822.partition("\n\n")[2]),
        ("docker.list", "deb http://vendor.example/debian bookworm stable\n"),
        ("vendor.list", "deb http://vendor.example/debian vendor-bookworm main\n"),
    ],
    ids=["disabled-by-name", "other-release", "disabled", "security-alone", "other-component", "other-suite"],
)
def test_what_is_not_debians_own_is_passed_over(name: str, text: str) -> None:
    assert debian_sources([(name, text)], "bookworm") == ""


@pytest.mark.parametrize(("here", "wanted"), [("bookworm", "trixie"), ("trixie", "bookworm")])
def test_a_release_that_this_machine_does_not_run_comes_from_where_its_own_does(
    here: str, wanted: str
) -> None:
    own = DEB822.replace("bookworm", here)
    assert debian_sources([("debian.sources", own)], wanted) == EXPECTED.replace("bookworm", wanted)


def test_entries_for_the_release_itself_go_before_those_of_another() -> None:
    both = [("debian.sources", DEB822), ("next.list", "deb http://next.example/debian trixie main\n")]
    assert debian_sources(both, "bookworm") == EXPECTED
    assert debian_sources(both, "trixie") == (
        "Types: deb\nURIs: http://next.example/debian\nSuites: trixie\nComponents: main\n"
    )


def test_a_key_inside_the_file_is_left_to_apts_own_keys() -> None:
    text = DEB822.replace(
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg", "Signed-By:\n -----BEGIN KEY-----\n abc"
    )
    assert "Signed-By" not in debian_sources([("debian.sources", text)], "bookworm")
