"""Has the spam engine learn a kept message: what was wrongly kept as ham, what was wrongly let in as spam."""

from typing import Protocol

from sqlalchemy import Engine, select

from filterd.config import Config
from filterd.message import Envelope, Message, Spool
from filterd.refill import refill

from . import schema as s
from .acts import found, told
from .blobs import Blobs
from .roles import Actor


class Teachable(Protocol):
    """What learns (filterd.scanners.spamd.Spamd)."""

    async def tell(self, message: Message, *, spam: bool) -> bool:
        """Return whether it has learnt something new."""


async def learn(
    engine: Engine, blobs: Blobs, config: Config, teach: Teachable, *, kept_id: str, actor: Actor, spam: bool
) -> bool:
    """Teach one entry; returns whether it was new. Raises RefusedError, BlobError, ScannerError, SQLAlchemyError.

    Trace and envelope go with it as they went when it was judged: the tokens to be learnt are the same.
    """
    with engine.connect() as connection:
        one = found(connection, actor, "learn", kept_id)
        row = connection.execute(select(s.MESSAGES).where(s.MESSAGES.c.id == one.message)).one()
    envelope = Envelope(
        client_name=row.client_name.encode(),
        client_address=row.client_address.encode(),
        helo=row.helo.encode(),
        sender=f"<{row.sender}>".encode(),
        queue_id=row.queue_id.encode() or None,
        host=row.gateway.encode() or None,
        user=row.user.encode() or None,
    )
    spool = Spool(config.milter.spool_dir, one.size + 64 * 1024)
    message = Message(envelope, spool, max_bytes=config.milter.max_message_bytes)
    try:
        refill(message, blobs.pieces(one.digest))
        new = await teach.tell(message, spam=spam)
    finally:
        message.close()
    told(engine, actor, "learn-spam" if spam else "learn-ham", kept_id, "new" if new else "was known")
    return new
