"""What each scanner's output is read for: figures, what is left without a reason, and silence that is no score."""

import pytest

from audit.scanners import exposure, lynis, openscap, ports, ssh_audit, testssl
from audit.scanners.errors import ScanError
from audit.scanners.figures import Figure
from audit.scanners.testssl import Finding
from roles.hardening.settings import Level

REPORT = """report_version_major=1
hardening_index={index}
suggestion[]=DEB-0280|Install libpam-tmpdir to set $TMP and $TMPDIR for PAM sessions|-|-|
suggestion[]=SSH-7408|Consider hardening SSH configuration|MaxSessions (set 10 to 2)|-|
"""
NEW = "warning[]=PKGS-7392|Found one or more vulnerable packages.|-|-|\n"


@pytest.mark.parametrize(
    ("index", "level", "wanted"),
    [
        (88, "moderate", "good"),
        (87, "moderate", "bad"),
        (92, "paranoid", "bad"),
        (93, "paranoid", "good"),
        (60, "lax", "good"),
    ],
)
def test_lynis_index_is_held_against_the_level(index: int, level: Level, wanted: str) -> None:
    own, left = lynis.figures(REPORT.format(index=index), level)
    assert (own.value, own.judged) == (str(index), wanted)
    assert (left.value, left.judged) == ("0, 2", "good")


def test_lynis_says_what_stands_on_no_list() -> None:
    _, left = lynis.figures(REPORT.format(index=90) + NEW, "moderate")
    assert (left.value, left.judged) == ("1, 2", "bad")
    assert left.details == ("warning PKGS-7392: Found one or more vulnerable packages.",)


def test_a_lynis_that_died_has_no_index() -> None:
    index, _ = lynis.figures("report_version_major=1\n", "lax")
    assert (index.value, index.judged) == ("none", "bad")


# As oscap prints them: a carriage return and a tab after each name.
OSCAP = """\r
Title\r\tDisable Postfix Network Listening\r
Rule\r\txccdf_org.ssgproject.content_rule_postfix_network_listening_disabled\r
Result\r\t{result}\r
\r
Title\r\tInstall AIDE\r
Rule\r\txccdf_org.ssgproject.content_rule_package_aide_installed\r
Result\r\tnotapplicable\r

Score {score}
"""


@pytest.mark.parametrize(
    ("profile", "result", "score", "wanted"),
    [
        ("enhanced", "pass", "80.1", "good"),
        ("enhanced", "pass", "80.0", "bad"),
        ("enhanced", "fail", "99.0", "bad"),
        ("enhanced", "error", "99.0", "bad"),
        ("enhanced", "unknown", "99.0", "bad"),
        ("high", "pass", "70.0", "good"),
    ],
)
def test_openscap_may_fail_in_nothing_that_is_asked(
    profile: str, result: str, score: str, wanted: str
) -> None:
    text = OSCAP.format(result=result, score=score)
    was, now = openscap.figures(profile, OSCAP.format(result="fail", score="50"), text)
    assert (was.value, was.judged) == ("0, 1, 1, 50.0", "told")
    assert was.details == ("postfix_network_listening_disabled",)
    assert now.judged == wanted
    assert (now.details == ()) is (result == "pass")


def test_an_openscap_without_a_score_is_no_result() -> None:
    with pytest.raises(ScanError, match="no score"):
        list(openscap.figures("high", "", ""))


SSH = """# general
(gen) banner: SSH-2.0-OpenSSH_9.2p1
(kex) sntrup761x25519-sha512@openssh.com    -- [warn] using experimental algorithm
                                            `- [info] available since OpenSSH 8.5
(kex) curve25519-sha256                     -- [info] available since OpenSSH 7.4
(enc) aes256-ctr                            -- [info] available since OpenSSH 3.7
"""
WEAK = "(mac) hmac-sha1     -- [fail] using broken SHA-1 hash algorithm\n                `- [warn] using encrypt-and-MAC mode\n"


def only(figures: list[Figure]) -> Figure:
    (figure,) = figures
    return figure


def test_ssh_audit_is_good_with_what_stays_for_a_reason() -> None:
    found = only(list(ssh_audit.figures(SSH)))
    assert (found.value, found.judged) == ("0, 1", "good")


def test_ssh_audit_names_each_fault_and_warning_by_its_algorithm() -> None:
    found = only(list(ssh_audit.figures(SSH + WEAK)))
    assert (found.value, found.judged) == ("1, 2", "bad")
    assert found.details == (
        "fail hmac-sha1: using broken SHA-1 hash algorithm",
        "warn hmac-sha1: using encrypt-and-MAC mode",
    )


def test_an_sshd_that_does_not_answer_has_no_score() -> None:
    found = only(list(ssh_audit.figures("[exception] cannot connect to 192.0.2.1 port 22\n")))
    assert (found.value, found.judged) == ("no answer", "bad")


FINE = [Finding(f"cipher-{number}", "OK", "offered") for number in range(60)]


@pytest.mark.parametrize(
    ("more", "value", "wanted"),
    [
        ([], "0, 0, 0, 0", "good"),
        ([Finding("LUCKY13", "LOW", "potentially vulnerable")], "0, 0, 0, 1", "good"),
        ([Finding("cert_chain", "CRITICAL", "self-signed")], "1, 0, 0, 0", "bad"),
        ([Finding("cert_revocation", "HIGH", "neither")], "0, 1, 0, 0", "bad"),
        ([Finding("x", "MEDIUM", "y")], "0, 0, 1, 0", "bad"),
        ([Finding("scanProblem", "FATAL", "no STARTTLS")], "no answer", "bad"),
    ],
)
def test_testssl_may_find_low_things_alone(more: list[Finding], value: str, wanted: str) -> None:
    found = testssl.figure([*FINE, *more])
    assert (found.value, found.judged) == (value, wanted)


def test_a_server_without_tls_has_no_score() -> None:
    assert testssl.figure([Finding("scanTime", "WARN", "interrupted")]).value == "no answer"


def test_nmap_tells_open_ports_and_what_it_takes_them_for() -> None:
    text = "Host: 192.0.2.1 ()\tPorts: 25/open/tcp//smtp///, 22/open/tcp//ssh///\tIgnored State: filtered (65533)\n"
    assert ports.opened(text) == (22, 25)
    assert ports.opened("Host: 192.0.2.1 ()\tStatus: Up\n") == ()
    assert ports.services("22/tcp open  ssh     OpenSSH 9.2p1 (protocol 2.0)\n25/tcp filtered smtp\n") == (
        "22: ssh OpenSSH 9.2p1 (protocol 2.0)",
    )


@pytest.mark.parametrize(
    ("answer", "value", "wanted"),
    [
        ("postfix@-.service 2.7\nunbound.service 3.0\n", "3.0", "good"),
        ("postfix@-.service 2.7\nexim4.service 9.2\n", "9.2", "bad"),
        # sshd's has a reason, and does not hide another's.
        ("postfix@-.service 2.7\nssh.service 9.6\n", "2.7", "good"),
        ("postfix@-.service 2.7\nodd.service \n", "2.7", "bad"),
        ("", "none", "bad"),
    ],
)
def test_exposure_is_that_of_the_worst_unit_that_is_bound(answer: str, value: str, wanted: str) -> None:
    found = exposure.figure(answer)
    assert (found.value, found.judged) == (value, wanted)
