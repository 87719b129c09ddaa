"""The parameters of MAIL and RCPT with which a message came. A release without them works on as before."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_COLUMNS = (("messages", "sender_parameters"), ("recipients", "parameters"))


def upgrade() -> None:
    """Make the columns; what is there, and what an older release writes, came without any."""
    for table, name in _COLUMNS:
        op.add_column(table, sa.Column(name, sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    """Remove the columns and what they hold."""
    for table, name in _COLUMNS:
        op.drop_column(table, name)
