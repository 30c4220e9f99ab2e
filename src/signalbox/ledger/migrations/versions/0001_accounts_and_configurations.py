"""Accounts, configurations, runs, leaders and settings."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UP = (
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% refused on %: %',
            TG_OP, TG_TABLE_NAME, coalesce(TG_ARGV[0], 'its rows are kept as they were written')
            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
    END $$
    """,
    """
    CREATE FUNCTION refuse_status() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            RAISE EXCEPTION 'a row of % cannot start as %', TG_TABLE_NAME, NEW.status
                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
        END IF;
        RAISE EXCEPTION '% % cannot go from % to %', TG_TABLE_NAME, OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
    END $$
    """,
    """
    CREATE FUNCTION notify_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('signalbox', TG_ARGV[0]);
        RETURN NULL;
    END $$
    """,
    """
    CREATE TABLE accounts (
        id UUID NOT NULL,
        venue TEXT NOT NULL,
        label TEXT NOT NULL,
        environment TEXT DEFAULT 'local' NOT NULL,
        validated_at TIMESTAMP WITH TIME ZONE,
        last_error TEXT,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_accounts PRIMARY KEY (id),
        CONSTRAINT uq_accounts_venue_label UNIQUE (venue, label),
        CONSTRAINT ck_accounts_venue CHECK (venue = ANY ('{mexc,hyperliquid}'::text[])),
        CONSTRAINT ck_accounts_environment CHECK (environment = ANY ('{local,dev,prod}'::text[])),
        CONSTRAINT ck_accounts_label_not_empty CHECK (btrim(label) <> '')
    )
    """,
    "COMMENT ON TABLE accounts IS 'A credential set on a venue; the secret itself is never stored here'",
    """
    CREATE TABLE account_ownership (
        account_id UUID NOT NULL,
        fence BIGINT NOT NULL,
        holder TEXT NOT NULL,
        acquired_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_account_ownership PRIMARY KEY (account_id),
        CONSTRAINT ck_account_ownership_fence_positive CHECK (fence > 0),
        CONSTRAINT fk_account_ownership_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
    )
    """,
    """
    COMMENT ON COLUMN account_ownership.fence IS 'Rises with every new owner; a stale owner cannot write'
    """,
    """
    CREATE TABLE bot_configurations (
        id UUID NOT NULL,
        name TEXT NOT NULL,
        version INTEGER DEFAULT 1 NOT NULL,
        strategy TEXT NOT NULL,
        mode TEXT DEFAULT 'simulation' NOT NULL,
        symbols TEXT[] NOT NULL,
        quote_amount NUMERIC NOT NULL,
        max_trades_per_hour INTEGER NOT NULL,
        max_daily_spend NUMERIC NOT NULL,
        recv_window INTEGER NOT NULL,
        safety_enabled BOOLEAN DEFAULT true NOT NULL,
        parameters JSONB DEFAULT '{}'::jsonb NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        created_by TEXT NOT NULL,
        CONSTRAINT pk_bot_configurations PRIMARY KEY (id),
        CONSTRAINT uq_bot_configurations_name_version UNIQUE (name, version),
        CONSTRAINT ck_bot_configurations_strategy CHECK (strategy = ANY ('{listing_sniper,fade}'::text[])),
        CONSTRAINT ck_bot_configurations_mode CHECK (mode = ANY ('{simulation,live}'::text[])),
        CONSTRAINT ck_bot_configurations_name_not_empty CHECK (btrim(name) <> ''),
        CONSTRAINT ck_bot_configurations_created_by_not_empty CHECK (btrim(created_by) <> ''),
        CONSTRAINT ck_bot_configurations_quote_amount_positive
            CHECK (quote_amount > '0'::numeric AND quote_amount < 'Infinity'::numeric),
        CONSTRAINT ck_bot_configurations_max_daily_spend_positive
            CHECK (max_daily_spend > '0'::numeric AND max_daily_spend < 'Infinity'::numeric),
        CONSTRAINT ck_bot_configurations_parameters_is_object CHECK (jsonb_typeof(parameters) = 'object'),
        CONSTRAINT ck_bot_configurations_version_positive CHECK (version > 0),
        CONSTRAINT ck_bot_configurations_max_trades_per_hour CHECK (max_trades_per_hour BETWEEN 1 AND 100),
        CONSTRAINT ck_bot_configurations_recv_window CHECK (recv_window BETWEEN 1 AND 1000),
        CONSTRAINT ck_bot_configurations_symbols_not_empty
            CHECK (cardinality(symbols) > 0 AND array_position(symbols, NULL) IS NULL AND '' <> ALL (symbols))
    )
    """,
    "COMMENT ON TABLE bot_configurations IS 'Immutable; a change makes a new version'",
    "COMMENT ON COLUMN bot_configurations.symbols IS 'Exact pairs or patterns such as *USDT'",
    "COMMENT ON COLUMN bot_configurations.recv_window IS 'Milliseconds'",
    """
    CREATE TABLE bot_runs (
        id UUID NOT NULL,
        account_id UUID NOT NULL,
        configuration_id UUID NOT NULL,
        strategy TEXT NOT NULL,
        status TEXT DEFAULT 'starting' NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE NOT NULL,
        stopped_at TIMESTAMP WITH TIME ZONE,
        last_heartbeat TIMESTAMP WITH TIME ZONE,
        operator_id TEXT NOT NULL,
        error_message TEXT,
        stop_mode TEXT,
        configuration_snapshot JSONB NOT NULL,
        code_version TEXT NOT NULL,
        CONSTRAINT pk_bot_runs PRIMARY KEY (id),
        CONSTRAINT ck_bot_runs_strategy CHECK (strategy = ANY ('{listing_sniper,fade}'::text[])),
        CONSTRAINT ck_bot_runs_status
            CHECK (status = ANY ('{starting,running,stopping,stopped,failed}'::text[])),
        CONSTRAINT ck_bot_runs_stop_mode CHECK (stop_mode = ANY ('{entries,cancel,flatten}'::text[])),
        CONSTRAINT ck_bot_runs_operator_id_not_empty CHECK (btrim(operator_id) <> ''),
        CONSTRAINT ck_bot_runs_configuration_snapshot_is_object
            CHECK (jsonb_typeof(configuration_snapshot) = 'object'),
        CONSTRAINT ck_bot_runs_failed_says_why
            CHECK (status <> 'failed' OR (error_message IS NOT NULL AND btrim(error_message) <> '')),
        CONSTRAINT ck_bot_runs_stopped_at
            CHECK ((stopped_at IS NOT NULL) = (status IN ('stopped', 'failed'))),
        CONSTRAINT ck_bot_runs_stopped_after_start CHECK (stopped_at > started_at),
        CONSTRAINT ck_bot_runs_heartbeat_after_start CHECK (last_heartbeat >= started_at),
        CONSTRAINT fk_bot_runs_account_id FOREIGN KEY(account_id) REFERENCES accounts (id),
        CONSTRAINT fk_bot_runs_configuration_id
            FOREIGN KEY(configuration_id) REFERENCES bot_configurations (id)
    )
    """,
    "CREATE INDEX ix_bot_runs_configuration_id ON bot_runs (configuration_id)",
    "CREATE INDEX ix_bot_runs_status_last_heartbeat ON bot_runs (status, last_heartbeat)",
    """
    CREATE UNIQUE INDEX uq_bot_runs_active
        ON bot_runs (account_id, strategy) WHERE status IN ('starting', 'running', 'stopping')
    """,
    """
    CREATE TABLE leaders (
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        wallet_address TEXT NOT NULL,
        account_id UUID NOT NULL,
        enabled BOOLEAN DEFAULT false NOT NULL,
        leverage_multiplier NUMERIC DEFAULT 1 NOT NULL,
        sizing_mode TEXT DEFAULT 'multiplier' NOT NULL,
        fixed_notional NUMERIC,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_leaders PRIMARY KEY (id),
        CONSTRAINT uq_leaders_account_id_wallet_address UNIQUE (account_id, wallet_address),
        CONSTRAINT ck_leaders_id_not_empty CHECK (btrim(id) <> ''),
        CONSTRAINT ck_leaders_name_not_empty CHECK (btrim(name) <> ''),
        CONSTRAINT ck_leaders_wallet_address CHECK (wallet_address ~ '^0x[0-9a-fA-F]{40}$'),
        CONSTRAINT ck_leaders_leverage_multiplier CHECK (leverage_multiplier BETWEEN 0.1 AND 10),
        CONSTRAINT ck_leaders_sizing_mode
            CHECK (sizing_mode = ANY ('{multiplier,equity_ratio,fixed_notional}'::text[])),
        CONSTRAINT ck_leaders_fixed_notional_positive
            CHECK (fixed_notional > '0'::numeric AND fixed_notional < 'Infinity'::numeric),
        CONSTRAINT ck_leaders_fixed_notional_given
            CHECK (sizing_mode <> 'fixed_notional' OR fixed_notional IS NOT NULL),
        CONSTRAINT fk_leaders_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
    )
    """,
    "COMMENT ON COLUMN leaders.id IS 'A short name such as gemini-3-pro'",
    "COMMENT ON COLUMN leaders.account_id IS 'The account we trade on'",
    """
    CREATE TABLE settings (
        account_id UUID NOT NULL,
        version INTEGER DEFAULT 1 NOT NULL,
        mode TEXT DEFAULT 'simulation' NOT NULL,
        max_trade_usdt NUMERIC NOT NULL,
        max_position_usdt NUMERIC NOT NULL,
        global_exposure_cap NUMERIC,
        asset_exposure_caps JSONB DEFAULT '{}'::jsonb NOT NULL,
        daily_loss_limit NUMERIC,
        auto_trade BOOLEAN DEFAULT false NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        updated_by TEXT NOT NULL,
        CONSTRAINT pk_settings PRIMARY KEY (account_id),
        CONSTRAINT ck_settings_mode CHECK (mode = ANY ('{simulation,live}'::text[])),
        CONSTRAINT ck_settings_max_trade_usdt_positive
            CHECK (max_trade_usdt > '0'::numeric AND max_trade_usdt < 'Infinity'::numeric),
        CONSTRAINT ck_settings_max_position_usdt
            CHECK (max_position_usdt >= max_trade_usdt AND max_position_usdt < 'Infinity'::numeric),
        CONSTRAINT ck_settings_global_exposure_cap_not_negative
            CHECK (global_exposure_cap >= '0'::numeric AND global_exposure_cap < 'Infinity'::numeric),
        CONSTRAINT ck_settings_daily_loss_limit_not_negative
            CHECK (daily_loss_limit >= '0'::numeric AND daily_loss_limit < 'Infinity'::numeric),
        CONSTRAINT ck_settings_asset_exposure_caps_is_object
            CHECK (jsonb_typeof(asset_exposure_caps) = 'object'),
        CONSTRAINT ck_settings_updated_by_not_empty CHECK (btrim(updated_by) <> ''),
        CONSTRAINT ck_settings_version_positive CHECK (version > 0),
        CONSTRAINT fk_settings_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
    )
    """,
    "COMMENT ON COLUMN settings.global_exposure_cap IS 'NULL: unlimited'",
    "COMMENT ON COLUMN settings.daily_loss_limit IS 'NULL: unlimited'",
    """
    CREATE TABLE settings_history (
        account_id UUID NOT NULL,
        version INTEGER NOT NULL,
        mode TEXT DEFAULT 'simulation' NOT NULL,
        max_trade_usdt NUMERIC NOT NULL,
        max_position_usdt NUMERIC NOT NULL,
        global_exposure_cap NUMERIC,
        asset_exposure_caps JSONB DEFAULT '{}'::jsonb NOT NULL,
        daily_loss_limit NUMERIC,
        auto_trade BOOLEAN DEFAULT false NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        updated_by TEXT NOT NULL,
        CONSTRAINT pk_settings_history PRIMARY KEY (account_id, version),
        CONSTRAINT fk_settings_history_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
    )
    """,
    "COMMENT ON TABLE settings_history IS 'Every version of the settings; written by a trigger'",
    "COMMENT ON COLUMN settings_history.global_exposure_cap IS 'NULL: unlimited'",
    "COMMENT ON COLUMN settings_history.daily_loss_limit IS 'NULL: unlimited'",
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON bot_configurations
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON bot_configurations
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER keep_rows BEFORE DELETE ON bot_runs
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER keep_rows_truncate BEFORE TRUNCATE ON bot_runs
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER first_status BEFORE INSERT ON bot_runs
        FOR EACH ROW WHEN (NEW.status <> 'starting') EXECUTE FUNCTION refuse_status()
    """,
    """
    CREATE TRIGGER next_status BEFORE UPDATE ON bot_runs
        FOR EACH ROW
        WHEN (
            OLD.status <> NEW.status
            AND (OLD.status, NEW.status) NOT IN (
                ('starting', 'running'), ('starting', 'stopping'), ('starting', 'failed'),
                ('running', 'stopping'), ('running', 'failed'),
                ('stopping', 'stopped'), ('stopping', 'failed')
            )
        )
        EXECUTE FUNCTION refuse_status()
    """,
    """
    CREATE TRIGGER frozen_columns BEFORE UPDATE ON bot_runs
        FOR EACH ROW
        WHEN (
            ROW (OLD.id, OLD.account_id, OLD.configuration_id, OLD.strategy, OLD.started_at,
                 OLD.operator_id, OLD.configuration_snapshot, OLD.code_version)
            IS DISTINCT FROM
            ROW (NEW.id, NEW.account_id, NEW.configuration_id, NEW.strategy, NEW.started_at,
                 NEW.operator_id, NEW.configuration_snapshot, NEW.code_version)
        )
        EXECUTE FUNCTION refuse_change('only its state may change')
    """,
    """
    CREATE TRIGGER notify_insert AFTER INSERT ON bot_runs
        FOR EACH ROW EXECUTE FUNCTION notify_change('runs')
    """,
    """
    CREATE TRIGGER notify_update AFTER UPDATE ON bot_runs
        FOR EACH ROW
        WHEN (OLD.status <> NEW.status OR OLD.stop_mode IS DISTINCT FROM NEW.stop_mode)
        EXECUTE FUNCTION notify_change('runs')
    """,
    """
    CREATE FUNCTION keep_settings_history() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO settings_history (
            account_id, version, mode, max_trade_usdt, max_position_usdt, global_exposure_cap,
            asset_exposure_caps, daily_loss_limit, auto_trade, created_at, updated_at, updated_by
        ) VALUES (
            NEW.account_id, NEW.version, NEW.mode, NEW.max_trade_usdt, NEW.max_position_usdt,
            NEW.global_exposure_cap, NEW.asset_exposure_caps, NEW.daily_loss_limit, NEW.auto_trade,
            NEW.created_at, NEW.updated_at, NEW.updated_by
        );
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER keep_history AFTER INSERT OR UPDATE ON settings
        FOR EACH ROW EXECUTE FUNCTION keep_settings_history()
    """,
    """
    CREATE TRIGGER next_version BEFORE UPDATE ON settings
        FOR EACH ROW WHEN (NEW.version <> OLD.version + 1 OR NEW.account_id <> OLD.account_id)
        EXECUTE FUNCTION refuse_change('every change makes the next version')
    """,
    """
    CREATE TRIGGER keep_rows BEFORE DELETE ON settings
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER keep_rows_truncate BEFORE TRUNCATE ON settings
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER notify_change AFTER INSERT OR UPDATE ON settings
        FOR EACH ROW EXECUTE FUNCTION notify_change('settings')
    """,
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settings_history
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON settings_history
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER fence_only_rises BEFORE UPDATE ON account_ownership
        FOR EACH ROW WHEN (NEW.fence <= OLD.fence)
        EXECUTE FUNCTION refuse_change('the fence number only rises')
    """,
    """
    CREATE TRIGGER keep_rows BEFORE DELETE ON account_ownership
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER keep_rows_truncate BEFORE TRUNCATE ON account_ownership
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

DOWN = (
    "DROP TABLE settings_history",
    "DROP TABLE settings",
    "DROP TABLE leaders",
    "DROP TABLE bot_runs",
    "DROP TABLE bot_configurations",
    "DROP TABLE account_ownership",
    "DROP TABLE accounts",
    "DROP FUNCTION keep_settings_history",
    "DROP FUNCTION notify_change",
    "DROP FUNCTION refuse_status",
    "DROP FUNCTION refuse_change",
)


def upgrade() -> None:
    """Create."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop, newest first."""
    for statement in DOWN:
        op.execute(statement)
