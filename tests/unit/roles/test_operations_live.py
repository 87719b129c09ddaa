"""Our operations' scripts and questions, run by a real shell in a scratch directory."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from roles.operations import FileStates, PackagesMissing, ShellAnswer, UnitState, shell
from tests.unit.roles.hosts import ME, MY_GROUP, FakeHost
from tests.unit.roles.plans import Case, Plan, plans, replay

INACTIVE = {
    "want": "new",
    "have": "",
    "active": "inactive",
    "enabled": "enabled",
    "stale": "no",
    "newest": "1",
    "stamped": "",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the scratch directory that stands for the host's root in these plans."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def planned(root: Path) -> dict[str, Plan]:
    who = {"owner": ME, "group": MY_GROUP}
    files = [
        {"path": f"{root}/etc/a/one.conf", "content": "one\n", "mode": "640", **who},
        {"path": f"{root}/etc/two.conf", "content": "two\n", **who},
    ]
    cases = {
        "files": Case(
            target="roles.operations:files_owned", arguments={"files": files, "check": "checker $stage"}
        ),
        "packages": Case(
            target="roles.operations:packages_installed",
            arguments={"packages": ["postfix", "spamd", "postfix-pcre"]},
            responses={"dpkg-query": ["spamd", "postfix-pcre"]},
        ),
        "unit": Case(
            target="roles.operations:unit_current",
            arguments={"unit": "a.service", "files": ["/etc/a.conf"]},
            responses={"ActiveEnterTimestamp": [json.dumps({**INACTIVE, "started": "0"})]},
        ),
    }
    return plans(cases)


def test_a_script_reaches_the_shell_as_it_was_written(fake_host: FakeHost) -> None:
    script = """printf '%s|' "it's" 'a "b"' $((1 + 1)); printf %s '$HOME'"""
    assert fake_host.run(shell(script).get_raw_value()) == """it's|a "b"|2|$HOME"""


def test_a_script_stops_at_its_first_failure(fake_host: FakeHost) -> None:
    assert fake_host.run(shell("echo one\nfalse\necho two").get_raw_value(), fails=True) == "one\n"
    assert fake_host.run(shell("echo one; false; echo two").get_raw_value(), fails=True) == "one\n"


def test_written_files_have_content_mode_and_no_leftovers(
    planned: dict[str, Plan], root: Path, fake_host: FakeHost, tmp_path: Path
) -> None:
    fake_host.program("checker")
    replay(planned["files"], fake_host, ("/run/bastide", tmp_path / "run"))
    paths = [f"{root}/etc/a/one.conf", f"{root}/etc/two.conf"]
    fact = FileStates()
    states = fact.process(fake_host.run(fact.command(paths)).splitlines())
    one, two = sha256(b"one\n").hexdigest(), sha256(b"two\n").hexdigest()
    assert states == {
        paths[0]: f"{one} 640 {ME} {MY_GROUP}",
        paths[1]: f"{two} 644 {ME} {MY_GROUP}",
    }
    assert sorted(path.name for path in root.rglob("*") if path.is_file()) == ["one.conf", "two.conf"]
    assert list((tmp_path / "run").iterdir()) == []
    assert fake_host.called() == [f"checker {tmp_path}/run/stage"]


def test_a_check_that_fails_leaves_the_live_files_as_they_were(
    planned: dict[str, Plan], root: Path, fake_host: FakeHost, tmp_path: Path
) -> None:
    live = root / "etc/two.conf"
    live.parent.mkdir(exist_ok=True)
    live.write_text("old\n")
    (root / "etc/a/one.conf").unlink(missing_ok=True)
    # The checker sees the new content while the live file is still the old one.
    fake_host.program("checker", f"grep -q two $1{root}/etc/two.conf || exit 0; exit 1")
    replay(planned["files"], fake_host, ("/run/bastide", tmp_path / "run"), fails="checker")
    assert live.read_text() == "old\n"
    assert not (root / "etc/a/one.conf").exists()


def test_a_link_is_replaced_and_what_it_points_to_is_not_touched(
    planned: dict[str, Plan], root: Path, fake_host: FakeHost, tmp_path: Path
) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("theirs\n")
    live = root / "etc/two.conf"
    live.parent.mkdir(exist_ok=True)
    live.unlink(missing_ok=True)
    live.symlink_to(target)
    fact = FileStates()
    assert fact.process(fake_host.run(fact.command([str(live)])).splitlines()) == {}
    fake_host.program("checker")
    replay(planned["files"], fake_host, ("/run/bastide", tmp_path / "run"))
    assert (live.read_text(), live.is_symlink(), target.read_text()) == ("two\n", False, "theirs\n")


