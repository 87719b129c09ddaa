"""Ten thousand random byte strings, and ten thousand damaged sessions, into the codec.

Only ProtocolError may come out, whatever goes in, and what is held stays within the reader's bound. The seed is
fixed, so that a failure can be repeated; FILTERD_FUZZ_SEED and FILTERD_FUZZ_COUNT change seed and number.
"""

import os
import random
import struct
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from filterd.errors import ProtocolError
from filterd.milter import commands as c
from filterd.milter import mta
from filterd.milter import replies as r
from filterd.milter.frames import HEAD, MAX_PAYLOAD, UNREAD_SLACK
from filterd.milter.negotiation import Step, Wish
from filterd.milter.session import Session
from tests.unit.filterd import dialogue

SEED = int(os.environ.get("FILTERD_FUZZ_SEED", "20261121"))
COUNT = int(os.environ.get("FILTERD_FUZZ_COUNT", "10000"))
BOUND = HEAD + MAX_PAYLOAD + UNREAD_SLACK
# All inputs together may leave this much behind at most: what one session holds, and the test's own lists.
MEMORY = 8 * 1024 * 1024

CODES = bytes(c.COMMANDS)
LENGTHS = (0, 1, 2, 5, 13, 255, 65535, 65536, MAX_PAYLOAD + 1, MAX_PAYLOAD + 2, 2**31 - 1, 2**31, 2**32 - 1)


def outcome(data: bytes, rng: random.Random) -> str:
    """Feed ``data`` in pieces, answering as a filter would; how it ended."""
    wish = Wish(steps=Step(0x1FFFFF & rng.getrandbits(21)) if rng.random() < 0.5 else Step(0))
    session = Session(wish)
    place = 0
    try:
        while place < len(data):
            size = rng.choice((1, 7, 100, len(data)))
            session.receive(data[place : place + size])
            place += size
            while (event := session.next_event()) is not None:
                if isinstance(event, c.Offer):
                    session.agree(event)
                elif session.owed is not None:
                    session.reply(r.Continue())
    except ProtocolError as error:
        end = f"refused: {error}"
    else:
        end = "taken"
    assert session.unread <= BOUND
    return end


def random_strings(rng: random.Random) -> Iterator[bytes]:
    for _ in range(COUNT):
        data = rng.randbytes(rng.choice((1, 5, 17, 100, 1000)))
        if rng.random() < 0.7:
            # Beyond the first bytes only with a plausible beginning.
            payload = data[: rng.randrange(len(data) + 1)]
            data = struct.pack("!I", len(payload) + 1) + bytes((rng.choice(CODES),)) + payload + data
        yield (mta.offer() if rng.random() < 0.5 else b"") + data


def damaged_sessions(rng: random.Random) -> Iterator[bytes]:
    whole = dialogue.whole()
    heads = list(frame_starts(whole))
    for _ in range(COUNT):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 5)):
            damage(data, heads, rng)
        yield bytes(data)


def damage(data: bytearray, heads: list[int], rng: random.Random) -> None:
    place, head = rng.randrange(len(data)), min(rng.choice(heads), len(data) - 5)
    match rng.randrange(7):
        case 0:
            data[place] = rng.randrange(256)
        case 1:
            data[place] ^= 1 << rng.randrange(8)
        case 2:
            del data[place : place + rng.randrange(1, 40)]
        case 3:
            data[place:place] = rng.randbytes(rng.randrange(1, 40))
        case 4:
            data[head : head + 4] = struct.pack("!I", rng.choice(LENGTHS))
        case 5:
            data[head + 4] = rng.choice(CODES)
        case _:
            other = rng.choice(heads)
            data[head:head] = data[other : other + rng.randrange(5, 60)]
    if len(data) < 6:
        data.extend(b"\0" * 6)


def frame_starts(data: bytes) -> Iterator[int]:
    place = 0
    while place < len(data):
        yield place
        place += 4 + int.from_bytes(data[place : place + 4], "big")


@pytest.mark.parametrize("inputs", [random_strings, damaged_sessions], ids=lambda one: one.__name__)
def test_only_protocol_errors_come_out_and_memory_is_bounded(
    inputs: Callable[[random.Random], Iterator[bytes]],
) -> None:
    rng = random.Random(SEED)  # noqa: S311 - a repeatable sequence is what is wanted
    tracemalloc.start()
    try:
        ends = Counter(outcome(data, rng)[:7].strip(":") for data in inputs(rng))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ends.total() == COUNT
    # Both ends must have been reached, or the inputs are too dull to mean anything.
    assert min(ends["refused"], ends["taken"]) > COUNT // 100
    assert peak < MEMORY


def test_the_longest_frames_without_end_are_refused_within_the_bound() -> None:
    session = Session(Wish())
    session.receive(mta.offer())
    offer = session.next_event()
    assert isinstance(offer, c.Offer)
    session.agree(offer)
    tracemalloc.start()
    try:
        for _ in range(BOUND // 65541):
            session.receive(struct.pack("!I", MAX_PAYLOAD + 1) + b"B" + b"x" * 65536)
        with pytest.raises(ProtocolError):
            session.receive(b"x" * 65536)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * BOUND
