"""The exchange's books beside ours: what was compared, and what was found.

A closed order is final, except that a revision may correct it: its `revision` grows by one, and the trade log gets one
more entry. So do positions and reservations. A fill that stood for executions which the exchange did not list is kept
and does not count any more once they are there.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UP = (
    "ALTER TABLE trade_orders ADD COLUMN revision INTEGER DEFAULT 1 NOT NULL",
    "ALTER TABLE trade_orders ADD COLUMN revised_at TIMESTAMP WITH TIME ZONE",
    "ALTER TABLE trade_orders ADD CONSTRAINT ck_trade_orders_revision_positive CHECK (revision > 0)",
    """
    ALTER TABLE trade_orders ADD CONSTRAINT ck_trade_orders_revised_at
        CHECK ((revised_at IS NOT NULL) = (revision > 1))
    """,
    "COMMENT ON COLUMN trade_orders.revision IS 'Above 1: the exchange''s later evidence corrected a closed order'",
    "CREATE INDEX ix_trade_orders_account_id_completed_at ON trade_orders (account_id, completed_at)",
    "ALTER TABLE positions ADD COLUMN revision INTEGER DEFAULT 1 NOT NULL",
    "ALTER TABLE positions ADD CONSTRAINT ck_positions_revision_positive CHECK (revision > 0)",
    "ALTER TABLE reservations ADD COLUMN revision INTEGER DEFAULT 1 NOT NULL",
    "ALTER TABLE reservations ADD CONSTRAINT ck_reservations_revision_positive CHECK (revision > 0)",
    "ALTER TABLE fills ADD COLUMN replaced_at TIMESTAMP WITH TIME ZONE",
    """
    COMMENT ON COLUMN fills.replaced_at IS
        'Since when the real executions stand beside this one, which stood for them; it does not count any more'
    """,
    "DROP TRIGGER next_status ON trade_orders",
    """
    CREATE TRIGGER next_status BEFORE UPDATE ON trade_orders
        FOR EACH ROW
        WHEN (
            OLD.status <> NEW.status
            AND (OLD.status, NEW.status) NOT IN (
                ('pending', 'submitted'), ('pending', 'failed'),
                ('submitted', 'filled'), ('submitted', 'rejected')
            )
            AND NOT (
                NEW.revision = OLD.revision + 1
                AND (OLD.status, NEW.status) IN (
                    ('rejected', 'filled'), ('failed', 'filled'), ('failed', 'rejected')
                )
            )
        )
        EXECUTE FUNCTION refuse_status()
    """,
    """
    CREATE TRIGGER revised_openly BEFORE UPDATE ON trade_orders
        FOR EACH ROW
        WHEN (
            NEW.revision <> OLD.revision
            AND (NEW.revision <> OLD.revision + 1 OR OLD.status NOT IN ('filled', 'rejected', 'failed'))
            OR NEW.revision = OLD.revision
            AND OLD.status IN ('filled', 'rejected', 'failed')
            AND ROW (OLD.executed_quantity, OLD.executed_quote, OLD.executed_price, OLD.fees, OLD.realised_pnl,
                     OLD.completed_at, OLD.submitted_at, OLD.exchange_order_id, OLD.error_code, OLD.position_id)
                IS DISTINCT FROM
                ROW (NEW.executed_quantity, NEW.executed_quote, NEW.executed_price, NEW.fees, NEW.realised_pnl,
                     NEW.completed_at, NEW.submitted_at, NEW.exchange_order_id, NEW.error_code, NEW.position_id)
        )
        EXECUTE FUNCTION refuse_change('a closed order is corrected by its next revision only')
    """,
    "DROP TRIGGER stays_closed ON positions",
    """
    CREATE TRIGGER stays_closed BEFORE UPDATE ON positions
        FOR EACH ROW
        WHEN (OLD.status = 'closed' AND NEW.status <> 'closed' AND NEW.revision <> OLD.revision + 1)
        EXECUTE FUNCTION refuse_status()
    """,
    """
    CREATE TRIGGER revised_openly BEFORE UPDATE ON positions
        FOR EACH ROW WHEN (NEW.revision NOT IN (OLD.revision, OLD.revision + 1))
        EXECUTE FUNCTION refuse_change('revisions are counted one by one')
    """,
    "DROP TRIGGER ends_once ON reservations",
    """
    CREATE TRIGGER ends_once BEFORE UPDATE ON reservations
        FOR EACH ROW
        WHEN (OLD.state <> 'held' AND NOT (NEW.state = 'settled' AND NEW.revision = OLD.revision + 1))
        EXECUTE FUNCTION refuse_change('it has ended already')
    """,
    "DROP TRIGGER append_only ON fills",
    """
    CREATE TRIGGER append_only BEFORE DELETE ON fills
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER only_replaced BEFORE UPDATE ON fills
        FOR EACH ROW
        WHEN (
            OLD.replaced_at IS NOT NULL OR NEW.replaced_at IS NULL OR OLD.exchange_trade_id NOT LIKE '%\\:rest%'
            OR ROW (OLD.id, OLD.account_id, OLD.order_id, OLD.symbol, OLD.side, OLD.exchange_trade_id, OLD.price,
                    OLD.quantity, OLD.quote_quantity, OLD.fee, OLD.fee_asset, OLD.is_maker, OLD.filled_at,
                    OLD.recorded_at)
                IS DISTINCT FROM
                ROW (NEW.id, NEW.account_id, NEW.order_id, NEW.symbol, NEW.side, NEW.exchange_trade_id, NEW.price,
                     NEW.quantity, NEW.quote_quantity, NEW.fee, NEW.fee_asset, NEW.is_maker, NEW.filled_at,
                     NEW.recorded_at)
        )
        EXECUTE FUNCTION refuse_change('only one that stood for others can be replaced, once')
    """,
    """
    CREATE TABLE external_orders (
        account_id UUID NOT NULL,
        exchange_order_id TEXT NOT NULL,
        client_order_id TEXT,
        symbol TEXT NOT NULL,
        side TEXT NOT NULL,
        order_type TEXT NOT NULL,
        price NUMERIC,
        quantity NUMERIC NOT NULL,
        executed_quantity NUMERIC DEFAULT 0 NOT NULL,
        executed_quote NUMERIC DEFAULT 0 NOT NULL,
        status TEXT NOT NULL,
        placed_at TIMESTAMP WITH TIME ZONE NOT NULL,
        first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_external_orders PRIMARY KEY (account_id, exchange_order_id),
        CONSTRAINT fk_external_orders_account_id FOREIGN KEY(account_id) REFERENCES accounts (id),
        CONSTRAINT ck_external_orders_exchange_order_id_not_empty CHECK (btrim(exchange_order_id) <> ''),
        CONSTRAINT ck_external_orders_symbol_not_empty CHECK (btrim(symbol) <> ''),
        CONSTRAINT ck_external_orders_side CHECK (side = ANY ('{buy,sell}'::text[])),
        CONSTRAINT ck_external_orders_price_not_negative CHECK (price >= '0'::numeric AND price < 'Infinity'::numeric),
        CONSTRAINT ck_external_orders_quantity_not_negative
            CHECK (quantity >= '0'::numeric AND quantity < 'Infinity'::numeric),
        CONSTRAINT ck_external_orders_executed_quantity_not_negative
            CHECK (executed_quantity >= '0'::numeric AND executed_quantity < 'Infinity'::numeric),
        CONSTRAINT ck_external_orders_executed_quote_not_negative
            CHECK (executed_quote >= '0'::numeric AND executed_quote < 'Infinity'::numeric),
        CONSTRAINT ck_external_orders_updated_after_seen CHECK (updated_at >= first_seen_at)
    )
    """,
    "CREATE INDEX ix_external_orders_first_seen_at ON external_orders (first_seen_at DESC)",
    "COMMENT ON TABLE external_orders IS 'Orders of an account that we did not send, as the exchange lists them'",
    "COMMENT ON COLUMN external_orders.order_type IS 'The exchange''s own word'",
    "COMMENT ON COLUMN external_orders.status IS 'The exchange''s own word'",
    """
    CREATE TABLE account_balances (
        account_id UUID NOT NULL,
        asset TEXT NOT NULL,
        free NUMERIC NOT NULL,
        locked NUMERIC NOT NULL,
        booked NUMERIC DEFAULT 0 NOT NULL,
        traded NUMERIC NOT NULL,
        external_movement NUMERIC,
        checked_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_account_balances PRIMARY KEY (account_id, asset),
        CONSTRAINT fk_account_balances_account_id FOREIGN KEY(account_id) REFERENCES accounts (id),
        CONSTRAINT ck_account_balances_asset_not_empty CHECK (btrim(asset) <> ''),
        CONSTRAINT ck_account_balances_free_not_negative CHECK (free >= '0'::numeric AND free < 'Infinity'::numeric),
        CONSTRAINT ck_account_balances_locked_not_negative
            CHECK (locked >= '0'::numeric AND locked < 'Infinity'::numeric),
        CONSTRAINT ck_account_balances_booked_not_negative
            CHECK (booked >= '0'::numeric AND booked < 'Infinity'::numeric),
        CONSTRAINT ck_account_balances_traded_finite
            CHECK (traded > '-Infinity'::numeric AND traded < 'Infinity'::numeric),
        CONSTRAINT ck_account_balances_external_movement_finite
            CHECK (external_movement > '-Infinity'::numeric AND external_movement < 'Infinity'::numeric)
    )
    """,
    "COMMENT ON TABLE account_balances IS 'The wallet as it was last compared with the books'",
    "COMMENT ON COLUMN account_balances.booked IS 'What our open live positions hold of it'",
    "COMMENT ON COLUMN account_balances.traded IS 'Sum of what all our live fills moved'",
    """
    COMMENT ON COLUMN account_balances.external_movement IS
        'The last change of the wallet that no fill of ours explains'
    """,
    """
    CREATE TABLE reconciliations (
        id BIGSERIAL NOT NULL,
        account_id UUID NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE NOT NULL,
        finished_at TIMESTAMP WITH TIME ZONE NOT NULL,
        orders_checked INTEGER NOT NULL,
        differences JSONB DEFAULT '[]'::jsonb NOT NULL,
        agreed BOOLEAN NOT NULL,
        CONSTRAINT pk_reconciliations PRIMARY KEY (id),
        CONSTRAINT uq_reconciliations_account_id_started_at UNIQUE (account_id, started_at),
        CONSTRAINT fk_reconciliations_account_id FOREIGN KEY(account_id) REFERENCES accounts (id),
        CONSTRAINT ck_reconciliations_finished_after_started CHECK (finished_at >= started_at),
        CONSTRAINT ck_reconciliations_orders_checked_not_negative CHECK (orders_checked >= 0),
        CONSTRAINT ck_reconciliations_differences_is_array CHECK (jsonb_typeof(differences) = 'array')
    )
    """,
    "CREATE INDEX ix_reconciliations_account_id_finished_at ON reconciliations (account_id, finished_at DESC)",
    "COMMENT ON TABLE reconciliations IS 'Comparisons with the exchange; those without differences are kept for a day'",
    "COMMENT ON COLUMN reconciliations.agreed IS 'False: a difference is left that was not corrected'",
)

DOWN = (
    "DROP TABLE reconciliations",
    "DROP TABLE account_balances",
    "DROP TABLE external_orders",
    "DROP TRIGGER only_replaced ON fills",
    "DROP TRIGGER append_only ON fills",
    # They do not count any more, and nothing would say so; the trade log keeps them.
    "DELETE FROM fills WHERE replaced_at IS NOT NULL",
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON fills
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    "DROP TRIGGER ends_once ON reservations",
    """
    CREATE TRIGGER ends_once BEFORE UPDATE ON reservations
        FOR EACH ROW WHEN (OLD.state <> 'held') EXECUTE FUNCTION refuse_change('it has ended already')
    """,
    "DROP TRIGGER revised_openly ON positions",
    "DROP TRIGGER stays_closed ON positions",
    """
    CREATE TRIGGER stays_closed BEFORE UPDATE ON positions
        FOR EACH ROW WHEN (OLD.status = 'closed' AND NEW.status <> 'closed')
        EXECUTE FUNCTION refuse_status()
    """,
    "DROP TRIGGER revised_openly ON trade_orders",
    "DROP TRIGGER next_status ON trade_orders",
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
    "ALTER TABLE fills DROP COLUMN replaced_at",
    "ALTER TABLE reservations DROP COLUMN revision",
    "ALTER TABLE positions DROP COLUMN revision",
    "DROP INDEX ix_trade_orders_account_id_completed_at",
    "ALTER TABLE trade_orders DROP COLUMN revised_at",
    "ALTER TABLE trade_orders DROP COLUMN revision",
)


def upgrade() -> None:
    """Add."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN:
        op.execute(statement)