def test_what_somebody_made_unchangeable_is_named_before_the_first_file_moves(
    planned: dict[str, Plan], root: Path, fake_host: FakeHost, tmp_path: Path
) -> None:
    (root / "etc/a/one.conf").unlink(missing_ok=True)
    fake_host.program("checker")
    fake_host.program("lsattr", f"echo '----i---------e------- {root}/etc/two.conf'")
    replay(planned["files"], fake_host, ("/run/bastide", tmp_path / "run"), fails="lsattr")
    assert not (root / "etc/a/one.conf").exists()


def test_files_that_are_not_there_are_left_out(fake_host: FakeHost, tmp_path: Path) -> None:
    fact = FileStates()
    (tmp_path / "dir").mkdir()
    assert (
        fact.process(fake_host.run(fact.command([str(tmp_path / "x"), str(tmp_path / "dir")])).splitlines())
        == {}
    )


@pytest.mark.parametrize(
    ("status", "missing"),
    [
        ("installed", []),
        ("not-installed", ["postfix", "spamd"]),
        ("config-files", ["postfix", "spamd"]),
        ("half-configured", ["postfix", "spamd"]),
    ],
)
def test_a_package_counts_as_installed_only_when_it_is(
    fake_host: FakeHost, status: str, missing: list[str]
) -> None:
    fake_host.program("dpkg-query", f"printf {status}")
    fact = PackagesMissing()
    assert fact.process(fake_host.run(fact.command(["postfix", "spamd"])).splitlines()) == missing


def test_a_package_that_dpkg_never_heard_of_is_missing(fake_host: FakeHost) -> None:
    fake_host.program("dpkg-query", "echo 'no packages found' >&2; exit 1")
    fact = PackagesMissing()
    assert fact.process(fake_host.run(fact.command(["postfix"])).splitlines()) == ["postfix"]


class TestInstalling:
    """The installing script, with its two absolute paths moved to a scratch directory."""

    @pytest.fixture
    def policy(self, tmp_path: Path) -> Path:
        return tmp_path / "policy-rc.d"

    def install(
        self, planned: dict[str, Plan], fake_host: FakeHost, policy: Path, *, fails: bool = False
    ) -> None:
        (text,) = planned["packages"].texts()
        moved = text.replace("/usr/sbin/policy-rc.d", str(policy)).replace(
            "/var/cache/apt", str(policy.parent / "cache")
        )
        fake_host.run(moved, fails=fails)

    def test_daemons_may_not_start_while_packages_are_configured_and_may_afterwards(
        self, planned: dict[str, Plan], fake_host: FakeHost, policy: Path
    ) -> None:
        fake_host.program("apt-get", f"{policy} spamd start; echo policy says $? >>{fake_host.log}")
        self.install(planned, fake_host, policy)
        called = fake_host.called()
        assert called[0] == "apt-get -q update"
        assert called[2].endswith("install spamd postfix-pcre")
        assert called[1::2] == ["policy says 101", "policy says 101"]
        assert not policy.exists()

    def test_the_package_lists_are_fetched_once_an_hour(
        self, planned: dict[str, Plan], fake_host: FakeHost, policy: Path
    ) -> None:
        fake_host.program("apt-get")
        (policy.parent / "cache").mkdir()
        (policy.parent / "cache/pkgcache.bin").touch()
        self.install(planned, fake_host, policy)
        assert [call.split()[-1] for call in fake_host.called()] == ["postfix-pcre"]

    def test_lists_that_were_not_fetched_are_though_the_cache_is_young(
        self, planned: dict[str, Plan], fake_host: FakeHost, policy: Path
    ) -> None:
        fetched = policy.parent / "fetched"
        fake_host.program("apt-get", f"case $2 in update) touch {fetched} ;; *) [ -e {fetched} ] ;; esac")
        (policy.parent / "cache").mkdir()
        (policy.parent / "cache/pkgcache.bin").touch()
        self.install(planned, fake_host, policy)
        assert [call.split()[-1] for call in fake_host.called()] == ["postfix-pcre", "update", "postfix-pcre"]

    def test_the_policy_goes_when_the_installation_fails(
        self, planned: dict[str, Plan], fake_host: FakeHost, policy: Path
    ) -> None:
        fake_host.program("apt-get", "exit 100")
        self.install(planned, fake_host, policy, fails=True)
        assert not policy.exists()

    def test_the_policy_of_a_run_that_died_goes_too(
        self, planned: dict[str, Plan], fake_host: FakeHost, policy: Path
    ) -> None:
        fake_host.program("apt-get")
        policy.write_text(
            "#!/bin/sh\n# bastide: nothing starts while packages are being installed\nexit 101\n"
        )
        self.install(planned, fake_host, policy)
        assert not policy.exists()

    def test_an_administrators_own_policy_stays(
        self, planned: dict[str, Plan], fake_host: FakeHost, policy: Path
    ) -> None:
        fake_host.program("apt-get")
        policy.write_text("#!/bin/sh\nexit 104\n")
        self.install(planned, fake_host, policy)
        assert policy.read_text() == "#!/bin/sh\nexit 104\n"


