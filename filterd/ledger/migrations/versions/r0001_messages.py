"""Messages, their recipients and findings; what is kept, for whom, and who did what with it."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    readers = op.create_table(
        "ledger_readers",
        sa.Column("oldest", sa.Integer, nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
    )
    op.bulk_insert(readers, [{"oldest": 1, "name": secrets.token_hex(16)}])
    _messages()
    _about_messages()
    _kept()
    _counts()


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.String(25), primary_key=True),
        sa.Column("gateway", sa.Text, nullable=False),
        sa.Column("received_ms", sa.BigInteger, nullable=False, index=True),
        sa.Column("queue_id", sa.String(64), nullable=False, index=True),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("sender", sa.Text, nullable=False, index=True),
        sa.Column("client_address", sa.Text, nullable=False),
        sa.Column("client_name", sa.Text, nullable=False),
        sa.Column("helo", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("header_bytes", sa.BigInteger, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("score", sa.Float),
        sa.Column("reply", sa.Text, nullable=False),
        sa.Column("ms", sa.Float, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("stage_ms", sa.JSON, nullable=False),
    )
    op.create_index("ix_messages_verdict_received", "messages", ["verdict", "received_ms"])


def _message() -> sa.Column[str]:
    return sa.Column(
        "message",
        sa.String(25),
        sa.ForeignKey("messages.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    )


def _about_messages() -> None:
    op.create_table(
        "recipients",
        sa.Column("id", _NUMBER, primary_key=True),
        _message(),
        sa.Column("address", sa.Text, nullable=False, index=True),
        sa.Column("fate", sa.String(16), nullable=False),
        sa.Column("wanted", sa.String(16), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("changed", sa.Boolean, nullable=False),
    )
    op.create_table(
        "findings",
        sa.Column("id", _NUMBER, primary_key=True),
        _message(),
        sa.Column("stage", sa.String(32), nullable=False),
        sa.Column("rule", sa.Text, nullable=False, index=True),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("score", sa.Float),
        sa.Column("counted", sa.Boolean, nullable=False),
    )
    op.create_table(
        "injections",
        sa.Column("id", _NUMBER, primary_key=True),
        _message(),
        sa.Column("queue_id", sa.String(64), nullable=False, index=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )


def _kept() -> None:
    op.create_table(
        "kept",
        sa.Column("id", sa.String(25), primary_key=True),
        _message(),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, index=True),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=False, index=True),
        sa.Column("held_by", sa.Text, nullable=False),
    )
    op.create_table(
        "kept_for",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column(
            "kept", sa.String(25), sa.ForeignKey("kept.id", ondelete="CASCADE"), nullable=False, index=True
        ),
        sa.Column("address", sa.Text, nullable=False, index=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("changed_ms", sa.BigInteger, nullable=False),
    )


def _counts() -> None:
    op.create_table(
        "events",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False, index=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("subject", sa.Text, nullable=False, index=True),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_table(
        "tries",
        sa.Column("fingerprint", sa.String(64), primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("first_ms", sa.BigInteger, nullable=False),
        sa.Column("last_ms", sa.BigInteger, nullable=False, index=True),
    )


def downgrade() -> None:
    """Remove the tables."""
    for table in (
        "tries", "events", "kept_for", "kept", "injections", "findings", "recipients", "messages",
        "ledger_readers",
    ):  # fmt: skip
        op.drop_table(table)
