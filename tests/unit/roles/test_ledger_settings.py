"""Where the ledger is: the settings, what they render, and what the deploy does to bring it there."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import make_url

from filterd.config import taken
from roles.errors import SettingError
from roles.filterd import sandbox
from roles.filterd.deploy import CONFIG_FILE, UNIT_FILE, _files, _reached_by
from roles.filterd.ledger import AUTHORITIES_FILE, HERE_URL, PASSWORD_FILE, SQLITE_URL, url
from roles.filterd.ledger_defences import LEDGER
from roles.filterd.postgresql import LEFT, NOT_LEFT, REACHED
from roles.firewall.defences import FILTERING
from roles.firewall.owners import users_made
from roles.firewall.ruleset import ruleset
from roles.kinds import FileMode, HostAnswer, UnitOption
from roles.platforms import DEBIAN_13, row
from roles.settings import Gateway
from tests.unit.roles.examples import SETTINGS, gateway
from tests.unit.roles.plans import Case, plans
from tests.unit.roles.test_layers import BARE

SECRET = "tr0ub4dor & 3"  # noqa: S105 - of nothing
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
HERE = {"database": "postgresql"}


@pytest.fixture
def server(tmp_path: Path) -> dict[str, Any]:
    """Settings of a server elsewhere."""
    (tmp_path / "password").write_text(f"{SECRET}\n")
    (tmp_path / "ca.pem").write_text(CERTIFICATE)
    return {
        "host": "db.internal.example",
        "address": "192.0.2.7",
        "password_file": str(tmp_path / "password"),
        "authorities": str(tmp_path / "ca.pem"),
    }


def elsewhere(server: dict[str, Any], **changes: Any) -> Gateway:
    return gateway(ledger=HERE | {"server": server | changes})


def rendered(chosen: Gateway) -> dict[str, str]:
    return {file.path: file.content for file in _files(chosen, row(chosen))}


def ledger_of(chosen: Gateway) -> dict[str, Any]:
    """Return [ledger] of what is rendered, as filterd's own strict loader takes it."""
    found: dict[str, Any] = msgspec.to_builtins(
        taken(rendered(chosen)[CONFIG_FILE].encode(), "", here=False).ledger
    )
    return found


def test_without_a_word_it_is_the_gateway_s_own_file() -> None:
    assert ledger_of(gateway())["url"] == SQLITE_URL
    assert ledger_of(gateway())["password_file"] == ""


def test_what_an_operator_says_of_the_ledger_stands_beside_it() -> None:
    chosen = gateway(filterd_policy={"ledger": {"days": 7}}, ledger=HERE)
    assert (ledger_of(chosen)["days"], ledger_of(chosen)["url"]) == (7, HERE_URL)
    with pytest.raises(SettingError, match=re.escape("[ledger] url is not set here")):
        gateway(filterd_policy={"ledger": {"url": "sqlite:////x"}})


def test_a_postgresql_here_is_waited_for_and_takes_no_network() -> None:
    unit = rendered(gateway(ledger=HERE))[UNIT_FILE]
    assert "\nAfter=postgresql@15-bastide.service\nWants=postgresql@15-bastide.service\n" in unit
    assert "\nPrivateNetwork=yes\nRestrictAddressFamilies=AF_UNIX\nIPAddressDeny=any\nProtectSystem" in unit
    there = gateway(ledger=HERE, platform="debian13")
    assert "postgresql@17-bastide.service" in rendered(there)[UNIT_FILE]
    assert DEBIAN_13.here("/etc/postgresql/15/bastide") == "/etc/postgresql/17/bastide"


