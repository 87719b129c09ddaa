"""An answer of spamd ends where its Content-length says, in whatever pieces it comes and whatever comes behind it."""

import contextlib
import socket
import time
from pathlib import Path

import pytest

from filterd.errors import ScannerAnswerError
from tests.unit.filterd import engines
from tests.unit.filterd.test_filterd_scanners import ask_spamd


class SlowSpamd(engines.Spamd):
    """Sends its answer in pieces of ``size`` bytes, and goes on with more, as long as somebody listens, for a second."""

    size = 1
    more = b"X"

    def reply(self, peer: socket.socket, answer: bytes) -> None:
        with contextlib.suppress(OSError):
            for start in range(0, len(answer), self.size):
                peer.sendall(answer[start : start + self.size])
            for _ in range(100 if self.more else 0):
                peer.sendall(self.more)
                time.sleep(0.01)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("length", "symbols"), [(5, ("GTUBE",)), (3, ("GTU",)), (8, ("GTUBE", "AB")), (12, ("GTUBE", "AB"))]
)
def test_spamds_answer_is_what_its_length_says_however_it_comes(
    tmp_path: Path, length: int, symbols: tuple[str, ...], size: int
) -> None:
    """Just long enough, cut within a name, whole; and said to be longer than it is, where its end is waited for."""
    with SlowSpamd(tmp_path / "s") as server:
        server.size, server.more = size, b"" if length == 12 else b",X"
        server.answer = b"SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\nSpam: True ; 6 / 5\r\n\r\n" % length
        server.answer += b"GTUBE,AB"
        if length == 12:
            with pytest.raises(ScannerAnswerError, match="cut off"):
                ask_spamd(server.path, b"hello")
        else:
            assert ask_spamd(server.path, b"hello", timeout_s=0.9).symbols == symbols
