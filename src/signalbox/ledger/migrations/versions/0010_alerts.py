"""Alerts: what an operator has to look at, once per cause."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

UP = (
    """
    CREATE TABLE alerts (
        id BIGSERIAL NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        severity TEXT DEFAULT 'warning' NOT NULL,
        message TEXT NOT NULL,
        details JSONB DEFAULT '{}'::jsonb NOT NULL,
        first_at TIMESTAMP WITH TIME ZONE NOT NULL,
        last_at TIMESTAMP WITH TIME ZONE NOT NULL,
        count INTEGER DEFAULT 1 NOT NULL,
        acknowledged_at TIMESTAMP WITH TIME ZONE,
        acknowledged_by TEXT,
        resolved_at TIMESTAMP WITH TIME ZONE,
        resolution TEXT,
        CONSTRAINT pk_alerts PRIMARY KEY (id),
        CONSTRAINT ck_alerts_severity CHECK (severity = ANY ('{info,warning,critical}'::text[])),
        CONSTRAINT ck_alerts_kind CHECK (kind ~ '^[a-z][a-z0-9_]*$'),
        CONSTRAINT ck_alerts_subject_not_empty CHECK (btrim(subject) <> ''),
        CONSTRAINT ck_alerts_message_not_empty CHECK (btrim(message) <> ''),
        CONSTRAINT ck_alerts_resolution_not_empty CHECK (btrim(resolution) <> ''),
        CONSTRAINT ck_alerts_details_is_object CHECK (jsonb_typeof(details) = 'object'),
        CONSTRAINT ck_alerts_count_positive CHECK (count > 0),
        CONSTRAINT ck_alerts_last_after_first CHECK (last_at >= first_at),
        CONSTRAINT ck_alerts_resolved_after_last CHECK (resolved_at >= last_at),
        CONSTRAINT ck_alerts_acknowledged_says_who CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
        CONSTRAINT ck_alerts_resolved_says_why CHECK ((resolved_at IS NULL) = (resolution IS NULL))
    )
    """,
    "CREATE UNIQUE INDEX uq_alerts_open ON alerts (kind, subject) WHERE resolved_at IS NULL",
    "CREATE INDEX ix_alerts_last_at ON alerts (last_at)",
    "COMMENT ON TABLE alerts IS 'One open alert per kind and subject; those that are over stay as history'",
    "COMMENT ON COLUMN alerts.subject IS 'What it is about: an account, a symbol, a position'",
    "COMMENT ON COLUMN alerts.count IS 'How often it was raised'",
    """
    CREATE TRIGGER keep_rows BEFORE DELETE ON alerts
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER keep_rows_truncate BEFORE TRUNCATE ON alerts
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER keep_resolved BEFORE UPDATE ON alerts
        FOR EACH ROW WHEN (OLD.resolved_at IS NOT NULL)
        EXECUTE FUNCTION refuse_change('an alert that is over is history')
    """,
    "ALTER TABLE accounts ADD COLUMN validation_asked_at TIMESTAMP WITH TIME ZONE",
    """
    COMMENT ON COLUMN accounts.validation_asked_at IS 'When an operator last asked the engine to check the secret'
    """,
    "ALTER TABLE accounts ADD COLUMN checked_at TIMESTAMP WITH TIME ZONE",
    "COMMENT ON COLUMN accounts.checked_at IS 'When the engine last finished such a check, whatever it found'",
    """
    CREATE TRIGGER notify_validation AFTER UPDATE OF validation_asked_at ON accounts
        FOR EACH ROW EXECUTE FUNCTION notify_change('accounts')
    """,
)

DOWN = (
    "DROP TRIGGER notify_validation ON accounts",
    "ALTER TABLE accounts DROP COLUMN checked_at",
    "ALTER TABLE accounts DROP COLUMN validation_asked_at",
    "DROP TABLE alerts",
)


def upgrade() -> None:
    """Add."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN:
        op.execute(statement)
