"""What alembic runs: the ledger hands over its open transaction, so all or nothing happens."""

from __future__ import annotations

from alembic import context

from riskwright.ledger.tables import SCHEMA_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=SCHEMA_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
