"""Positions remember what their exit rules need after a restart."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UP = (
    "ALTER TABLE positions ADD COLUMN bought NUMERIC DEFAULT 0 NOT NULL",
    "ALTER TABLE positions ADD COLUMN highest_bid NUMERIC",
    # What older positions bought, from their fills; a fee in the coin itself was never received. An order of theirs
    # names the position, an entry's first one has it in the decision's id.
    """
    UPDATE positions AS p SET bought = greatest(p.quantity, coalesce(b.received, 0), 0)
    FROM positions AS old LEFT JOIN LATERAL (
        SELECT sum(
            f.quantity - CASE WHEN f.symbol IN (f.fee_asset || 'USDT', f.fee_asset || 'USDC') THEN f.fee ELSE 0 END
        ) AS received
        FROM trade_orders AS o JOIN fills AS f ON f.order_id = o.id
        WHERE (o.position_id = old.id OR o.decision_id = old.id) AND f.side = 'buy'
    ) AS b ON true
    WHERE p.id = old.id
    """,
    """
    ALTER TABLE positions ADD CONSTRAINT ck_positions_bought_not_negative
        CHECK (bought >= '0'::numeric AND bought < 'Infinity'::numeric)
    """,
    """
    ALTER TABLE positions ADD CONSTRAINT ck_positions_highest_bid_positive
        CHECK (highest_bid > '0'::numeric AND highest_bid < 'Infinity'::numeric)
    """,
    "COMMENT ON COLUMN positions.bought IS 'All base that buys brought, after fees in base'",
    "COMMENT ON COLUMN positions.highest_bid IS 'Since the entry; kept for a trailing stop'",
    # Whether a stop has fired is asked of the decisions.
    """
    CREATE INDEX ix_strategy_decisions_position_id ON strategy_decisions (position_id) WHERE exit_rule IS NOT NULL
    """,
)

DOWN = (
    "DROP INDEX ix_strategy_decisions_position_id",
    "ALTER TABLE positions DROP COLUMN highest_bid",
    "ALTER TABLE positions DROP COLUMN bought",
)


def upgrade() -> None:
    """Add."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN:
        op.execute(statement)
