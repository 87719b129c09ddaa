"""However an address is spelled, filterd reads the one that goes out (A18): else the spelling chooses who is judged."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from filterd.config.conditions import bare
from tests.acceptance.desk import good
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.letters import mark
from tests.acceptance.outside import HELO, Outside, content, line, queue_id

# {} is a domain of theirs or of ours.
SPELLINGS = (
    "<alice@{}>",
    "<alice(x)@{}>",
    "<alice@{}(x(y))>",
    '(")<alice@{}>',
    '<"A"<alice@{}>>',
    "<<alice@{}>>",
    "<alice@(x){}>",
    "<alice@{}>(x)",
    "<x:alice@{};>",
    "<x:alice@{}>",
    "<alice@{};>",
    "<@a.example:alice@{}>",
    "<@a.example,@b.example:alice@{}>",
    "<alice@{}.>",
    '<"alice"@{}>',
    r"<\alice@{}>",
    '<"al ice"@{}>',
    '<alice."b"@{}>',
    r'<"ali\"ce"@{}>',
    '<"a(b)c"@{}>',
    "<alice..b@{}>",
    "<alice @{}>",
    "<ALICE@{}>",
)
# Two at once: each waits most of the time for its greeting.
AT_ONCE = 2


@pytest.mark.parametrize("whose", ["sender", "recipient"])
def test_filterd_reads_the_address_that_goes_out(whose: str, wan: Outside, gateway: GatewayHost) -> None:
    def told(spelled: str) -> tuple[str, str, str]:
        """Return how it was answered, and the address by the ledger and by the mail server."""
        unique = mark()
        sender, recipient = (
            (spelled.format("sender.example"), "<bob@bastide.example>")
            if whose == "sender"
            else ("<alice@sender.example>", spelled.format("bastide.example"))
        )
        reply = wan.dialogue(
            line(f"EHLO {HELO}"),
            line(f"MAIL FROM:{sender}"),
            line(f"RCPT TO:{recipient}"),
            line("DATA"),
            content(f"From: a@sender.example\r\nSubject: {unique}\r\n\r\ntext\r\n".encode()),
            persist=False,
        )[-1]
        if not reply.startswith("250 "):
            return reply, "", ""
        (record,) = gateway.awaited(unique)
        (kept,) = good(gateway, "messages", "--queue-id", queue_id(reply))["messages"]
        arrived = record.sender if whose == "sender" else record.recipients[0]
        known = kept["sender"] if whose == "sender" else kept["recipients"][0]
        return reply, bare(known.encode()), bare(arrived.encode())

    with ThreadPoolExecutor(AT_ONCE) as clients:
        seen = dict(zip(SPELLINGS, clients.map(told, SPELLINGS), strict=True))
    wrong = {each: found for each, found in seen.items() if found[1] != found[2] or found[0][0] not in "25"}
    assert not wrong
    for plain in ("<alice@{}>", "<ALICE@{}>", '<"alice"@{}>'):
        assert seen[plain][1].startswith("alice@"), plain
