"""A deployed host gets the other MTA and its own again while mail comes in all the time: none is lost (issue 5, H10)."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from lab.plan import LabState
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.labs import INVENTORY, deploy
from tests.acceptance.lacking import wants
from tests.acceptance.mta import HANDS
from tests.acceptance.outside import Outside
from tests.acceptance.stream import Sent, streaming
from tests.acceptance.test_deploy import varied
from tests.acceptance.test_switch import as_mta, enabled, known

if TYPE_CHECKING:
    from roles.settings import Mta

pytestmark = wants("mta")


def arrived(gateway: GatewayHost, sent: list[Sent]) -> Counter[str]:
    """Return how often each of these messages is at the protected mail server, or in quarantine."""
    found = Counter[str]()
    marks = {each.mark for each in sent}
    for path in gateway.lab.sink.glob("*.eml"):
        subject = next(
            (line[9:].strip() for line in path.read_bytes().splitlines() if line.startswith(b"Subject: ")),
            b"",
        ).decode("ascii", "replace")
        if subject in marks:
            found[subject] += 1
    return found


def test_a_switch_and_back_under_traffic_loses_nothing(
    lab: LabState, wan: Outside, gateway: GatewayHost, tmp_path: Path
) -> None:
    other: Mta = "sendmail" if SETTINGS.mta == "postfix" else "postfix"
    known(wan)
    with streaming(wan) as stream:
        for mta, inventory in ((other, varied(tmp_path, as_mta(other))), (SETTINGS.mta, INVENTORY)):
            done = deploy("apply", inventory, lab=lab.name)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            assert enabled(gateway) == {mta}
    GatewayHost(lab=lab, host=gateway.host, mta=HANDS[SETTINGS.mta]).sent_on()
    sent = stream.sent
    # The client has seen the switch: it was put off, or found nobody, and came again.
    assert len(sent) > 20
    assert any(each.later or each.broken for each in sent)
    assert [each for each in sent if each.refused] == []
    assert [each for each in sent if not each.taken] == []
    found = arrived(gateway, sent)
    lost = [each for each in sent if not found[each.mark]]
    assert lost == []
    # Twice is there at most what was sent again because no answer came; it has the same id.
    twice = [each for each in sent if found[each.mark] > 1 + each.broken]
    assert twice == []
    print(
        f"{len(sent)} messages, {sum(each.later for each in sent)} put off, {sum(each.broken for each in sent)} without an answer, "
        f"longest wait {max(each.waited for each in sent):.1f} s, {sum(found.values()) - len(found)} twice"
    )