def test_a_server_elsewhere_is_named_by_address_and_proven_by_name(server: dict[str, Any]) -> None:
    chosen = elsewhere(server)
    given = make_url(ledger_of(chosen)["url"])
    assert (given.host, given.port, given.username, given.database) == (
        "db.internal.example", 5432, "filterd", "filterd",
    )  # fmt: skip
    assert given.query == {
        "hostaddr": "192.0.2.7",
        "sslmode": "verify-full",
        "sslrootcert": AUTHORITIES_FILE,
        "gssencmode": "disable",
    }
    assert ledger_of(chosen)["password_file"] == PASSWORD_FILE
    unit = rendered(chosen)[UNIT_FILE]
    assert (
        "\nPrivateNetwork=no\nRestrictAddressFamilies=AF_UNIX AF_INET\nIPAddressDeny=any\nIPAddressAllow=192.0.2.7\n"
        in unit
    )
    assert (sandbox.private_network(chosen), sandbox.allowed(chosen)) == ("no", "192.0.2.7/32")


def test_an_address_of_ipv6_is_one_too(server: dict[str, Any]) -> None:
    chosen = elsewhere(server, host="2001:db8::7", address="")
    assert make_url(url(chosen.ledger)).host == "2001:db8::7"
    assert "\nRestrictAddressFamilies=AF_UNIX AF_INET6\n" in rendered(chosen)[UNIT_FILE]
    assert any("-d 2001:db8::7/128 " in rule for rule in ways(chosen, 6))
    assert ways(chosen, 4) == []


def test_the_password_stands_in_filterd_s_own_file_and_nowhere_else(server: dict[str, Any]) -> None:
    chosen = elsewhere(server)
    password, authorities = _reached_by(chosen)
    assert (password.path, password.content, password.mode, password.owner) == (
        PASSWORD_FILE, f"{SECRET}\n", "600", "filterd",
    )  # fmt: skip
    assert (authorities.path, authorities.content) == (AUTHORITIES_FILE, CERTIFICATE)
    assert all(SECRET not in text for text in rendered(chosen).values())
    assert SECRET not in repr(chosen)


def ways(chosen: Gateway, family: int) -> list[str]:
    """Return the rules by which filterd's user may leave."""
    return [
        line for line in ruleset(FILTERING, chosen, family).splitlines() if "--uid-owner filterd " in line
    ]


def test_filterd_s_user_has_that_way_out_and_no_other(server: dict[str, Any]) -> None:
    assert [rule for chosen in (gateway(), gateway(ledger=HERE)) for rule in ways(chosen, 4)] == []
    (rule,) = ways(elsewhere(server, port=6432), 4)
    assert rule.startswith("-A OUTPUT -d 192.0.2.7/32 -p tcp -m tcp --dport 6432 ")
    assert ways(elsewhere(server), 6) == []
    assert users_made(elsewhere(server))["filterd"] == "/nonexistent"
    assert "filterd" not in users_made(gateway())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": "db"}, "ledger.server.host`: 'db' is neither a fully qualified name nor an address"),
        ({"address": ""}, "ledger.server.address`: '' is no IP address"),
        ({"address": "db.internal.example"}, "is no IP address; write the one of db.internal.example"),
        ({"host": "192.0.2.8"}, "ledger.server.address`: `host` is an address, 192.0.2.8, and this another"),
        ({"user": "filterd&sslmode=disable"}, "ledger.server.user`: 'filterd&sslmode=disable' is not a plain name"),
        ({"database": "Ledger"}, "ledger.server.database`: 'Ledger' is not a plain name"),
        ({"password_file": ""}, "ledger.server.password_file`: it is empty"),
        ({"password_file": "/nowhere"}, "ledger.server.password_file`: the file '/nowhere' cannot be read"),
        ({"authorities": ""}, "ledger.server.authorities`: it is empty"),
        ({"authorities": "/nowhere"}, "ledger.server.authorities`: the file '/nowhere' cannot be read"),
        ({"port": 0}, "$.ledger.server.port"),
        ({"password": "x"}, "unknown field `password`"),
    ],
)  # fmt: skip
def test_what_no_server_can_be_is_refused_by_name(
    changes: dict[str, Any], words: str, server: dict[str, Any]
) -> None:
    with pytest.raises(SettingError, match=re.escape(words)):
        elsewhere(server, **changes)


