"""Sending on a stream whose other end may have gone.

The attack it stops: a peer that hangs up at the wrong moment and is taken for a mistake of our own.
"""

import asyncio


def put(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Have data sent. Raises ConnectionResetError when the connection has ended.

    uvloop's transport raises RuntimeError then, which no caller takes for the peer's doing, and does so before a reader of
    the stream has had its turn to hear of the end.
    """
    if writer.is_closing():
        raise ConnectionResetError("the connection has ended")
    writer.write(data)
