"""Schema migrations: SQL written by hand, put in order by Alembic, run by `signalbox.ledger.migrate`.

A version file never changes once it is released; a change to the schema is a new version with its way back. Versions
run in one transaction with a lock timeout, so an upgrade that has to wait for a table gives up instead of blocking
the engine. Add first, fill in, then enforce.
"""
