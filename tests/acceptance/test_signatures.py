"""Signatures of the operator's own, in a live clamd: they hold from their load on, and where a content lies counts."""

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.acceptance.gateway import GatewayHost
from tests.acceptance.inspection import logged, rules_of
from tests.acceptance.letters import PLAIN, attachment, delivered, letter, mark, nothing_arrived, send
from tests.acceptance.outside import Outside
from tests.corpus.writers.zips import zip_of

_DATABASES: Final = "/var/lib/clamav"
# clamd goes on with the old signatures until it has read the new ones; what it knows of a content is by its digest, so
# that each question is of another one.
_ASKED: Final = (
    "timeout 60 sh -c 'n=0; until n=$((n+1)); echo {beacon} $n | clamdscan --no-summary - >/dev/null; "
    "[ $? = {code} ]; do sleep 0.2; done'"
)


@contextmanager
def signatures(gateway: GatewayHost, **texts: str) -> Iterator[None]:
    """Let clamd have signatures, by the type of their file, for the length of a block; what was before holds at its end."""
    beacon = mark()
    texts["ndb"] = texts.get("ndb", "") + f"Str4.Beacon:0:*:{beacon.encode().hex()}\n"
    paths = {kind: f"{_DATABASES}/{beacon}.{kind}" for kind in texts}
    written = "; ".join(
        f"echo {base64.b64encode(text.encode()).decode()} | base64 -d >{paths[kind]}; chmod 644 {paths[kind]}"
        for kind, text in texts.items()
    )
    reload = "clamdscan --reload >/dev/null"
    with gateway.altered(
        f"set -e; {written}",
        f"rm -f {' '.join(paths.values())}; {reload}; {_ASKED.format(beacon=beacon, code=0)}",
    ):
        gateway.run(f"set -e; {reload}; {_ASKED.format(beacon=beacon, code=1)}")
        yield


def found_in(gateway: GatewayHost, reply: str) -> str:
    """Return what the virus stage found in the message that was refused so."""
    assert re.match(r"550 5\.7\.1 .*\[virus\.signature\]", reply), reply
    entry = logged(gateway, reply)
    assert "virus.signature" in rules_of(entry)
    return " ".join(one["detail"] for one in entry["findings"] if one["rule"] == "virus.signature")


def test_a_signature_that_is_new_counts_for_a_message_that_was_seen_before(
    wan: Outside, gateway: GatewayHost
) -> None:
    # R01; decision 0020: the report of an equal message is used again, the virus engines are asked all the same.
    word, unique, after = mark().encode(), mark(), mark()
    file = attachment(b"A spoon and " + word, "notes.txt")
    message = letter(unique, PLAIN, file)
    assert send(wan, message).startswith("250 ")
    with signatures(gateway, ndb=f"Str4.New:0:*:{word.hex()}\n"):
        assert "Str4.New" in found_in(gateway, send(wan, message))
        unlike = mark()
        assert send(wan, letter(unlike, PLAIN, attachment(b"A spoon", "notes.txt"))).startswith("250 ")
    # It was the signature that did it. What is convicted stays so for five minutes; this one is another message.
    assert send(wan, letter(after, PLAIN, file)).startswith("250 ")
    assert [len(delivered(gateway, one)) for one in (unlike, after, unique)] == [1, 1, 1]


def test_a_signature_about_where_a_content_lies_finds_it_there(wan: Outside, gateway: GatewayHost) -> None:
    # Decision 0016: the whole comes first, then its contents from the outside inwards.
    word, first, second, third = mark().encode(), mark(), mark(), mark()
    text = b"A line, and " + word + b" in it.\r\n" * 20
    where = "Engine:81-255,Intermediates:CL_TYPE_MAIL>CL_TYPE_ZIP,Target:0"
    with signatures(gateway, ldb=f"Str4.Where;{where};0;{word.hex()}\n"):
        zipped = attachment(zip_of(text, b"notes.txt"), "notes.zip")
        assert "Str4.Where" in found_in(gateway, send(wan, letter(first, PLAIN, zipped)))
        # The same content, elsewhere.
        assert send(wan, letter(second, PLAIN, attachment(text, "notes.txt"))).startswith("250 ")
        delivered(gateway, second)
        assert nothing_arrived(wan, gateway, first)
    assert send(wan, letter(third, PLAIN, zipped)).startswith("250 ")
    delivered(gateway, third)