def test_files_that_hold_something_else_are_refused_without_their_content(
    server: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "two").write_text("one\nsecret\n")
    for name, words in (("password_file", "one line of plain text"), ("authorities", "a certificate in PEM")):
        with pytest.raises(SettingError, match=words) as error:
            elsewhere(server, **{name: str(tmp_path / "two")})
        assert "secret" not in str(error.value)


def test_a_server_without_postgresql_and_one_on_el_are_refused(server: dict[str, Any]) -> None:
    with pytest.raises(
        SettingError, match=re.escape("`ledger.server`: it is described, but `ledger.database` is sqlite")
    ):
        gateway(ledger={"server": server})
    with pytest.raises(SettingError, match="not possible on el9 yet"):
        gateway(ledger=HERE, platform="el9")
    assert gateway(ledger=HERE | {"server": server}, platform="el9").ledger.elsewhere


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_service_s_exposure_is_low_wherever_the_ledger_is(server: dict[str, Any], tmp_path: Path) -> None:
    for chosen in (gateway(), gateway(ledger=HERE), elsewhere(server)):
        file = tmp_path / f"{chosen.ledger.kind}.service"
        file.write_text(rendered(chosen)[UNIT_FILE])
        done = subprocess.run(
            ["systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=15", str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-200:]


def test_each_ledger_has_its_own_record_and_is_asked_of_its_own_unit(server: dict[str, Any]) -> None:
    stands = {
        chosen.ledger.kind: {one.id for one in LEDGER if one.stands(chosen)}
        for chosen in (gateway(), gateway(ledger=HERE), elsewhere(server))
    }
    assert stands == {
        "sqlite": {"filterd.ledger", "filterd.ledger-file"},
        "here": {"filterd.ledger", "filterd.ledger-here"},
        "elsewhere": {"filterd.ledger", "filterd.ledger-elsewhere"},
    }
    (here,) = (one for one in LEDGER if one.id == "filterd.ledger-here")
    trixie = gateway(ledger=HERE, platform="debian13")
    asked = [
        check.question(trixie) for check in here.sets if isinstance(check, UnitOption | FileMode | HostAnswer)
    ]
    assert not any("15" in question for question in asked), asked


def done(script: str, root: Path, *, filterd: int = 0, says: str = "") -> tuple[int, list[str], str]:
    """Run a script of the deploy's below ``root``; return its exit code, what it had the host's programs do, and its complaint.

    ``filterd`` is the exit code of that command, ``says`` what it prints.
    """
    programs = root / "bin"
    programs.mkdir(exist_ok=True)
    calls = root / "calls"
    calls.write_text("")
    for name in ("systemctl", "pg_dropcluster", "filterd"):
        code, printed = (filterd, says) if name == "filterd" else (0, "")
        (programs / name).write_text(f"#!/bin/sh\necho {name} $* >>{calls}\necho '{printed}'\nexit {code}\n")
        (programs / name).chmod(0o755)
    text = script.replace("/opt/filterd/current/bin/", f"{programs}/")
    for place in ("/etc/", "/var/lib/"):
        text = text.replace(place, f"{root}{place}")
    text = text.replace(f"sqlite:///{root}", "sqlite:///").replace(f"$stage{root}", "$stage")
    ran = subprocess.run(
        ["sh", "-e", "-c", text],
        env={"PATH": f"{programs}:/usr/bin:/bin", "stage": str(root / "stage")},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, calls.read_text().splitlines(), ran.stdout.strip() + ran.stderr


def test_a_ledger_is_emptied_while_filterd_stands_and_goes_behind_that(tmp_path: Path) -> None:
    ledger = tmp_path / "var/lib/filterd/ledger"
    ledger.mkdir(parents=True)
    (ledger / "ledger.db").touch()
    assert done(LEFT["sqlite"][1], tmp_path) == (
        0, ["systemctl daemon-reload", "systemctl stop filterd.service", f"filterd ledger move {SQLITE_URL}"], "",
    )  # fmt: skip
    assert not ledger.exists()
    cluster = tmp_path / "etc/postgresql/15/bastide"
    cluster.mkdir(parents=True)
    unit = "postgresql@15-bastide.service"
    assert done(LEFT["here"][1], tmp_path)[:2] == (
        0,
        [
            "systemctl daemon-reload",
            f"systemctl start {unit}",
            "systemctl stop filterd.service",
            f"filterd ledger move {HERE_URL}",
            f"systemctl disable --quiet --now {unit}",
            "pg_dropcluster 15 bastide",
        ],
    )
    assert not cluster.exists()


def test_a_ledger_that_could_not_be_moved_stays_and_mail_goes_on(tmp_path: Path) -> None:
    ledger = tmp_path / "var/lib/filterd/ledger"
    ledger.mkdir(parents=True)
    code, calls, _ = done(LEFT["sqlite"][1], tmp_path, filterd=3)
    assert (code, calls[-1]) == (1, "systemctl start filterd.service")
    assert ledger.exists()


SERVER = "postgresql+psycopg://filterd@db.example.org:5432/filterd?hostaddr=192.0.2.7"


def configured(root: Path, url: str) -> None:
    """Write a live configuration with a ledger, if it has one."""
    (root / "etc/filterd").mkdir(parents=True, exist_ok=True)
    if url:
        (root / "etc/filterd/filterd.toml").write_text(f'[ledger]\nurl = "{url}"\n')


@pytest.mark.parametrize(
    ("before", "contents", "there", "moved", "left"),
    [
        (SERVER, 1, 1, True, 1),
        (SERVER, 1, 0, True, 1),
        (SERVER, 0, 1, True, 0),
        # The move there had failed: what came before is where it was, and there is nothing.
        (SERVER, 1, 0, False, 0),
        (SERVER, 1, None, False, 0),
        (SERVER, 1, 1, False, 1),
        (SERVER, 1, None, True, 1),
        (HERE_URL, 1, 1, True, 0),
        (SQLITE_URL, 1, 1, True, 0),
        ("", 1, 1, True, 0),
    ],
)
def test_what_only_a_server_elsewhere_knows_is_not_left_behind(
    *,
    before: str,
    contents: int,
    there: int | None,
    moved: bool,
    left: int,
    tmp_path: Path,
) -> None:
    configured(tmp_path, before)
    store = tmp_path / "var/lib/filterd/store/ab"
    store.mkdir(parents=True)
    (store.parent / "ledger").write_text("name")
    for number in range(contents):
        (store / f"{number:064}").touch()
    if not moved:
        (tmp_path / "etc/postgresql/15/bastide").mkdir(parents=True)
    answer = {"filterd": 3} if there is None else {"filterd": 0, "says": f'{{"rows": {{"kept": {there}}}}}'}
    code, _, said = done(NOT_LEFT, tmp_path, **answer)
    assert (code, said) == (0, "1" if left else "")


def test_a_deploy_that_would_leave_kept_mail_behind_ends_before_it_changes_anything() -> None:
    found = plans(
        {
            kind: Case(target="deploy.py", data=SETTINGS, responses={**BARE, "hostaddr=": answer})
            for kind, answer in (("some", ["3"]), ("none", []))
        }
    )
    assert "would leave 3 kept contents in /var/lib/filterd/store" in found["some"].error
    assert found["some"].commands == []
    assert "kept contents" not in found["none"].error


@pytest.mark.parametrize(
    ("before", "answers", "code", "asked"),
    [(SERVER, 3, 0, False), (SQLITE_URL, 0, 0, True), (SQLITE_URL, 3, 3, True), ("", 3, 3, True)],
)
def test_another_server_is_asked_before_it_is_written_down(
    *,
    before: str,
    answers: int,
    code: int,
    asked: bool,
    tmp_path: Path,
) -> None:
    configured(tmp_path, before)
    configured(tmp_path / "stage", SERVER)
    seen, calls, _ = done(REACHED, tmp_path, filterd=answers)
    assert seen == code
    assert bool(calls) is asked
