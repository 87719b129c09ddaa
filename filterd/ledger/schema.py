"""The ledger's tables, alike on SQLite and PostgreSQL. Times are milliseconds since 1970, UTC."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)
# SQLite counts up by itself only in a column of type INTEGER.
_Number: Final = BigInteger().with_variant(Integer, "sqlite")
_ID: Final = 25
_Ms: Final = BigInteger


def _message_id() -> Column[str]:
    return Column(
        "message",
        String(_ID),
        ForeignKey("messages.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    )


# One row: the number of the oldest revision whose release can work with these tables, and the ledger's own name, by
# which a store knows whose contents it holds.
READERS: Final = Table(
    "ledger_readers",
    METADATA,
    Column("oldest", Integer, nullable=False),
    Column("name", String(32), nullable=False),
)

MESSAGES: Final = Table(
    "messages",
    METADATA,
    Column("id", String(_ID), primary_key=True),
    Column("gateway", Text, nullable=False),
    Column("received_ms", _Ms, nullable=False, index=True),
    Column("queue_id", String(64), nullable=False, index=True),
    Column("message_id", Text, nullable=False),
    Column("sender", Text, nullable=False, index=True),
    Column("client_address", Text, nullable=False),
    Column("client_name", Text, nullable=False),
    Column("helo", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("direction", String(8), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("header_bytes", BigInteger, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("rule", Text, nullable=False),
    Column("score", Float),
    Column("reply", Text, nullable=False),
    Column("ms", Float, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("stage_ms", JSON, nullable=False),
    Column("sender_parameters", Text, nullable=False),
)

RECIPIENTS: Final = Table(
    "recipients",
    METADATA,
    Column("id", _Number, primary_key=True),
    _message_id(),
    Column("address", Text, nullable=False, index=True),
    Column("fate", String(16), nullable=False),
    Column("wanted", String(16), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("rule", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("changed", Boolean, nullable=False),
    Column("parameters", Text, nullable=False),
)

FINDINGS: Final = Table(
    "findings",
    METADATA,
    Column("id", _Number, primary_key=True),
    _message_id(),
    Column("stage", String(32), nullable=False),
    Column("rule", Text, nullable=False, index=True),
    Column("verdict", String(16), nullable=False),
    Column("path", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("score", Float),
    Column("counted", Boolean, nullable=False),
)

# Queue ids of mail that filterd handed to the MTA: variants of split messages, released messages.
INJECTIONS: Final = Table(
    "injections",
    METADATA,
    Column("id", _Number, primary_key=True),
    _message_id(),
    Column("queue_id", String(64), nullable=False, index=True),
    Column("at_ms", _Ms, nullable=False),
)

KEPT: Final = Table(
    "kept",
    METADATA,
    Column("id", String(_ID), primary_key=True),
    _message_id(),
    Column("kind", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("rule", Text, nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("since_ms", _Ms, nullable=False),
    Column("expires_ms", _Ms, nullable=False, index=True),  # 0: never
    Column("held_by", Text, nullable=False),  # "": by nobody; else it never expires
)

KEPT_FOR: Final = Table(
    "kept_for",
    METADATA,
    Column("id", _Number, primary_key=True),
    Column("kept", String(_ID), ForeignKey("kept.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("address", Text, nullable=False, index=True),
    Column("state", String(16), nullable=False),  # kept, released
    Column("changed_ms", _Ms, nullable=False),
)

# Who did what with kept mail and lists; it outlives what it is about.
EVENTS: Final = Table(
    "events",
    METADATA,
    Column("id", _Number, primary_key=True),
    Column("at_ms", _Ms, nullable=False, index=True),
    Column("actor", Text, nullable=False),
    Column("action", String(32), nullable=False),
    Column("subject", Text, nullable=False, index=True),  # id of a kept message, or name of a list entry
    Column("recipient", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

# How often a message came that could not be inspected; the fingerprint is of its envelope and content.
TRIES: Final = Table(
    "tries",
    METADATA,
    Column("fingerprint", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("first_ms", _Ms, nullable=False),
    Column("last_ms", _Ms, nullable=False, index=True),
)

LISTED: Final = Table(
    "listed",
    METADATA,
    Column("id", _Number, primary_key=True),
    Column("verdict", String(8), nullable=False),  # accept, reject
    Column("sender", Text, nullable=False),
    Column("recipient", Text, nullable=False),  # "": everybody's
    Column("client", Text, nullable=False),  # network, "": any
    Column("authentication", String(16), nullable=False),
    Column("expires_ms", _Ms, nullable=False),  # 0: never
    Column("made_ms", _Ms, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("note", Text, nullable=False),
)

Index("ix_messages_verdict_received", MESSAGES.c.verdict, MESSAGES.c.received_ms)
