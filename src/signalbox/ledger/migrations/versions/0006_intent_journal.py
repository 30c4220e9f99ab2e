"""Intents become durable as one row, and are spread over their tables while the order is on its way."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

UP = (
    """
    CREATE TABLE intent_journal (
        decision_id UUID NOT NULL,
        account_id UUID NOT NULL,
        listing_signal_id UUID,
        document TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_intent_journal PRIMARY KEY (decision_id)
    )
    """,
    """
    CREATE UNIQUE INDEX ix_intent_journal_account_id_listing_signal_id
    ON intent_journal (account_id, listing_signal_id)
    """,
    # Documents are short-lived: kept in their row as they are, compressing them would cost more than it saves.
    "ALTER TABLE intent_journal SET (toast_tuple_target = 8160)",
    "ALTER TABLE intent_journal ALTER COLUMN document SET STORAGE EXTERNAL",
    "COMMENT ON COLUMN intent_journal.document IS 'The intent as JSON'",
    """
    COMMENT ON TABLE intent_journal IS
    'Intents that are durable and not yet spread over their tables; empty most of the time'
    """,
)


def upgrade() -> None:
    """Add the journal."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Refuse while an intent waits: it is nowhere else."""
    op.execute(
        """
        DO $$ BEGIN
            IF EXISTS (SELECT FROM intent_journal) THEN
                RAISE EXCEPTION 'intent_journal is not empty: start the engine once, so that it settles what waits';
            END IF;
        END $$
        """
    )
    op.execute("DROP TABLE intent_journal")
