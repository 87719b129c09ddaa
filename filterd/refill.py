"""Fills a message from content that lies somewhere whole, as the MTA would have handed it over."""

from collections.abc import Iterable

from .message import Message

_MOST_HEAD = 1024 * 1024  # bytes of headers that are looked at; far above every bound on them


def refill(message: Message, pieces: Iterable[bytes]) -> None:
    """Append a content with CRLF line ends, and count its headers as Message does. Raises OSError."""
    head = b""
    ended = False
    for piece in pieces:
        message.add_body(piece)
        if not ended:
            head += piece
            ended = b"\r\n\r\n" in head or len(head) > _MOST_HEAD
    message.longest_header, message.size_of_headers = header_sizes(head)


def header_sizes(content: bytes) -> tuple[int, int]:
    """Return the longest header (folds included) and all of them, in bytes, as Message counts them."""
    head = content.partition(b"\r\n\r\n")[0] + b"\r\n"
    lengths = [0]
    for line in head.split(b"\r\n")[:-1]:
        size = len(line) + len(b"\r\n")
        if line[:1] in (b" ", b"\t"):
            lengths[-1] += size
        else:
            lengths.append(size)
    return max(lengths), sum(lengths)
