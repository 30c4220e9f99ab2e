"""What is going to be listed, and how far the venue's clock is from ours."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

UP = (
    """
    CREATE TABLE listing_schedule (
        id BIGSERIAL NOT NULL,
        account_id UUID NOT NULL,
        symbol TEXT NOT NULL,
        opens_at TIMESTAMP WITH TIME ZONE NOT NULL,
        origins TEXT[] NOT NULL,
        disputed JSONB DEFAULT '{}'::jsonb NOT NULL,
        state TEXT DEFAULT 'scheduled' NOT NULL,
        moves JSONB DEFAULT '[]'::jsonb NOT NULL,
        verdict TEXT,
        reasons JSONB DEFAULT '[]'::jsonb NOT NULL,
        first_announced_at TIMESTAMP WITH TIME ZONE NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_listing_schedule PRIMARY KEY (id),
        CONSTRAINT fk_listing_schedule_account_id FOREIGN KEY(account_id) REFERENCES accounts (id),
        CONSTRAINT ck_listing_schedule_symbol_not_empty CHECK (btrim(symbol) <> ''),
        CONSTRAINT ck_listing_schedule_origins_not_empty
            CHECK (cardinality(origins) > 0 AND array_position(origins, NULL) IS NULL),
        CONSTRAINT ck_listing_schedule_state CHECK (state = ANY ('{scheduled,opened,cancelled}'::text[])),
        CONSTRAINT ck_listing_schedule_verdict CHECK (verdict = ANY ('{eligible,ineligible,uncertain}'::text[])),
        CONSTRAINT ck_listing_schedule_disputed_is_object CHECK (jsonb_typeof(disputed) = 'object'),
        CONSTRAINT ck_listing_schedule_moves_is_array CHECK (jsonb_typeof(moves) = 'array'),
        CONSTRAINT ck_listing_schedule_reasons_is_array CHECK (jsonb_typeof(reasons) = 'array')
    )
    """,
    """
    CREATE UNIQUE INDEX uq_listing_schedule_scheduled ON listing_schedule (account_id, symbol)
        WHERE state = 'scheduled'
    """,
    "CREATE INDEX ix_listing_schedule_opens_at ON listing_schedule (opens_at DESC)",
    """
    COMMENT ON TABLE listing_schedule IS
        'Announced listings as an account''s feed knew them; one scheduled row per symbol'
    """,
    "COMMENT ON COLUMN listing_schedule.opens_at IS 'By the venue''s clock'",
    "COMMENT ON COLUMN listing_schedule.origins IS 'The sources that name this opening'",
    "COMMENT ON COLUMN listing_schedule.disputed IS 'What other sources name instead: origin -> opening'",
    "COMMENT ON COLUMN listing_schedule.moves IS 'Each change of the opening: at, old, new, origin'",
    """
    COMMENT ON COLUMN listing_schedule.verdict IS
        'Judged before the opening; the decision at the opening does not depend on it'
    """,
    """
    COMMENT ON COLUMN listing_schedule.reasons IS
        'What the verdict rests on: name, ok, value, limit, message'
    """,
    """
    CREATE TABLE clock_offsets (
        id BIGSERIAL NOT NULL,
        venue TEXT NOT NULL,
        measured_at TIMESTAMP WITH TIME ZONE NOT NULL,
        offset_us BIGINT NOT NULL,
        error_us BIGINT NOT NULL,
        samples INTEGER NOT NULL,
        CONSTRAINT pk_clock_offsets PRIMARY KEY (id),
        CONSTRAINT uq_clock_offsets_venue_measured_at UNIQUE (venue, measured_at),
        CONSTRAINT ck_clock_offsets_venue CHECK (venue = ANY ('{mexc,hyperliquid}'::text[])),
        CONSTRAINT ck_clock_offsets_error_not_negative CHECK (error_us >= 0),
        CONSTRAINT ck_clock_offsets_samples_positive CHECK (samples > 0)
    )
    """,
    "COMMENT ON COLUMN clock_offsets.offset_us IS 'The venue''s clock minus ours, microseconds'",
    "COMMENT ON COLUMN clock_offsets.error_us IS 'The true offset lies within this, microseconds'",
    "COMMENT ON COLUMN clock_offsets.samples IS 'How many comparisons it rests on'",
    "ALTER TABLE trade_orders ADD COLUMN due_at TIMESTAMP WITH TIME ZONE",
    """
    COMMENT ON COLUMN trade_orders.due_at IS
        'When it was to arrive: the venue''s opening plus the lead, by our clock'
    """,
)

DOWN = (
    "ALTER TABLE trade_orders DROP COLUMN due_at",
    "DROP TABLE clock_offsets",
    "DROP TABLE listing_schedule",
)


def upgrade() -> None:
    """Add."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN:
        op.execute(statement)
