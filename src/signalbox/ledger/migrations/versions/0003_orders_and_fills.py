"""Orders, fills and reserved capacity."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UP = (
    """
    CREATE TABLE trade_orders (
        id UUID NOT NULL,
        client_order_id TEXT NOT NULL,
        account_id UUID NOT NULL,
        run_id UUID,
        decision_id UUID NOT NULL,
        signal_id UUID,
        bot_trade_event_id UUID,
        leader_id TEXT,
        position_id UUID,
        symbol TEXT NOT NULL,
        side TEXT NOT NULL,
        purpose TEXT NOT NULL,
        order_type TEXT NOT NULL,
        time_in_force TEXT,
        quote_amount NUMERIC,
        quantity NUMERIC,
        limit_price NUMERIC,
        trigger_price NUMERIC,
        reduce_only BOOLEAN DEFAULT false NOT NULL,
        recv_window INTEGER,
        mode TEXT NOT NULL,
        fill_model TEXT,
        status TEXT DEFAULT 'pending' NOT NULL,
        attempt INTEGER DEFAULT 1 NOT NULL,
        exchange_order_id TEXT,
        request JSONB,
        response JSONB,
        error_code TEXT,
        error_reason TEXT,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        submitted_at TIMESTAMP WITH TIME ZONE,
        completed_at TIMESTAMP WITH TIME ZONE,
        unknown_since TIMESTAMP WITH TIME ZONE,
        executed_price NUMERIC,
        executed_quantity NUMERIC,
        executed_quote NUMERIC,
        fees JSONB,
        realised_pnl NUMERIC,
        latency_ms NUMERIC,
        exchange_event_at TIMESTAMP WITH TIME ZONE,
        received_at TIMESTAMP WITH TIME ZONE,
        decided_at TIMESTAMP WITH TIME ZONE,
        durable_at TIMESTAMP WITH TIME ZONE,
        sent_at TIMESTAMP WITH TIME ZONE,
        acknowledged_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_trade_orders PRIMARY KEY (id),
        CONSTRAINT uq_trade_orders_client_order_id UNIQUE (client_order_id),
        CONSTRAINT ck_trade_orders_client_order_id_not_empty CHECK (btrim(client_order_id) <> ''),
        CONSTRAINT ck_trade_orders_symbol_not_empty CHECK (btrim(symbol) <> ''),
        CONSTRAINT ck_trade_orders_side CHECK (side = ANY ('{buy,sell}'::text[])),
        CONSTRAINT ck_trade_orders_purpose CHECK (purpose = ANY ('{entry,exit}'::text[])),
        CONSTRAINT ck_trade_orders_order_type CHECK (order_type = ANY ('{market,limit,trigger}'::text[])),
        CONSTRAINT ck_trade_orders_time_in_force CHECK (time_in_force = ANY ('{GTC,IOC,FOK}'::text[])),
        CONSTRAINT ck_trade_orders_mode CHECK (mode = ANY ('{simulation,live}'::text[])),
        CONSTRAINT ck_trade_orders_status
            CHECK (status = ANY ('{pending,submitted,filled,rejected,failed}'::text[])),
        CONSTRAINT ck_trade_orders_one_size CHECK (num_nonnulls(quote_amount, quantity) = 1),
        CONSTRAINT ck_trade_orders_quote_amount_positive
            CHECK (quote_amount > '0'::numeric AND quote_amount < 'Infinity'::numeric),
        CONSTRAINT ck_trade_orders_quantity_positive
            CHECK (quantity > '0'::numeric AND quantity < 'Infinity'::numeric),
        CONSTRAINT ck_trade_orders_limit_price_positive
            CHECK (limit_price > '0'::numeric AND limit_price < 'Infinity'::numeric),
        CONSTRAINT ck_trade_orders_trigger_price_positive
            CHECK (trigger_price > '0'::numeric AND trigger_price < 'Infinity'::numeric),
        CONSTRAINT ck_trade_orders_limit_price_given CHECK (order_type <> 'limit' OR limit_price IS NOT NULL),
        CONSTRAINT ck_trade_orders_trigger_price_given
            CHECK (order_type <> 'trigger' OR trigger_price IS NOT NULL),
        CONSTRAINT ck_trade_orders_recv_window CHECK (recv_window BETWEEN 1 AND 1000),
        CONSTRAINT ck_trade_orders_attempt_positive CHECK (attempt > 0),
        CONSTRAINT ck_trade_orders_fill_model_only_simulated
            CHECK (fill_model IS NULL OR mode = 'simulation'),
        CONSTRAINT ck_trade_orders_fill_model_given
            CHECK (mode <> 'simulation' OR status <> 'filled' OR fill_model IS NOT NULL),
        CONSTRAINT ck_trade_orders_submitted_at
            CHECK (status <> ALL ('{submitted,filled}'::text[]) OR submitted_at IS NOT NULL),
        CONSTRAINT ck_trade_orders_pending_not_submitted
            CHECK (status <> ALL ('{pending,failed}'::text[]) OR submitted_at IS NULL),
        CONSTRAINT ck_trade_orders_completed_at
            CHECK ((completed_at IS NOT NULL) = (status = ANY ('{filled,rejected,failed}'::text[]))),
        CONSTRAINT ck_trade_orders_completed_after_submitted CHECK (completed_at >= submitted_at),
        CONSTRAINT ck_trade_orders_unknown_is_submitted CHECK (unknown_since IS NULL OR status = 'submitted'),
        CONSTRAINT ck_trade_orders_filled_has_fill
            CHECK (status <> 'filled' OR (num_nulls(executed_quantity, executed_price,
                executed_quote) = 0 AND executed_quantity > '0'::numeric)),
        CONSTRAINT ck_trade_orders_refusal_has_code
            CHECK (status <> ALL ('{rejected,failed}'::text[]) OR error_code IS NOT NULL),
        CONSTRAINT ck_trade_orders_executed_price_not_negative
            CHECK (executed_price >= '0'::numeric AND executed_price < 'Infinity'::numeric),
        CONSTRAINT ck_trade_orders_executed_quantity_not_negative
            CHECK (executed_quantity >= '0'::numeric AND executed_quantity < 'Infinity'::numeric),
        CONSTRAINT ck_trade_orders_executed_quote_not_negative
            CHECK (executed_quote >= '0'::numeric AND executed_quote < 'Infinity'::numeric),
        CONSTRAINT ck_trade_orders_latency_ms_not_negative
            CHECK (latency_ms >= '0'::numeric AND latency_ms < 'Infinity'::numeric),
        CONSTRAINT ck_trade_orders_realised_pnl_finite
            CHECK (realised_pnl > '-Infinity'::numeric AND realised_pnl < 'Infinity'::numeric),
        CONSTRAINT fk_trade_orders_account_id FOREIGN KEY(account_id) REFERENCES accounts (id),
        CONSTRAINT fk_trade_orders_run_id FOREIGN KEY(run_id) REFERENCES bot_runs (id),
        CONSTRAINT fk_trade_orders_decision_id FOREIGN KEY(decision_id) REFERENCES strategy_decisions (id),
        CONSTRAINT fk_trade_orders_signal_id FOREIGN KEY(signal_id) REFERENCES listing_signals (id),
        CONSTRAINT fk_trade_orders_bot_trade_event_id
            FOREIGN KEY(bot_trade_event_id) REFERENCES bot_trade_events (id),
        CONSTRAINT fk_trade_orders_leader_id FOREIGN KEY(leader_id) REFERENCES leaders (id),
        CONSTRAINT fk_trade_orders_position_id FOREIGN KEY(position_id) REFERENCES positions (id)
    )
    """,
    "CREATE INDEX ix_trade_orders_created_at ON trade_orders (created_at DESC)",
    "CREATE INDEX ix_trade_orders_decision_id ON trade_orders (decision_id)",
    "CREATE INDEX ix_trade_orders_leader_id_created_at ON trade_orders (leader_id, created_at)",
    """
    CREATE INDEX ix_trade_orders_open ON trade_orders (account_id) WHERE status IN ('pending', 'submitted')
    """,
    "CREATE INDEX ix_trade_orders_run_id ON trade_orders (run_id)",
    "CREATE INDEX ix_trade_orders_status_submitted_at ON trade_orders (status, submitted_at)",
    "CREATE INDEX ix_trade_orders_symbol ON trade_orders (symbol)",
    "COMMENT ON COLUMN trade_orders.recv_window IS 'Milliseconds'",
    "COMMENT ON COLUMN trade_orders.fill_model IS 'What filled a simulated order'",
    """
    COMMENT ON COLUMN trade_orders.unknown_since IS 'Since when nobody can tell whether the venue has it'
    """,
    "COMMENT ON COLUMN trade_orders.realised_pnl IS 'What this order booked on its position, quote'",
    """
    COMMENT
        ON COLUMN trade_orders.latency_ms IS 'Detection to sending, milliseconds with microsecond fraction'
    """,
    """
    CREATE TABLE fills (
        id BIGSERIAL NOT NULL,
        account_id UUID NOT NULL,
        order_id UUID NOT NULL,
        symbol TEXT NOT NULL,
        side TEXT NOT NULL,
        exchange_trade_id TEXT NOT NULL,
        price NUMERIC NOT NULL,
        quantity NUMERIC NOT NULL,
        quote_quantity NUMERIC NOT NULL,
        fee NUMERIC DEFAULT 0 NOT NULL,
        fee_asset TEXT NOT NULL,
        is_maker BOOLEAN DEFAULT false NOT NULL,
        filled_at TIMESTAMP WITH TIME ZONE NOT NULL,
        recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_fills PRIMARY KEY (id),
        CONSTRAINT uq_fills_account_id_symbol_exchange_trade_id_side UNIQUE (account_id, symbol,
            exchange_trade_id, side),
        CONSTRAINT ck_fills_side CHECK (side = ANY ('{buy,sell}'::text[])),
        CONSTRAINT ck_fills_exchange_trade_id_not_empty CHECK (btrim(exchange_trade_id) <> ''),
        CONSTRAINT ck_fills_price_positive CHECK (price > '0'::numeric AND price < 'Infinity'::numeric),
        CONSTRAINT ck_fills_quantity_positive
            CHECK (quantity > '0'::numeric AND quantity < 'Infinity'::numeric),
        CONSTRAINT ck_fills_quote_quantity_positive
            CHECK (quote_quantity > '0'::numeric AND quote_quantity < 'Infinity'::numeric),
        CONSTRAINT ck_fills_fee_finite CHECK (fee > '-Infinity'::numeric AND fee < 'Infinity'::numeric),
        CONSTRAINT fk_fills_account_id FOREIGN KEY(account_id) REFERENCES accounts (id),
        CONSTRAINT fk_fills_order_id FOREIGN KEY(order_id) REFERENCES trade_orders (id)
    )
    """,
    "CREATE INDEX ix_fills_account_id_filled_at ON fills (account_id, filled_at DESC)",
    "CREATE INDEX ix_fills_order_id ON fills (order_id)",
    """
    COMMENT ON TABLE fills IS 'Immutable; a trade of an account with itself has one trade id and two sides'
    """,
    "COMMENT ON COLUMN fills.fee IS 'Below zero is a rebate'",
    """
    CREATE TABLE reservations (
        decision_id UUID NOT NULL,
        account_id UUID NOT NULL,
        symbol TEXT NOT NULL,
        mode TEXT NOT NULL,
        amount NUMERIC NOT NULL,
        orders INTEGER DEFAULT 1 NOT NULL,
        state TEXT DEFAULT 'held' NOT NULL,
        settled_amount NUMERIC,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        settled_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_reservations PRIMARY KEY (decision_id),
        CONSTRAINT ck_reservations_amount_not_negative
            CHECK (amount >= '0'::numeric AND amount < 'Infinity'::numeric),
        CONSTRAINT ck_reservations_settled_amount_not_negative
            CHECK (settled_amount >= '0'::numeric AND settled_amount < 'Infinity'::numeric),
        CONSTRAINT ck_reservations_orders_not_negative CHECK (orders >= 0),
        CONSTRAINT ck_reservations_mode CHECK (mode = ANY ('{simulation,live}'::text[])),
        CONSTRAINT ck_reservations_state CHECK (state = ANY ('{held,settled,released}'::text[])),
        CONSTRAINT ck_reservations_settled_at CHECK ((settled_at IS NOT NULL) = (state <> 'held')),
        CONSTRAINT ck_reservations_settled_amount CHECK ((settled_amount IS NOT NULL) = (state = 'settled')),
        CONSTRAINT fk_reservations_decision_id FOREIGN KEY(decision_id) REFERENCES strategy_decisions (id),
        CONSTRAINT fk_reservations_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
    )
    """,
    "CREATE INDEX ix_reservations_account_id_created_at ON reservations (account_id, created_at)",
    "CREATE INDEX ix_reservations_held ON reservations (account_id) WHERE state = 'held'",
    "COMMENT ON COLUMN reservations.orders IS 'How many the hourly limit counts'",
    """
    CREATE TRIGGER first_status BEFORE INSERT ON trade_orders
        FOR EACH ROW WHEN (NEW.status NOT IN ('pending', 'rejected')) EXECUTE FUNCTION refuse_status()
    """,
    """
    CREATE TRIGGER next_status BEFORE UPDATE ON trade_orders
        FOR EACH ROW
        WHEN (
            OLD.status <> NEW.status
            AND (OLD.status, NEW.status) NOT IN (
                ('pending', 'submitted'), ('pending', 'failed'),
                ('submitted', 'filled'), ('submitted', 'rejected')
            )
        )
        EXECUTE FUNCTION refuse_status()
    """,
    """
    CREATE TRIGGER frozen_columns BEFORE UPDATE ON trade_orders
        FOR EACH ROW
        WHEN (
            ROW (OLD.id, OLD.client_order_id, OLD.account_id, OLD.run_id, OLD.decision_id, OLD.signal_id,
                 OLD.bot_trade_event_id, OLD.leader_id, OLD.symbol, OLD.side, OLD.purpose,
                 OLD.order_type, OLD.time_in_force, OLD.quote_amount, OLD.quantity,
                 OLD.limit_price, OLD.trigger_price, OLD.reduce_only, OLD.recv_window,
                 OLD.mode, OLD.attempt, OLD.created_at)
            IS DISTINCT FROM
            ROW (NEW.id, NEW.client_order_id, NEW.account_id, NEW.run_id, NEW.decision_id, NEW.signal_id,
                 NEW.bot_trade_event_id, NEW.leader_id, NEW.symbol, NEW.side, NEW.purpose,
                 NEW.order_type, NEW.time_in_force, NEW.quote_amount, NEW.quantity,
                 NEW.limit_price, NEW.trigger_price, NEW.reduce_only, NEW.recv_window,
                 NEW.mode, NEW.attempt, NEW.created_at)
        )
        EXECUTE FUNCTION refuse_change('only its state may change')
    """,
    """
    CREATE TRIGGER keep_rows BEFORE DELETE ON trade_orders
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER keep_rows_truncate BEFORE TRUNCATE ON trade_orders
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON fills
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON fills
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER keep_rows BEFORE DELETE ON reservations
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER keep_rows_truncate BEFORE TRUNCATE ON reservations
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER frozen_columns BEFORE UPDATE ON reservations
        FOR EACH ROW
        WHEN (
            ROW (OLD.decision_id, OLD.account_id, OLD.symbol, OLD.mode, OLD.amount, OLD.orders,
                 OLD.created_at)
            IS DISTINCT FROM
            ROW (NEW.decision_id, NEW.account_id, NEW.symbol, NEW.mode, NEW.amount, NEW.orders,
                 NEW.created_at)
        )
        EXECUTE FUNCTION refuse_change('only its state may change')
    """,
    """
    CREATE TRIGGER ends_once BEFORE UPDATE ON reservations
        FOR EACH ROW WHEN (OLD.state <> 'held') EXECUTE FUNCTION refuse_change('it has ended already')
    """,
)

DOWN = (
    "DROP TABLE reservations",
    "DROP TABLE fills",
    "DROP TABLE trade_orders",
)


def upgrade() -> None:
    """Create."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop, newest first."""
    for statement in DOWN:
        op.execute(statement)