class TestUnitState:
    """The question that unit_current asks, put to a fake systemctl and real files."""

    SYSTEMCTL = """case "$*" in
  *ActiveEnterTimestamp*) echo "${STARTED-Sat 2026-11-21 10:00:00 UTC}";;
  *NeedDaemonReload*) echo no;;
  is-active*) echo active;;
  is-enabled*) echo enabled;;
esac"""

    def state(self, fake_host: FakeHost, run: Path, *files: Path, before: str = "") -> dict[str, str]:
        fact = UnitState()
        command = fact.command("a.service", [str(path) for path in files], "a.service").replace(
            "/run/bastide", str(run)
        )
        return fact.process(fake_host.run(before + command).splitlines())

    def test_a_stamp_is_what_the_next_run_wants_until_a_file_changes(
        self, planned: dict[str, Plan], fake_host: FakeHost, tmp_path: Path
    ) -> None:
        fake_host.program("systemctl", self.SYSTEMCTL)
        config, run = tmp_path / "a.conf", tmp_path / "run"
        config.write_text("one\n")
        first = self.state(fake_host, run, config)
        assert first["stamped"] == ""
        assert (first["have"], first["active"], first["enabled"], first["stale"]) == (
            "",
            "active",
            "enabled",
            "no",
        )
        assert first["want"] == sha256(b"one\n").hexdigest()
        stamp = planned["unit"].texts()[-1].replace("/run/bastide", str(run))
        fake_host.run(stamp.replace("echo new", f"echo {first['want']}"))
        second = self.state(fake_host, run, config)
        assert second["have"] == first["want"]
        assert int(second["stamped"]) >= int(second["newest"])
        config.write_text("two\n")
        assert self.state(fake_host, run, config)["want"] != first["want"]

    def test_a_unit_that_did_not_come_up_gets_no_stamp(
        self, planned: dict[str, Plan], fake_host: FakeHost, tmp_path: Path
    ) -> None:
        fake_host.program("systemctl", "exit 3")
        stamp = planned["unit"].texts()[-1].replace("/run/bastide", str(tmp_path / "run"))
        fake_host.run(stamp, fails=True)
        assert list((tmp_path / "run").iterdir()) == []

    def test_a_link_counts_by_where_it_points(self, fake_host: FakeHost, tmp_path: Path) -> None:
        fake_host.program("systemctl", self.SYSTEMCTL)
        link = tmp_path / "current"
        link.symlink_to("0.1.0+aaaa")
        first = self.state(fake_host, tmp_path, link)["want"]
        link.unlink()
        link.symlink_to("0.1.0+bbbb")
        assert self.state(fake_host, tmp_path, link)["want"] != first

    def test_times_are_seconds_and_the_newest_file_counts(self, fake_host: FakeHost, tmp_path: Path) -> None:
        fake_host.program("systemctl", self.SYSTEMCTL)
        old, new = tmp_path / "old", tmp_path / "new"
        old.touch()
        new.touch()
        state = self.state(fake_host, tmp_path, new, old)
        assert int(state["newest"]) == max(int(path.stat().st_ctime) for path in (old, new))
        assert int(state["started"]) == 1795255200

    def test_a_unit_that_never_started_and_has_no_files_started_in_1970(
        self, fake_host: FakeHost, tmp_path: Path
    ) -> None:
        fake_host.program("systemctl", self.SYSTEMCTL)
        state = self.state(fake_host, tmp_path, before="export STARTED=; ")
        assert (state["started"], state["newest"]) == ("0", "")


def test_an_answer_is_all_lines_whatever_the_exit_code(fake_host: FakeHost) -> None:
    fact = ShellAnswer()
    assert fact.process(fake_host.run(fact.command("echo one; echo two; false")).splitlines()) == "one\ntwo"
    assert fact.process(fake_host.run(fact.command("ls /nowhere/at/all")).splitlines()) == ""
