"""What package managers are asked and told, tried on fake ones."""

import pytest

from roles.managers import APT, DNF, Manager
from tests.unit.roles.hosts import FakeHost

# What is installed: a and, by the name of another one that provides it, b.
RPM = """case "$*" in
*--queryformat*) for p; do case $p in a) echo a ;; esac; done ;;
*) for last; do :; done; case $last in a | b) ;; *) exit 1 ;; esac ;;
esac"""
DPKG = 'for last; do :; done; case $last in a | b) printf installed ;; *) echo "no packages found" >&2; exit 1 ;; esac'


@pytest.fixture
def host(fake_host: FakeHost) -> FakeHost:
    fake_host.program("rpm", RPM)
    fake_host.program("dpkg-query", DPKG)
    fake_host.program("dnf")
    return fake_host


@pytest.mark.parametrize("manager", [APT, DNF], ids=lambda manager: manager.name)
class TestEach:
    def test_what_is_missing_is_named_a_line_each(self, manager: Manager, host: FakeHost) -> None:
        assert host.run(manager.missing(["a", "gone", "b", "lost"])).splitlines() == ["gone", "lost"]
        assert host.run(manager.missing(["a", "b"])) == ""

    def test_it_says_whether_it_has_one(self, manager: Manager, host: FakeHost) -> None:
        host.run(manager.has("a"))
        host.run(manager.has("gone"), fails=True)

    def test_a_mode_is_given_and_then_known(self, manager: Manager, host: FakeHost) -> None:
        for name in ("dpkg-statoverride", "chown", "chmod"):
            host.program(name)
        host.run(manager.mode_kept("/x/y", "0750", "wheel"))
        called = "\n".join(host.called())
        assert "0750" in called
        assert "/x/y" in called
        assert "wheel" in called

    def test_what_is_fetched_is_not_installed(self, manager: Manager, host: FakeHost) -> None:
        host.program("apt-get")
        host.run(manager.fetched(["a", "b-c"]))
        called = host.called()[-1]
        assert called.endswith("install a b-c")
        assert {"--download-only", "--downloadonly"} & set(called.split())
        host.program("apt-get", "exit 100")
        host.program("dnf", "exit 1")
        # Whatever a script goes on with: `sh -e` lets the failure of such a list by.
        assert "went on" not in host.run(manager.fetched(["a"]) + "\necho went on", fails=True)


def test_dnf_names_what_is_there_of_what_is_not_wanted(host: FakeHost) -> None:
    assert host.run(DNF.there(["a", "gone"])).split() == ["a"]


def test_dnf_installs_without_weak_dependencies_and_asks_anew_once(host: FakeHost) -> None:
    host.run(DNF.installed(["a", "b-c"]))
    assert host.called() == ["dnf -q -y --setopt=install_weak_deps=False install a b-c"]
    host.program("dnf", 'case "$*" in *--refresh*) ;; *) exit 1 ;; esac')
    host.run(DNF.installed(["a"]))
    assert host.called()[-1] == "dnf -q -y --setopt=install_weak_deps=False --refresh install a"


def test_a_package_that_no_repository_has_is_told_with_the_remedy(host: FakeHost) -> None:
    host.program("dnf", "echo 'No match for argument: clamd'; exit 1")
    said = host.run(f"( {DNF.installed(['clamd'])}\n) 2>&1", fails=True)
    assert "No match for argument: clamd" in said
    assert "enable EPEL and CRB" in said


def test_another_failure_of_dnfs_is_told_without_it(host: FakeHost) -> None:
    host.program("dnf", "echo 'no space left'; exit 1")
    assert "EPEL" not in host.run(f"( {DNF.installed(['clamd'])}\n) 2>&1", fails=True)


@pytest.mark.parametrize(
    ("said", "code", "answer"),
    [
        ("", 0, "0"),
        ("", 1, "no list of packages was ever fetched"),
        (
            r"\npostfix.x86_64   2:3.5.25-1.el9  updates\nunbound.x86_64 1 u\nObsoleting Packages\na.noarch 1 u\n",
            100,
            "2",
        ),
    ],
)
def test_dnf_counts_what_waits(host: FakeHost, said: str, code: int, answer: str) -> None:
    host.program("dnf", f"printf '{said}'; exit {code}")
    assert host.run(DNF.upgrades()).strip() == answer
