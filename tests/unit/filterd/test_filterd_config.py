import tomllib
from pathlib import Path

import pytest

import filterd
from filterd.config import Config, load
from filterd.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "filterd.toml"
    path.write_text(text)
    return path


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")) == Config()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[clamd]\ntimout_s = 3",
            r"filterd\.toml: \[clamd\] has no setting 'timout_s'; did you mean timeout_s\?",
        ),
        ("[clam]\n", r"has no setting 'clam'; did you mean clamd\?"),
        ("[log]\nzzz = 1", r"\[log\] has no setting 'zzz'; known are max_field, max_recipients"),
        ("[spamd]\nreject_score = 3", r"\[spamd\] has no setting 'reject_score'; \[policy\] precision says"),
        ("[clamd]\ntimeout_s = 'x'", r"\[clamd\] timeout_s: expected `float`.*the default is 120"),
        ("[clamd]\ntimeout_s = nan", r"\[clamd\] timeout_s"),
        ("[milter]\nsocket = 'inet:8890'", r"\[milter\] socket"),
        ("[milter]\nsocket_mode = '660'", r"\[milter\] socket_mode"),
        ("[milter]\nsocket_mode = 432", r"\[milter\] socket_mode"),
        ("[milter]\nworkers = true", r"\[milter\] workers"),
        ("[milter]\nidle_timeout_s = 0", r"\[milter\] idle_timeout_s"),
        ("[policy]\ninfected = 'reject'", r"\[policy\] has no setting 'infected'; write it as a chain"),
        (
            "[milter]\nworkers = 9\n[clamd]\nmax_concurrent = 8",
            r"\[clamd\] max_concurrent = 8 leaves .* 9 or more",
        ),
        *(
            (
                f"[ledger]\nurl = 'postgresql+psycopg://{url}'",
                r"\[ledger\] url holds a password: .*password_file",
            )
            for url in ("u:secret@h/d", "u@h/d?password=secret", "u@/d?host=/x&sslPassword=secret", "u:@h/d")
        ),
        ("[ledger]\nurl = 'postgresql+psycopg://u@h:port/d'", r"\[ledger\] url is none .*user@host:5432"),
        (
            "[ledger]\npassword_file = '/nowhere/password'",
            r"\[ledger\] password_file: /nowhere/password cannot be",
        ),
        ("[clamd]\ntimeout_s = 300", r"\[clamd\] timeout_s = 300 is longer than \[milter\] scan_timeout_s"),
        ("[milter]\nprogress_s = 240", r"progress_s is not below"),
        ("[milter\n", r"is not TOML"),
        ("workers = " + "9" * 5000, r"is not TOML"),
        ("workers = " + "[" * 100_000, r"is not TOML"),
        ("a = 1\n[milter]\na\n", r"is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_setting_and_remedy(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(written(tmp_path, text))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "filterd.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not TOML"):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml cannot be read \(No such file"):
        load(tmp_path / "nothing.toml")


def test_one_worker_a_core_but_never_more_than_the_engines_have_places(tmp_path: Path) -> None:
    assert load(written(tmp_path, "[clamd]\nmax_concurrent = 1")).workers == 1
    assert load(written(tmp_path, "[milter]\nworkers = 3")).workers == 3


def test_the_version_is_the_wheels() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == filterd.__version__
