"""spamd as it is set here against spamd as Debian has it: the same answers, and no configuration put back for nothing."""

import pytest

from audit.samples import Letter, build
from roles.platforms import row
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.outside import Outside
from tests.acceptance.scored import SCORED
from tests.bench import spam

# SpamAssassin logs it (-D config) where it does it; the parent's one backup, "to backup", is made in any case.
PUT_BACK = "copying current conf from backup"
KEPT = "copying current conf to backup"
USER = row(SETTINGS).user("debian-spamd")
pytestmark = pytest.mark.skipif(
    USER != "debian-spamd", reason="tests/bench/spam.py compares with Debian's spamd"
)
PREFERENCES = "required_score 42\\nscore HTML_MESSAGE 7\\n"


def test_answers_are_those_of_a_spamd_that_puts_its_configuration_back(gateway: GatewayHost) -> None:
    # One child each, and twice the same: what a message left behind would show in those after it.
    mails = [*SCORED.values(), *SCORED.values()]
    engines = {
        "original": spam.spamd(1, *spam.ORIGINAL, "--debug=config"),
        "deployed": spam.spamd(1, *spam.DEPLOYED, "--debug=config"),
    }
    seen = spam.measured(gateway.host, engines, {"scored": [spam.whole(mail) for mail in mails]}, rounds=0)
    answers = seen.answers["deployed"]["scored"]
    assert answers == seen.answers["original"]["scored"]
    assert answers[: len(SCORED)] == answers[len(SCORED) :]
    assert answers[-1].score > 900
    assert {name: (log.count(KEPT), log.count(PUT_BACK)) for name, log in seen.logs.items()} == {
        "original": (1, len(mails)),
        "deployed": (1, 0),
    }


def test_a_users_preferences_do_not_stay(gateway: GatewayHost) -> None:
    # Not as deployed: an administrator who lets users have preferences after all.
    mail = SCORED["newsletter"]
    users = ("", "carol", "", "", "carol", "dave")
    home = gateway.run("d=$(mktemp -d); mkdir $d/carol $d/dave; chmod -R 755 $d; printf %s $d").strip()
    gateway.run(f"printf '{PREFERENCES}' >{home}/carol/user_prefs; chown -R {USER} {home}")
    with gateway.altered("true", f"rm -rf {home}"):
        engine = spam.spamd(
            1, *spam.DEPLOYED, f"--username={USER}", f"--virtual-config-dir={home}/%u", "--debug=config"
        )
        requests = [spam.whole(mail, user) for user in users]
        seen = spam.measured(gateway.host, {"one": engine}, {"users": requests}, rounds=0)
    scores = [answer.score for answer in seen.answers["one"]["users"]]
    assert scores[1] > 7 > scores[0]
    assert scores == [scores[0], scores[1], scores[0], scores[0], scores[1], scores[0]]


@pytest.mark.parametrize("signal", ["KILL", "SEGV"])
def test_a_killed_child_is_replaced_and_the_new_one_is_set_like_it(
    signal: str, wan: Outside, gateway: GatewayHost
) -> None:
    parent = gateway.run("systemctl show -p MainPID --value spamd.service").strip()
    before = set(gateway.run(f"pgrep -P {parent}").split())
    gateway.run(f"kill -{signal} {' '.join(before)}")
    gateway.run(
        f"timeout 20 sh -c 'until [ $(pgrep -P {parent} | wc -l) -ge {len(before)} ]; do sleep 0.1; done'"
    )
    letter = Letter(
        sender="alice@sender.example", recipient="bob@bastide.example", unique=signal, size_limit=0
    )
    assert wan.sent(build("gtube", letter)).startswith("550 5.7.1 ")
    assert not before & set(gateway.run(f"pgrep -P {parent}").split())
