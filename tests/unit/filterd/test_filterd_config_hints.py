"""`filterd check` notes what a configuration may say and its writer has perhaps not meant; problems of lists."""

from pathlib import Path

import pytest

from filterd import cli
from filterd.cli import codes
from filterd.config import taken
from filterd.config.hints import hints
from filterd.errors import ConfigError

SCANNER = '[[scanner]]\nname = "x"\ncommand = ["{}"]\n'
LIST = '[[list]]\nname = "x"\nverdict = "accept"\nsenders = ["{}"]\n{}\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[rules]\n"virus.signature" = "off"', "[rules] 'virus.signature' = \"off\" delivers known malware"),
        (
            '[[group]]\nname = "g"\n[group.rules]\n"virus.signature" = "warn"',
            "[[group]] g rules 'virus.signature' = \"warn\" delivers",
        ),
        (SCANNER.format("/no/such/program"), "[[scanner]] x command: /no/such/program is no program"),
        (SCANNER.format("/etc/passwd"), "[[scanner]] x command: /etc/passwd is no program"),
        ('[policy]\ninternal_networks = ["0.0.0.0/0"]', "0.0.0.0/0 makes all mail outbound"),
        ('[policy]\ninternal_networks = ["::/0"]', "::/0 makes all mail outbound"),
        (LIST.format("a@b.example", 'authentication = "none"'), '[[list]] x authentication = "none"'),
        (LIST.format("a@b.example", "until = 2020-01-31"), "[[list]] x until = 2020-01-31 has passed"),
        ('[[content]]\nname = "c"\npattern = "a*"', "[[content]] c pattern matches the empty text"),
        (
            '[policy.chains]\ninfected = ["rename", "reject"]',
            "[policy.chains] infected: a file that is renamed",
        ),
        (
            '[[group]]\nname = "g"\nrecipients = ["@b.example"]\n[group.chains]\ninfected = ["tag", "ignore"]',
            "[[group]] g chains infected: ignore delivers known malware",
        ),
        ('[[group]]\nname = "g"\n[group.chains]\nspam = ["tag", "ignore"]', "[[group]] g has no condition"),
    ],
)
def test_it_is_noted_and_taken(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "filterd.toml"
    path.write_text(text)
    assert cli.main(["check", "--config", str(path)]) == codes.GOOD
    said = capsys.readouterr()
    assert f"filterd: {path}: note: " in said.err
    assert words in said.err
    assert ": good; " in said.out


@pytest.mark.parametrize(
    "text",
    [
        "",
        SCANNER.format("/bin/true"),
        '[policy]\ninternal_networks = ["192.0.2.0/24"]',
        LIST.format("a@b.example", ""),
        LIST.format("a@b.example", 'authentication = "none"\nclients = ["192.0.2.1"]'),
        '[rules]\n"virus.signature" = "on"',
    ],
)
def test_the_usual_is_not_noted(text: str) -> None:
    assert not list(hints(taken(text.encode(), "F")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LIST.format("nobody", ""), "[[list]] x senders: 'nobody' is no address pattern"),
        (LIST.format("<>", ""), "[[list]] x senders: '<>' has no domain of its own that could vouch for it"),
        (LIST.format("joe@", ""), "[[list]] x senders: 'joe@' has no domain of its own"),
        (LIST.format("a@b.example", 'clients = ["x"]'), "[[list]] x clients: 'x' is no network"),
        (LIST.format("a@b.example", 'recipients = ["<>"]'), "[[list]] x recipients: '<>' is no address"),
        (LIST.format("a@b.example", 'until = "soon"'), "[[list]] 1 (x) until: "),
        (LIST.format("a@b.example", "") * 2, "[[list]] x stands twice"),
        (LIST.format("a@b.example", "").replace("accept", "allow"), "choose from accept, reject"),
        ('[[list]]\nname = "x"\nverdict = "reject"\nsenders = []', "[[list]] 1 (x) senders"),
        ('[[list]]\nname = "x"\nverdict = "reject"', "senders"),
        ('[[content]]\nname = "c"\npattern = "(a+)+$"', "F: [[content]] c: pattern takes for ever"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        taken(text.encode(), "F")
    assert words in str(error.value)


def test_a_day_is_written_with_quotes_or_without() -> None:
    for day in ("2026-12-31", '"2026-12-31"'):
        (entry,) = taken(LIST.format("a@b.example", f"until = {day}").encode(), "F").list
        assert entry.until.isoformat() == "2026-12-31"


@pytest.mark.parametrize("sender", ["*@example.org", "*", "@*.example.org", "a*@example.org"])
def test_a_star_in_a_pattern_is_refused_with_what_is_meant(sender: str) -> None:
    with pytest.raises(ConfigError, match=r"write user@example\.org, @example\.org"):
        taken(LIST.format(sender, "").encode(), "filterd.toml")
