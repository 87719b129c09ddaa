"""How Alembic is run: over the connection and within the transaction of filterd.ledger.database."""

from alembic import context

from filterd.ledger.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True
)
context.run_migrations()
