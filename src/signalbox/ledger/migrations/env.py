"""Alembic environment. Versions are pure SQL, so Alembic only writes the script; `ledger.migrate` runs it."""

from alembic import context

context.configure(
    dialect_name="postgresql+asyncpg",
    transactional_ddl=False,  # the caller owns the transaction
    literal_binds=True,
)
context.run_migrations()
