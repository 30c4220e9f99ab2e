"""Every symbol that appeared, traded or not, and who saw it first."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

UP = (
    """
    CREATE TABLE listing_records (
        account_id UUID NOT NULL,
        listing_id UUID NOT NULL,
        symbol TEXT NOT NULL,
        listed_at TIMESTAMP WITH TIME ZONE NOT NULL,
        is_test BOOLEAN DEFAULT false NOT NULL,
        run_id UUID,
        first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
        first_seen_by TEXT NOT NULL,
        opens_at TIMESTAMP WITH TIME ZONE,
        tradable_at TIMESTAMP WITH TIME ZONE,
        tradable_by TEXT,
        api_tradable BOOLEAN,
        outcome TEXT DEFAULT 'pending' NOT NULL,
        reason_code TEXT,
        reason_limit TEXT,
        reason TEXT,
        decision_id UUID,
        quote_amount NUMERIC,
        book_read_at TIMESTAMP WITH TIME ZONE,
        best_ask NUMERIC,
        book_quantity NUMERIC,
        book_spent NUMERIC,
        bid_after_1m NUMERIC,
        bid_after_5m NUMERIC,
        bid_after_15m NUMERIC,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_listing_records PRIMARY KEY (account_id, listing_id),
        CONSTRAINT ck_listing_records_symbol_not_empty CHECK (btrim(symbol) <> ''),
        CONSTRAINT ck_listing_records_first_seen_by
            CHECK (first_seen_by = ANY ('{calendar,ticker_diff,websocket,test_injection,market_list}'::text[])),
        CONSTRAINT ck_listing_records_tradable_by
            CHECK (tradable_by = ANY ('{ticker_diff,websocket,market_rules,order}'::text[])),
        CONSTRAINT ck_listing_records_outcome CHECK (outcome = ANY ('{pending,traded,missed}'::text[])),
        CONSTRAINT ck_listing_records_test_is_injected CHECK (is_test = (first_seen_by = 'test_injection')),
        CONSTRAINT ck_listing_records_proof_says_what CHECK (num_nulls(tradable_at, tradable_by) IN (0, 2)),
        CONSTRAINT ck_listing_records_missed_says_why
            CHECK (num_nulls(reason_code, reason) = CASE WHEN outcome = 'missed' THEN 0 ELSE 2 END),
        CONSTRAINT ck_listing_records_limit_has_reason
            CHECK (reason_limit IS NULL OR reason_code IS NOT NULL),
        CONSTRAINT ck_listing_records_traded_was_decided
            CHECK (outcome <> 'traded' OR decision_id IS NOT NULL),
        CONSTRAINT ck_listing_records_book_complete
            CHECK (num_nulls(book_read_at, best_ask, book_quantity, book_spent) IN (0, 4)),
        CONSTRAINT ck_listing_records_bids_follow_book
            CHECK (book_read_at IS NOT NULL OR num_nonnulls(bid_after_1m, bid_after_5m, bid_after_15m) = 0),
        CONSTRAINT ck_listing_records_quote_amount_positive
            CHECK (quote_amount > '0'::numeric AND quote_amount < 'Infinity'::numeric),
        CONSTRAINT ck_listing_records_best_ask_positive
            CHECK (best_ask > '0'::numeric AND best_ask < 'Infinity'::numeric),
        CONSTRAINT ck_listing_records_book_quantity_not_negative
            CHECK (book_quantity >= '0'::numeric AND book_quantity < 'Infinity'::numeric),
        CONSTRAINT ck_listing_records_book_spent_not_negative
            CHECK (book_spent >= '0'::numeric AND book_spent < 'Infinity'::numeric),
        CONSTRAINT ck_listing_records_bid_after_1m_not_negative
            CHECK (bid_after_1m >= '0'::numeric AND bid_after_1m < 'Infinity'::numeric),
        CONSTRAINT ck_listing_records_bid_after_5m_not_negative
            CHECK (bid_after_5m >= '0'::numeric AND bid_after_5m < 'Infinity'::numeric),
        CONSTRAINT ck_listing_records_bid_after_15m_not_negative
            CHECK (bid_after_15m >= '0'::numeric AND bid_after_15m < 'Infinity'::numeric),
        CONSTRAINT fk_listing_records_account_id FOREIGN KEY(account_id) REFERENCES accounts (id),
        CONSTRAINT fk_listing_records_run_id FOREIGN KEY(run_id) REFERENCES bot_runs (id),
        CONSTRAINT fk_listing_records_decision_id FOREIGN KEY(decision_id) REFERENCES strategy_decisions (id)
    )
    """,
    "CREATE INDEX ix_listing_records_first_seen_at ON listing_records (first_seen_at DESC)",
    "CREATE INDEX ix_listing_records_missed ON listing_records (first_seen_at DESC) WHERE outcome = 'missed'",
    "CREATE INDEX ix_listing_records_pending ON listing_records (account_id) WHERE outcome = 'pending'",
    "CREATE INDEX ix_listing_records_symbol_listed_at ON listing_records (symbol, listed_at)",
    """
    COMMENT ON TABLE listing_records
    IS 'One row per listing that appeared for an account that watches its venue'
    """,
    "COMMENT ON COLUMN listing_records.listing_id IS 'The id of its signal, computed from symbol and instant'",
    "COMMENT ON COLUMN listing_records.is_test IS 'Injected, not real'",
    "COMMENT ON COLUMN listing_records.opens_at IS 'When the venue said that it would open'",
    "COMMENT ON COLUMN listing_records.tradable_at IS 'First proof that it trades'",
    "COMMENT ON COLUMN listing_records.tradable_by IS 'What proved it'",
    "COMMENT ON COLUMN listing_records.api_tradable IS 'Open to API trading, as last read'",
    "COMMENT ON COLUMN listing_records.reason_code IS 'Why it was missed'",
    "COMMENT ON COLUMN listing_records.reason_limit IS 'The guardrail that stopped it'",
    "COMMENT ON COLUMN listing_records.quote_amount IS 'What the configuration would have spent'",
    "COMMENT ON COLUMN listing_records.book_read_at IS 'When the first book could be read'",
    "COMMENT ON COLUMN listing_records.book_quantity IS 'Base that quote_amount would have bought there'",
    "COMMENT ON COLUMN listing_records.book_spent IS 'What that would have cost, quote without fees'",
    "COMMENT ON COLUMN listing_records.bid_after_1m IS 'Best bid a minute after book_read_at; 0 when nobody bids'",
    """
    CREATE TABLE listing_sightings (
        account_id UUID NOT NULL,
        listing_id UUID NOT NULL,
        source TEXT NOT NULL,
        seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
        exchange_event_at TIMESTAMP WITH TIME ZONE,
        price NUMERIC,
        lag_ms NUMERIC NOT NULL,
        CONSTRAINT pk_listing_sightings PRIMARY KEY (account_id, listing_id, source),
        CONSTRAINT fk_listing_sightings_record
            FOREIGN KEY(account_id, listing_id) REFERENCES listing_records (account_id, listing_id),
        CONSTRAINT ck_listing_sightings_source
            CHECK (source = ANY ('{calendar,ticker_diff,websocket,test_injection}'::text[])),
        CONSTRAINT ck_listing_sightings_price_positive
            CHECK (price > '0'::numeric AND price < 'Infinity'::numeric),
        CONSTRAINT ck_listing_sightings_lag_ms_not_negative
            CHECK (lag_ms >= '0'::numeric AND lag_ms < 'Infinity'::numeric)
    )
    """,
    "COMMENT ON TABLE listing_sightings IS 'When each source saw a listing'",
    "COMMENT ON COLUMN listing_sightings.lag_ms IS 'Behind the first source, by one monotonic clock'",
    """
    CREATE TABLE venue_symbols (
        venue TEXT NOT NULL,
        symbol TEXT NOT NULL,
        first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_venue_symbols PRIMARY KEY (venue, symbol),
        CONSTRAINT ck_venue_symbols_venue CHECK (venue = ANY ('{mexc,hyperliquid}'::text[])),
        CONSTRAINT ck_venue_symbols_symbol_not_empty CHECK (btrim(symbol) <> '')
    )
    """,
    """
    COMMENT ON TABLE venue_symbols
    IS 'Every symbol that was ever seen on a venue: what is not here appeared while nobody watched'
    """,
    """
    CREATE TRIGGER keep_rows BEFORE DELETE ON listing_records
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER keep_rows_truncate BEFORE TRUNCATE ON listing_records
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER frozen_columns BEFORE UPDATE ON listing_records
        FOR EACH ROW
        WHEN (
            ROW (OLD.account_id, OLD.listing_id, OLD.symbol, OLD.listed_at, OLD.is_test, OLD.created_at)
            IS DISTINCT FROM
            ROW (NEW.account_id, NEW.listing_id, NEW.symbol, NEW.listed_at, NEW.is_test, NEW.created_at)
        )
        EXECUTE FUNCTION refuse_change('a listing stays the listing that it is')
    """,
    # What was bought stays bought; an announcement that was taken back may come again.
    """
    CREATE TRIGGER outcome_steps BEFORE UPDATE ON listing_records
        FOR EACH ROW
        WHEN (
            OLD.outcome <> NEW.outcome
            AND (OLD.outcome = 'traded' OR (NEW.outcome = 'pending' AND OLD.reason_code <> 'CANCELLED'))
        )
        EXECUTE FUNCTION refuse_change('its outcome is final')
    """,
    """
    CREATE TRIGGER first_book BEFORE UPDATE ON listing_records
        FOR EACH ROW
        WHEN (
            OLD.book_read_at IS NOT NULL
            AND ROW (OLD.book_read_at, OLD.best_ask, OLD.book_quantity, OLD.book_spent)
                IS DISTINCT FROM ROW (NEW.book_read_at, NEW.best_ask, NEW.book_quantity, NEW.book_spent)
        )
        EXECUTE FUNCTION refuse_change('the first book stays the first')
    """,
    """
    CREATE TRIGGER keep_rows BEFORE DELETE ON listing_sightings
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER keep_rows_truncate BEFORE TRUNCATE ON listing_sightings
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON venue_symbols
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON venue_symbols
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

DOWN = (
    "DROP TABLE venue_symbols",
    "DROP TABLE listing_sightings",
    "DROP TABLE listing_records",
)


def upgrade() -> None:
    """Add."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN:
        op.execute(statement)
