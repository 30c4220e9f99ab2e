"""Listings, signals, leaders' events, positions and decisions."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UP = (
    """
    CREATE TABLE listings (
        id BIGSERIAL NOT NULL,
        symbol TEXT NOT NULL,
        listed_at TIMESTAMP WITH TIME ZONE NOT NULL,
        source TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_listings PRIMARY KEY (id),
        CONSTRAINT unique_listing UNIQUE (symbol, listed_at),
        CONSTRAINT ck_listings_source
            CHECK (source = ANY ('{mexc_websocket,mexc_rest_api,test_injection}'::text[])),
        CONSTRAINT ck_listings_symbol_not_empty CHECK (btrim(symbol) <> '')
    )
    """,
    "CREATE INDEX idx_listings_created_at ON listings (created_at DESC)",
    "CREATE INDEX idx_listings_source_created ON listings (source, created_at DESC)",
    "COMMENT ON TABLE listings IS 'Tracks new token listings detected from MEXC'",
    """
    COMMENT ON COLUMN listings.source IS 'Detection source: mexc_websocket | mexc_rest_api | test_injection'
    """,
    """
    CREATE TABLE listing_signals (
        id UUID NOT NULL,
        symbol TEXT NOT NULL,
        listed_at TIMESTAMP WITH TIME ZONE NOT NULL,
        detection_source TEXT NOT NULL,
        detected_at TIMESTAMP WITH TIME ZONE NOT NULL,
        listing_time TIMESTAMP WITH TIME ZONE,
        confidence TEXT NOT NULL,
        freshness_deadline TIMESTAMP WITH TIME ZONE NOT NULL,
        processed BOOLEAN DEFAULT false NOT NULL,
        exchange_event_at TIMESTAMP WITH TIME ZONE,
        price NUMERIC,
        evidence JSONB DEFAULT '[]'::jsonb NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_listing_signals PRIMARY KEY (id),
        CONSTRAINT uq_listing_signals_symbol_listed_at UNIQUE (symbol, listed_at),
        CONSTRAINT ck_listing_signals_symbol_not_empty CHECK (btrim(symbol) <> ''),
        CONSTRAINT ck_listing_signals_detection_source
            CHECK (detection_source = ANY ('{calendar,ticker_diff,websocket,test_injection}'::text[])),
        CONSTRAINT ck_listing_signals_confidence CHECK (confidence = ANY ('{high,medium,low}'::text[])),
        CONSTRAINT ck_listing_signals_fresh_after_detection CHECK (freshness_deadline > detected_at),
        CONSTRAINT ck_listing_signals_price_positive
            CHECK (price > '0'::numeric AND price < 'Infinity'::numeric),
        CONSTRAINT ck_listing_signals_evidence_is_array CHECK (jsonb_typeof(evidence) = 'array')
    )
    """,
    "CREATE INDEX ix_listing_signals_created_at ON listing_signals (created_at DESC)",
    """
    CREATE INDEX ix_listing_signals_processed_freshness_deadline
        ON listing_signals (processed, freshness_deadline)
    """,
    "COMMENT ON COLUMN listing_signals.price IS 'What the first source said the market was at, if it did'",
    "COMMENT ON COLUMN listing_signals.evidence IS 'What later sources said about the same listing'",
    """
    CREATE TABLE bot_trade_events (
        id UUID NOT NULL,
        leader_id TEXT NOT NULL,
        wallet_address TEXT NOT NULL,
        timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
        event_type TEXT NOT NULL,
        asset TEXT NOT NULL,
        side TEXT,
        size NUMERIC,
        price NUMERIC,
        notional NUMERIC,
        previous_size NUMERIC,
        current_size NUMERIC,
        exchange_trade_id TEXT,
        exchange_order_id TEXT,
        transaction_hash TEXT,
        raw JSONB DEFAULT '{}'::jsonb NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_bot_trade_events PRIMARY KEY (id),
        CONSTRAINT ck_bot_trade_events_event_type CHECK (event_type = ANY ('{fill,position-change}'::text[])),
        CONSTRAINT ck_bot_trade_events_side CHECK (side = ANY ('{buy,sell}'::text[])),
        CONSTRAINT ck_bot_trade_events_asset_not_empty CHECK (btrim(asset) <> ''),
        CONSTRAINT ck_bot_trade_events_size_positive
            CHECK (size > '0'::numeric AND size < 'Infinity'::numeric),
        CONSTRAINT ck_bot_trade_events_price_positive
            CHECK (price > '0'::numeric AND price < 'Infinity'::numeric),
        CONSTRAINT ck_bot_trade_events_previous_size_finite
            CHECK (previous_size > '-Infinity'::numeric AND previous_size < 'Infinity'::numeric),
        CONSTRAINT ck_bot_trade_events_current_size_finite
            CHECK (current_size > '-Infinity'::numeric AND current_size < 'Infinity'::numeric),
        CONSTRAINT ck_bot_trade_events_fill_complete
            CHECK (event_type <> 'fill' OR num_nulls(side, size, price, notional, exchange_trade_id) = 0),
        CONSTRAINT ck_bot_trade_events_change_complete
            CHECK (event_type <> 'position-change' OR num_nulls(previous_size, current_size) = 0),
        CONSTRAINT fk_bot_trade_events_leader_id FOREIGN KEY(leader_id) REFERENCES leaders (id)
    )
    """,
    "CREATE INDEX ix_bot_trade_events_asset ON bot_trade_events (asset)",
    "CREATE INDEX ix_bot_trade_events_leader_id_timestamp ON bot_trade_events (leader_id, timestamp)",
    "CREATE INDEX ix_bot_trade_events_timestamp ON bot_trade_events (timestamp)",
    """
    CREATE UNIQUE INDEX uq_bot_trade_events_exchange_id
        ON bot_trade_events (leader_id, asset, event_type,
            exchange_trade_id) WHERE exchange_trade_id IS NOT NULL
    """,
    """
    CREATE TABLE positions (
        id UUID NOT NULL,
        account_id UUID NOT NULL,
        symbol TEXT NOT NULL,
        leader_id TEXT,
        mode TEXT NOT NULL,
        status TEXT DEFAULT 'open' NOT NULL,
        quantity NUMERIC DEFAULT 0 NOT NULL,
        average_entry_price NUMERIC,
        cost NUMERIC DEFAULT 0 NOT NULL,
        realised_pnl NUMERIC DEFAULT 0 NOT NULL,
        fees NUMERIC DEFAULT 0 NOT NULL,
        opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
        closed_at TIMESTAMP WITH TIME ZONE,
        exit_plan JSONB DEFAULT '{}'::jsonb NOT NULL,
        signal_id UUID,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_positions PRIMARY KEY (id),
        CONSTRAINT ck_positions_mode CHECK (mode = ANY ('{simulation,live}'::text[])),
        CONSTRAINT ck_positions_status CHECK (status = ANY ('{open,closed}'::text[])),
        CONSTRAINT ck_positions_symbol_not_empty CHECK (btrim(symbol) <> ''),
        CONSTRAINT ck_positions_quantity_finite
            CHECK (quantity > '-Infinity'::numeric AND quantity < 'Infinity'::numeric),
        CONSTRAINT ck_positions_cost_finite
            CHECK (cost > '-Infinity'::numeric AND cost < 'Infinity'::numeric),
        CONSTRAINT ck_positions_realised_pnl_finite
            CHECK (realised_pnl > '-Infinity'::numeric AND realised_pnl < 'Infinity'::numeric),
        CONSTRAINT ck_positions_fees_finite
            CHECK (fees > '-Infinity'::numeric AND fees < 'Infinity'::numeric),
        CONSTRAINT ck_positions_average_entry_price_not_negative
            CHECK (average_entry_price >= '0'::numeric AND average_entry_price < 'Infinity'::numeric),
        CONSTRAINT ck_positions_closed_at CHECK ((closed_at IS NOT NULL) = (status = 'closed')),
        CONSTRAINT ck_positions_closed_after_opened CHECK (closed_at >= opened_at),
        CONSTRAINT fk_positions_account_id FOREIGN KEY(account_id) REFERENCES accounts (id),
        CONSTRAINT fk_positions_leader_id FOREIGN KEY(leader_id) REFERENCES leaders (id),
        CONSTRAINT fk_positions_signal_id FOREIGN KEY(signal_id) REFERENCES listing_signals (id)
    )
    """,
    "CREATE INDEX ix_positions_account_id_opened_at ON positions (account_id, opened_at DESC)",
    """
    CREATE UNIQUE INDEX uq_positions_open
        ON positions (account_id, symbol, coalesce(leader_id, ''), mode) WHERE status = 'open'
    """,
    "COMMENT ON COLUMN positions.quantity IS 'Base or contracts; below zero is short'",
    """
    CREATE TABLE strategy_decisions (
        id UUID NOT NULL,
        account_id UUID NOT NULL,
        run_id UUID,
        configuration_id UUID,
        strategy TEXT NOT NULL,
        timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
        decision TEXT NOT NULL,
        reason TEXT NOT NULL,
        skip_code TEXT,
        risk_checks JSONB DEFAULT '[]'::jsonb NOT NULL,
        settings_snapshot JSONB DEFAULT '{}'::jsonb NOT NULL,
        inputs JSONB DEFAULT '{}'::jsonb NOT NULL,
        code_version TEXT NOT NULL,
        listing_signal_id UUID,
        bot_trade_event_id UUID,
        exit_rule TEXT,
        operator TEXT,
        position_id UUID,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_strategy_decisions PRIMARY KEY (id),
        CONSTRAINT ck_strategy_decisions_strategy CHECK (strategy = ANY ('{listing_sniper,fade}'::text[])),
        CONSTRAINT ck_strategy_decisions_decision CHECK (decision = ANY ('{execute,skip}'::text[])),
        CONSTRAINT ck_strategy_decisions_skip_code CHECK ((decision = 'skip') = (skip_code IS NOT NULL)),
        CONSTRAINT ck_strategy_decisions_one_cause
            CHECK (num_nonnulls(listing_signal_id, bot_trade_event_id, exit_rule, operator) = 1),
        CONSTRAINT ck_strategy_decisions_exit_has_position
            CHECK (exit_rule IS NULL OR position_id IS NOT NULL),
        CONSTRAINT ck_strategy_decisions_risk_checks_is_array CHECK (jsonb_typeof(risk_checks) = 'array'),
        CONSTRAINT ck_strategy_decisions_settings_snapshot_is_object
            CHECK (jsonb_typeof(settings_snapshot) = 'object'),
        CONSTRAINT ck_strategy_decisions_inputs_is_object CHECK (jsonb_typeof(inputs) = 'object'),
        CONSTRAINT fk_strategy_decisions_account_id FOREIGN KEY(account_id) REFERENCES accounts (id),
        CONSTRAINT fk_strategy_decisions_run_id FOREIGN KEY(run_id) REFERENCES bot_runs (id),
        CONSTRAINT fk_strategy_decisions_configuration_id
            FOREIGN KEY(configuration_id) REFERENCES bot_configurations (id),
        CONSTRAINT fk_strategy_decisions_listing_signal_id
            FOREIGN KEY(listing_signal_id) REFERENCES listing_signals (id),
        CONSTRAINT fk_strategy_decisions_bot_trade_event_id
            FOREIGN KEY(bot_trade_event_id) REFERENCES bot_trade_events (id),
        CONSTRAINT fk_strategy_decisions_position_id FOREIGN KEY(position_id) REFERENCES positions (id)
    )
    """,
    "CREATE INDEX ix_strategy_decisions_bot_trade_event_id ON strategy_decisions (bot_trade_event_id)",
    "CREATE INDEX ix_strategy_decisions_decision ON strategy_decisions (decision)",
    "CREATE INDEX ix_strategy_decisions_listing_signal_id ON strategy_decisions (listing_signal_id)",
    "CREATE INDEX ix_strategy_decisions_timestamp ON strategy_decisions (timestamp)",
    """
    CREATE UNIQUE INDEX uq_strategy_decisions_listing
        ON strategy_decisions (account_id, listing_signal_id) WHERE listing_signal_id IS NOT NULL
    """,
    "COMMENT ON TABLE strategy_decisions IS 'Immutable; why we traded or did not'",
    "COMMENT ON COLUMN strategy_decisions.timestamp IS 'When it was decided'",
    """
    COMMENT
        ON COLUMN strategy_decisions.risk_checks IS 'Every check with its limit, its value and its verdict'
    """,
    "COMMENT ON COLUMN strategy_decisions.inputs IS 'All that the decision was computed from'",
    "COMMENT ON COLUMN strategy_decisions.operator IS 'Who asked, when an operator is the cause'",
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON listings
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON listings
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER notify_injection AFTER INSERT ON listings
        FOR EACH ROW WHEN (NEW.source = 'test_injection') EXECUTE FUNCTION notify_change('listings')
    """,
    """
    CREATE TRIGGER keep_rows BEFORE DELETE ON listing_signals
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER keep_rows_truncate BEFORE TRUNCATE ON listing_signals
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER frozen_columns BEFORE UPDATE ON listing_signals
        FOR EACH ROW
        WHEN (
            ROW (OLD.id, OLD.symbol, OLD.listed_at, OLD.detection_source, OLD.detected_at,
                 OLD.listing_time, OLD.confidence, OLD.freshness_deadline,
                 OLD.exchange_event_at, OLD.price, OLD.created_at)
            IS DISTINCT FROM
            ROW (NEW.id, NEW.symbol, NEW.listed_at, NEW.detection_source, NEW.detected_at,
                 NEW.listing_time, NEW.confidence, NEW.freshness_deadline,
                 NEW.exchange_event_at, NEW.price, NEW.created_at)
        )
        EXECUTE FUNCTION refuse_change('only its state may change')
    """,
    """
    CREATE TRIGGER processed_once BEFORE UPDATE ON listing_signals
        FOR EACH ROW WHEN (OLD.processed AND NOT NEW.processed)
        EXECUTE FUNCTION refuse_change('a processed signal stays processed')
    """,
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON bot_trade_events
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON bot_trade_events
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON strategy_decisions
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON strategy_decisions
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    ALTER TABLE strategy_decisions SET (toast_tuple_target = 8160)
    """,
    """
    CREATE TRIGGER keep_rows BEFORE DELETE ON positions
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER keep_rows_truncate BEFORE TRUNCATE ON positions
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER stays_closed BEFORE UPDATE ON positions
        FOR EACH ROW WHEN (OLD.status = 'closed' AND NEW.status <> 'closed')
        EXECUTE FUNCTION refuse_status()
    """,
    """
    CREATE TRIGGER frozen_columns BEFORE UPDATE ON positions
        FOR EACH ROW
        WHEN (
            ROW (OLD.id, OLD.account_id, OLD.symbol, OLD.leader_id, OLD.mode, OLD.opened_at)
            IS DISTINCT FROM
            ROW (NEW.id, NEW.account_id, NEW.symbol, NEW.leader_id, NEW.mode, NEW.opened_at)
        )
        EXECUTE FUNCTION refuse_change('only its state may change')
    """,
)

DOWN = (
    "DROP TABLE strategy_decisions",
    "DROP TABLE positions",
    "DROP TABLE bot_trade_events",
    "DROP TABLE listing_signals",
    "DROP TABLE listings",
)


def upgrade() -> None:
    """Create."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop, newest first."""
    for statement in DOWN:
        op.execute(statement)
