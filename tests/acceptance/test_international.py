"""A relayed domain beyond ASCII, declared as it is read: mail for it is taken in either spelling that a client may use (A08)."""

from collections.abc import Iterator
from typing import Final

import pytest

from lab.plan import LabState
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.labs import INVENTORY, deploy
from tests.acceptance.letters import PLAIN, letter, mark, send
from tests.acceptance.outside import Outside, Step, content, line
from tests.acceptance.test_deploy import varied

DOMAIN: Final = "bücher.example"
A_LABELS: Final = "xn--bcher-kva.example"


@pytest.fixture(scope="module")
def relayed(lab: LabState, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    change = f"data['relay_domains'] = {{**data['relay_domains'], {DOMAIN!r}: '[198.18.0.25]:25'}}"
    done = deploy("apply", varied(tmp_path_factory.mktemp("international"), change), lab=lab.name)
    assert done.returncode == 0, done.stderr[-2000:]
    yield
    assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0


@pytest.mark.usefixtures("relayed")
@pytest.mark.parametrize("domain", [A_LABELS, A_LABELS.upper()])
def test_mail_for_its_a_labels_is_relayed(domain: str, wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    assert send(wan, letter(unique, PLAIN), f"bob@{domain}").startswith("250 ")
    (record,) = gateway.awaited(unique)
    assert [who.lower() for who in record.recipients] == [f"bob@{A_LABELS}"]


@pytest.mark.usefixtures("relayed")
def test_mail_for_its_own_letters_is_relayed_or_refused_and_never_bounced(
    wan: Outside, gateway: GatewayHost
) -> None:
    unique = mark()
    recipient = f"RCPT TO:<bob@{DOMAIN}>\r\n".encode().decode("latin-1")
    said = wan.dialogue(
        line("EHLO client.sender.example"),
        line("MAIL FROM:<alice@sender.example> SMTPUTF8"),
        Step(send=recipient),
        line("DATA"),
        content(letter(unique, PLAIN)),
        persist=False,
    )[-1]
    if not gateway.mta.international:
        # It announces no SMTPUTF8 (RFC 6531 3.2), so nobody was invited to ask.
        assert said.startswith("5"), said
        return
    assert said.startswith("250 "), said
    (record,) = gateway.awaited(unique)
    assert record.recipients == (f"bob@{DOMAIN}",)


def test_no_other_domain_of_such_letters_is(wan: Outside) -> None:
    assert SETTINGS.relay_domains
    assert send(wan, letter(mark(), PLAIN), "bob@xn--bstide-5nf.example").startswith("5")
