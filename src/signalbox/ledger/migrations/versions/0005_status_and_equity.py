"""The kill switch, connection states, component health and equity."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UP = (
    """
    CREATE TABLE system_status (
        id SMALLINT DEFAULT 1 NOT NULL,
        kill_switch BOOLEAN DEFAULT false NOT NULL,
        kill_switch_mode TEXT,
        kill_switch_activated_at TIMESTAMP WITH TIME ZONE,
        kill_switch_activated_by TEXT,
        kill_switch_deactivated_at TIMESTAMP WITH TIME ZONE,
        kill_switch_deactivated_by TEXT,
        kill_switch_reason TEXT,
        mexc_connected BOOLEAN DEFAULT false NOT NULL,
        last_mexc_check TIMESTAMP WITH TIME ZONE,
        hyperliquid_connected BOOLEAN DEFAULT false NOT NULL,
        last_hyperliquid_check TIMESTAMP WITH TIME ZONE,
        last_event_time TIMESTAMP WITH TIME ZONE,
        last_order_time TIMESTAMP WITH TIME ZONE,
        started_at TIMESTAMP WITH TIME ZONE,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_system_status PRIMARY KEY (id),
        CONSTRAINT ck_system_status_one_row CHECK (id = 1),
        CONSTRAINT ck_system_status_kill_switch_mode
            CHECK (kill_switch_mode = ANY ('{block,cancel,flatten,freeze}'::text[])),
        CONSTRAINT ck_system_status_kill_switch_says_who
            CHECK (NOT kill_switch OR num_nulls(kill_switch_mode, kill_switch_activated_at,
                kill_switch_activated_by) = 0)
    )
    """,
    "COMMENT ON TABLE system_status IS 'One row: the kill switch and the state of the connections'",
    """
    CREATE TABLE bot_health (
        id BIGSERIAL NOT NULL,
        component_name TEXT NOT NULL,
        status TEXT NOT NULL,
        last_event_at TIMESTAMP WITH TIME ZONE,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        details JSONB DEFAULT '{}'::jsonb NOT NULL,
        CONSTRAINT pk_bot_health PRIMARY KEY (id),
        CONSTRAINT uq_bot_health_component_name UNIQUE (component_name),
        CONSTRAINT ck_bot_health_component_name_not_empty CHECK (btrim(component_name) <> ''),
        CONSTRAINT ck_bot_health_status CHECK (status = ANY ('{running,stopped,degraded,error}'::text[])),
        CONSTRAINT ck_bot_health_details_is_object CHECK (jsonb_typeof(details) = 'object')
    )
    """,
    """
    CREATE TABLE equity_snapshots (
        id BIGSERIAL NOT NULL,
        timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
        account_id UUID,
        granularity TEXT DEFAULT 'five_minutes' NOT NULL,
        bots_aggregate NUMERIC,
        fade_arena NUMERIC NOT NULL,
        bot_equities JSONB DEFAULT '{}'::jsonb NOT NULL,
        CONSTRAINT pk_equity_snapshots PRIMARY KEY (id),
        CONSTRAINT ck_equity_snapshots_granularity
            CHECK (granularity = ANY ('{five_minutes,change,hourly}'::text[])),
        CONSTRAINT ck_equity_snapshots_bots_aggregate_finite
            CHECK (bots_aggregate > '-Infinity'::numeric AND bots_aggregate < 'Infinity'::numeric),
        CONSTRAINT ck_equity_snapshots_fade_arena_finite
            CHECK (fade_arena > '-Infinity'::numeric AND fade_arena < 'Infinity'::numeric),
        CONSTRAINT ck_equity_snapshots_bot_equities_is_object CHECK (jsonb_typeof(bot_equities) = 'object'),
        CONSTRAINT fk_equity_snapshots_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
    )
    """,
    "CREATE INDEX ix_equity_snapshots_account_id_timestamp ON equity_snapshots (account_id, timestamp)",
    "CREATE INDEX ix_equity_snapshots_timestamp ON equity_snapshots (timestamp)",
    "COMMENT ON COLUMN equity_snapshots.account_id IS 'NULL: all accounts together'",
    "COMMENT ON COLUMN equity_snapshots.bots_aggregate IS 'Equity of all leaders'",
    "COMMENT ON COLUMN equity_snapshots.fade_arena IS 'Our own equity'",
    "COMMENT ON COLUMN equity_snapshots.bot_equities IS 'Equity by leader'",
    """
    INSERT INTO system_status (id) VALUES (1)
    """,
    """
    CREATE FUNCTION kill_switch_now() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        RETURN (SELECT CASE WHEN kill_switch THEN kill_switch_mode ELSE 'off' END FROM system_status);
    END $$
    """,
    """
    COMMENT ON FUNCTION kill_switch_now() IS
        'The switch as committed at the call, not at the start of the statement: the last gate reads it under a lock'
    """,
    """
    CREATE TRIGGER notify_kill_switch AFTER UPDATE ON system_status
        FOR EACH ROW
        WHEN (OLD.kill_switch <> NEW.kill_switch OR OLD.kill_switch_mode IS DISTINCT FROM NEW.kill_switch_mode)
        EXECUTE FUNCTION notify_change('kill_switch')
    """,
    """
    CREATE TRIGGER keep_rows BEFORE DELETE ON system_status
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER keep_rows_truncate BEFORE TRUNCATE ON system_status
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

DOWN = (
    "DROP TABLE equity_snapshots",
    "DROP TABLE bot_health",
    "DROP TABLE system_status",
    "DROP FUNCTION kill_switch_now()",
)


def upgrade() -> None:
    """Create."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop, newest first."""
    for statement in DOWN:
        op.execute(statement)
