"""What packages and deploys say explains a change only if it says exactly that."""

import base64
import gzip
import hashlib
import json
import os
import py_compile
import subprocess
import time
from pathlib import Path

import pytest

from roles.integrity.onhost import derived, special, who
from roles.integrity.onhost.database import Change, Entry
from roles.integrity.onhost.evidence import Accepted, Deploys, Packages
from tests.unit.roles.integrity.test_integrity_database import PLAIN_ACL, WIDE_ACL

SINCE = 1_700_000_000.0
BASE64 = {name: hashlib.sha256(name.encode()) for name in ("new", "evil")}


def entry(perm: str = "100755", *, content: str = "", lname: str = "0", uid: str = "0") -> Entry:
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() if content else "0"
    acl = "0" if perm.startswith("12") else PLAIN_ACL
    columns = {"perm": perm, "uid": uid, "gid": "0", "lname": lname, "sha256": digest, "acl": acl}
    return Entry(f"x {perm} {digest} {lname}", columns)


def seen(path: Path) -> Entry:
    """Return what the engine would have seen of a file."""
    digest = base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode()
    return Entry("x", {"perm": "100644", "uid": "0", "gid": "0", "sha256": digest})


def stamp(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


class Host:
    """A package manager's books in a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "info").mkdir(parents=True)
        (root / "status").touch()
        self.log = root / "dpkg.log"
        self.log.touch()

    def package(
        self, name: str, files: dict[str, str], *, listed: tuple[str, ...] = (), at: float = SINCE + 60
    ) -> None:
        sums = "".join(
            f"{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}  {path.lstrip('/')}\n"
            for path, text in files.items()
        )
        (self.root / f"info/{name}.md5sums").write_text(sums)
        (self.root / f"info/{name}.list").write_text("\n".join(("/.", *files, *listed)) + "\n")
        with self.log.open("a") as log:
            log.write(f"{stamp(at)} status installed {name}:amd64 2.0\n")

    def books(self, owners: dict[str, str] | None = None) -> Packages:
        return Packages(SINCE, owners or {}, self.root, self.log)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "dpkg")


def test_a_package_explains_a_file_that_has_its_checksum_and_no_other(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "tool"
    host.package("tool", {str(path): "new"})
    path.write_text("new")
    books = host.books()
    same = Change(str(path), entry(content="old"), entry(content="new"), frozenset({"sha256"}))
    assert books.content(same, {}).startswith("package tool 2.0, installed at ")
    path.write_text("evil")
    assert not host.books().content(same._replace(now=entry(content="evil")), {})
    # What was looked at has become something else since.
    path.write_text("new")
    assert not host.books().content(same._replace(now=entry(content="evil")), {})


def test_a_package_of_before_the_baseline_explains_nothing(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "tool"
    path.write_text("new")
    host.package("tool", {str(path): "new"}, at=SINCE - 60)
    assert not host.books().content(Change(str(path), None, entry(content="new")), {})


def test_logs_that_were_rotated_away_are_read(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "tool"
    path.write_text("new")
    host.package("tool", {str(path): "new"})
    host.log.rename(f"{host.log}.1")
    assert host.books().content(Change(str(path), None, entry(content="new")), {})


def test_a_package_explains_no_rights_but_those_of_a_new_plain_file(host: Host) -> None:
    books = host.books()
    assert books.rights(Change("/x", None, entry("100755")))
    assert not books.rights(Change("/x", None, entry("104755")))
    assert not books.rights(Change("/x", None, entry("100777")))
    assert not books.rights(Change("/x", None, entry("100755", uid="1000")))
    assert not books.rights(Change("/x", entry("100755"), entry("100775"), frozenset({"perm"})))


def test_a_link_of_a_package_leads_to_what_a_package_has(host: Host, tmp_path: Path) -> None:
    link, target = str(tmp_path / "lib.so.1"), str(tmp_path / "lib.so.1.2")
    host.package("lib", {target: "new"}, listed=(link,))
    assert host.books().content(Change(link, None, entry("120777", lname="lib.so.1.2")), {})
    assert not host.books().content(Change(link, None, entry("120777", lname="/srv/lib.so")), {})


def test_what_a_package_no_longer_has_is_gone_by_its_upgrade_and_nothing_else_is(host: Host) -> None:
    host.package("tool", {})
    books = host.books({"/usr/bin/old": "tool", "/usr/bin/other": "other"})
    assert "no longer has it" in books.content(Change("/usr/bin/old", entry(), None), {})
    assert not books.content(Change("/usr/bin/other", entry(), None), {})
    assert not books.content(Change("/usr/bin/nobodys", entry(), None), {})
    host.package("tool", {"/usr/bin/old": "new"})
    assert not host.books({"/usr/bin/old": "tool"}).content(Change("/usr/bin/old", entry(), None), {})


def test_the_books_of_a_package_change_with_it_alone(host: Host) -> None:
    host.package("tool", {})
    host.package("other", {}, at=SINCE - 60)
    changed = Change(
        f"{host.root}/info/tool.md5sums", entry(content="old"), entry(content="new"), frozenset({"sha256"})
    )
    assert host.books().content(changed, {})
    assert not host.books().content(changed._replace(path=f"{host.root}/info/other.md5sums"), {})


def test_a_deploy_explains_what_it_left_and_no_more(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"new").hexdigest()
    rows = [
        f"begun\t{SINCE + 1:.0f}",
        f"ended\t{SINCE + 9:.0f}",
        "revision\tabc",
        f"files\t/etc/a\tf 644 0 0 old\tf 644 0 0 {digest}",
        "files\t/etc/gone\tf 644 0 0 x\t-",
        "files\t/usr/bin/su\tf 4755 0 0\tf 755 0 0",
        "packages\tx\t-\tii 1",
    ]
    (tmp_path / "20260101T000000Z").write_text("\n".join(rows) + "\n")
    deploys = Deploys(SINCE, tmp_path)
    left = Change(
        "/etc/a",
        entry("100600", content="old"),
        entry("100644", content="new"),
        frozenset({"sha256", "perm"}),
    )
    assert deploys.content(left).startswith("deploy of abc at ")
    assert deploys.rights(left)
    assert not deploys.content(left._replace(now=entry("100644", content="evil")))
    assert not deploys.rights(left._replace(now=entry("100666", content="new")))
    assert deploys.content(Change("/etc/gone", entry(), None))
    assert not deploys.content(Change("/etc/other", entry(), None))
    taken = Change(
        "/usr/bin/su", entry("104755", content="a"), entry("100755", content="a"), frozenset({"perm"})
    )
    assert deploys.rights(taken)
    # Its record holds no digest of a program: what is in it is not the deploy's.
    assert not deploys.content(taken._replace(now=entry("100755", content="evil")))
    assert not Deploys(SINCE + 60, tmp_path).content(left)


def test_compiled_modules_are_those_of_their_source(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody may not run the interpreter of every checkout.
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    source = tmp_path / "module.py"
    source.write_text("def f(a):\n    return [a, 'x', 1.5, {'k': (1, 2)}]\n")
    good = str(py_compile.compile(str(source), doraise=True))
    host.package("python3", {})
    data = Path(good).read_bytes()
    changed = Change(good, None, seen(Path(good)))
    sources = {str(source): seen(source)}
    assert "compiled anew" in derived.explained([changed], host.books(), sources)[good]
    # Module and source are those that the engine saw, not what is there meanwhile.
    other = changed._replace(now=entry("100644", content="x"))
    assert not derived.explained([other], host.books(), sources)
    assert not derived.explained([changed], host.books(), {str(source): entry("100644", content="x")})
    assert not derived.explained([changed], host.books(), {})
    evil = tmp_path / "evil.py"
    evil.write_text("def f(a):\n    return [a, 'y', 1.5, {'k': (1, 2)}]\n")
    Path(good).write_bytes(
        data[:16] + Path(str(py_compile.compile(str(evil), doraise=True))).read_bytes()[16:]
    )
    wrong = Change(good, None, seen(Path(good)))
    assert not derived.explained([wrong], host.books(), sources)
    Path(good).write_bytes(data)
    # Nothing was installed since.
    assert not derived.explained([changed], Packages(SINCE + 120, {}, host.root, host.log), sources)


def certificate(name: str, kind: str = "CERTIFICATE") -> str:
    return f"-----BEGIN {kind}-----\n{base64.b64encode(name.encode()).decode()}\n-----END {kind}-----\n"


def test_the_bundle_of_authorities_is_of_known_ones_and_of_nothing_else(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [tmp_path / name for name in ("packages", "own")]
    bundle = tmp_path / "bundle"
    own = {"a.crt": certificate("a"), "b.crt": f"# ours\n{certificate('b')}".rstrip("\n")}
    for place, (name, text) in zip(places, own.items(), strict=True):
        place.mkdir()
        (place / name).write_text(text)
    known = {str(path): seen(path) for place in places for path in place.iterdir()}
    monkeypatch.setattr(derived, "_AUTHORITIES", tuple(map(str, places)))
    row = next(each for each in derived.MADE if each.packages == "ca-certificates")

    def holds(text: str, of: Entry | None = None) -> bool:
        bundle.write_text(text)
        return bool([*row.holding([Change(str(bundle), None, of or seen(bundle))], host.books(), known)])

    a, b = certificate("a"), f"# ours\n{certificate('b')}"
    assert holds(a + b)
    assert holds(b + a + certificate("b"))
    assert not holds(a + b + certificate("evil"))
    assert not holds(a + b + certificate("evil", "TRUSTED CERTIFICATE"))
    assert not holds(certificate("evil", "X509 CERTIFICATE"))
    assert not holds(a + "x\n" + b)
    assert not holds("")
    # What the engine saw was another.
    assert not holds(a + b, entry("100644", content="evil"))
    # An authority that came since the engine looked is nobody's.
    (places[1] / "late.crt").write_text(certificate("late"))
    assert not holds(a + certificate("late"))


def test_the_linkers_index_is_the_one_that_the_engine_saw(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ldconfig(command: list[object], **_: object) -> None:
        Path(str(command[-1])).write_text("index")

    monkeypatch.setattr(subprocess, "run", ldconfig)
    row = derived.MADE[0]
    books = host.books()
    assert [*row.holding([Change("/x", None, entry("100644", content="index"))], books, {})] == ["/x"]
    assert not [*row.holding([Change("/x", None, entry("100644", content="evil"))], books, {})]


def test_what_postfix_loads_is_of_the_packages_list_and_of_nothing_else(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every, own = tmp_path / "every", tmp_path / "own"
    every.write_text("# kinds\nlmdb\tpostfix-lmdb.so\td\nldap\tpostfix-ldap.so\td\n")
    monkeypatch.setattr(derived, "_TABLES", str(every))
    row = next(each for each in derived.MADE if each.holding is derived._tables)

    def holds(text: str, listed: Entry) -> bool:
        own.write_text(text)
        return bool([*row.holding([Change(str(own), None, seen(own))], host.books(), {str(every): listed})])

    assert holds("# kinds\nlmdb\tpostfix-lmdb.so\td\n", seen(every))
    assert not holds("lmdb\tpostfix-lmdb.so\td\n", entry("100644", content="another"))
    for evil in ("", "lmdb\t/srv/evil.so\td\n", "# kinds\nlmdb\tpostfix-lmdb.so\td\nx\tpostfix-ldap.so\td\n"):
        assert not holds(evil, seen(every))


def test_what_sendmails_scripts_go_by_is_words_that_leave_it_alone(host: Host, tmp_path: Path) -> None:
    row = next(each for each in derived.MADE if each.paths == r"/etc/mail/sendmail\.conf")
    file = tmp_path / "sendmail.conf"
    ours = 'HANDS_OFF="Yes"\nDAEMON_MODE="None"\nQUEUE_MODE="None"\nMSP_MODE="None"\n'
    theirs = '# words\n\nMSP_STATS="${MSP_MAILSTATS}";\nQUEUE_INTERVAL="10m";\n'

    def holds(text: str, now: Entry | None = None) -> bool:
        file.write_text(text)
        return bool([*row.holding([Change(str(file), None, now or seen(file))], host.books(), {})])

    assert holds(ours.replace("\n", ";\n") + theirs)
    assert not holds(ours + theirs, entry("100644", content="another"))
    for evil in ("", theirs, 'X="$(id)"', 'X="1";id', 'X="1" id', "X=`id`", ". /srv/x"):
        assert not holds(evil if evil in ("", theirs) else f"{ours}{evil}\n"), evil
    assert holds(ours)


def test_a_link_is_where_the_engine_saw_it_lead(host: Host, tmp_path: Path) -> None:
    tool, link = tmp_path / "tool", tmp_path / "link"
    host.package("tool", {str(tool): "x"})
    link.symlink_to(tool)
    row = next(each for each in derived.MADE if each.paths == "/etc/alternatives/[^/]+")
    right, wrong = (Change(str(link), None, entry("120777", lname=to)) for to in (str(tool), "/srv/evil"))
    assert [*row.holding([right, wrong], host.books(), {})] == [str(link)]


def test_no_link_of_alternatives_stands_in_for_a_program(host: Host, tmp_path: Path) -> None:
    host.package("tool", {str(tmp_path / "tool"): "x"})
    gone = Change("/usr/bin/aide", entry(content="x"), None)
    swapped = Change(
        "/usr/bin/aide",
        entry(content="x"),
        entry("120777", lname="/etc/alternatives/aide"),
        frozenset({"kind"}),
    )
    elsewhere = Change("/usr/bin/new", None, entry("120777", lname=str(tmp_path / "tool")))
    assert not derived.explained([gone, swapped, elsewhere], host.books(), {})


@pytest.mark.parametrize(
    "column", [{"capabilities": "Y2FwX25ldF9yYXc9ZXA="}, {"xattrs": "1,user.x,eA=="}, {"acl": WIDE_ACL}]
)
def test_what_was_accepted_is_not_so_with_rights_that_came_later(
    tmp_path: Path, column: dict[str, str]
) -> None:
    book = tmp_path / "accepted"
    was = entry(content="x")
    told = {"when": SINCE + 1, "path": "/a", "now": was.told(), "who": "ops", "reason": "agent"}
    book.write_text(json.dumps(told) + "\n")
    assert Accepted(SINCE, book).why(Change("/a", None, was))
    later = Entry("x", {**was.columns, **column})
    assert not Accepted(SINCE, book).why(Change("/a", None, later))


def test_what_was_accepted_is_so_as_it_was_seen_and_not_as_it_is_meanwhile(tmp_path: Path) -> None:
    book = tmp_path / "accepted"
    assert not Accepted(SINCE, book).why(Change("/a", None, entry(content="x")))
    seen = {"path": "/a", "now": entry(content="x").told(), "who": "ops", "reason": "agent"}
    gone = {"path": "/b", "now": {}, "who": "ops", "reason": "gone"}
    book.write_text("\n".join(json.dumps({"when": SINCE + 1, **each}) for each in (seen, gone)) + "\nnone\n")
    assert (
        Accepted(SINCE, book).why(Change("/a", None, entry(content="x")))
        == "accepted on this host by ops: agent"
    )
    assert not Accepted(SINCE, book).why(Change("/a", None, entry(content="y")))
    assert not Accepted(SINCE, book).why(Change("/a", None, entry("104755", content="x")))
    assert Accepted(SINCE, book).why(Change("/b", entry(), None))
    assert not Accepted(SINCE + 2, book).why(Change("/b", entry(), None))


SAID = """----
type=SYSCALL msg=audit(11/23/26 03:00:00.123:77) : syscall=openat auid=ops uid=root comm=vi exe=/usr/bin/vim.basic key=defences
"""


def test_who_changed_it_last_is_read_from_the_audit() -> None:
    assert who.last(SAID) == "login ops, as root, by /usr/bin/vim.basic at 11/23/26 03:00:00"
    assert who.last(SAID.replace("auid=ops", "auid=unset")).startswith("nobody who had logged in, as root")
    assert not who.last("<no matches>\n")


def test_a_damaged_log_explains_nothing_and_ends_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path / "dpkg")
    host.package("tool", {"/usr/bin/tool": "new"})
    whole = gzip.compress(f"{stamp(SINCE + 60)} status installed other:amd64 1\n".encode() * 50)
    for number, rest in ((2, whole[:-12]), (3, b"no gzip"), (4, whole[:20] + b"\xff" * 20 + whole[40:])):
        (host.root / f"dpkg.log.{number}.gz").write_bytes(rest)
    touched = Packages(SINCE, {}, root=host.root, log=host.log).touched
    assert "tool" in touched


def test_mounts_are_found_by_the_names_that_they_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_bytes(
        "/dev/a /srv/données ext4 rw 0 0\n/dev/b /srv/a\\040b\\134c xfs rw 0 0\n/dev/c /srv/x\\ny ext4 rw 0 0\n"
        "proc /proc proc rw 0 0\n".encode()
    )
    monkeypatch.setattr(special, "_MOUNTS", mounts)
    assert special.file_systems() == ["/srv/a b\\c", "/srv/données", "/srv/x\\ny"]
