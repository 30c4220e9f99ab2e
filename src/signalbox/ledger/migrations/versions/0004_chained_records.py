"""The two hash-chained streams: trade_logs and system_events.

Each row carries sequence, previous_hash and hash = sha256(previous_hash || canonical bytes). The canonical bytes
are the row's business columns in the order of the trigger functions below, each as a netstring of its text
(`<bytes>:<text>,`, or `-,` for NULL). A trigger computes them, so no way of inserting can forget it.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UP = (
    """
    CREATE TABLE chain_heads (
        stream TEXT NOT NULL,
        sequence BIGINT NOT NULL,
        hash BYTEA NOT NULL,
        CONSTRAINT pk_chain_heads PRIMARY KEY (stream)
    )
    """,
    "COMMENT ON COLUMN chain_heads.stream IS 'The table whose last row this describes'",
    """
    CREATE TABLE trade_logs (
        id UUID NOT NULL,
        order_id UUID NOT NULL,
        revision INTEGER DEFAULT 1 NOT NULL,
        exchange_response JSONB NOT NULL,
        fill_quantity NUMERIC,
        fill_price NUMERIC,
        fees JSONB,
        fills JSONB,
        logged_at TIMESTAMP WITH TIME ZONE NOT NULL,
        position_snapshot JSONB,
        sequence BIGINT NOT NULL,
        previous_hash BYTEA NOT NULL,
        hash BYTEA NOT NULL,
        CONSTRAINT pk_trade_logs PRIMARY KEY (id),
        CONSTRAINT uq_trade_logs_order_id_revision UNIQUE (order_id, revision),
        CONSTRAINT uq_trade_logs_sequence UNIQUE (sequence),
        CONSTRAINT ck_trade_logs_fill_quantity_not_negative
            CHECK (fill_quantity >= '0'::numeric AND fill_quantity < 'Infinity'::numeric),
        CONSTRAINT ck_trade_logs_fill_price_not_negative
            CHECK (fill_price >= '0'::numeric AND fill_price < 'Infinity'::numeric),
        CONSTRAINT ck_trade_logs_revision_positive CHECK (revision > 0),
        CONSTRAINT ck_trade_logs_logged_at_finite CHECK (isfinite(logged_at)),
        CONSTRAINT fk_trade_logs_order_id FOREIGN KEY(order_id) REFERENCES trade_orders (id)
    )
    """,
    "CREATE INDEX ix_trade_logs_logged_at ON trade_logs (logged_at)",
    """
    COMMENT
        ON TABLE trade_logs IS 'Append-only, hash-chained: one entry per completed order, more as revisions'
    """,
    """
    CREATE TABLE system_events (
        id UUID NOT NULL,
        timestamp TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        level TEXT NOT NULL,
        category TEXT NOT NULL,
        message TEXT NOT NULL,
        details JSONB DEFAULT '{}'::jsonb NOT NULL,
        actor TEXT NOT NULL,
        sequence BIGINT NOT NULL,
        previous_hash BYTEA NOT NULL,
        hash BYTEA NOT NULL,
        CONSTRAINT pk_system_events PRIMARY KEY (id),
        CONSTRAINT uq_system_events_sequence UNIQUE (sequence),
        CONSTRAINT ck_system_events_level CHECK (level = ANY ('{info,warning,error}'::text[])),
        CONSTRAINT ck_system_events_category CHECK (category = ANY ('{api,trading,system,config}'::text[])),
        CONSTRAINT ck_system_events_message_not_empty CHECK (btrim(message) <> ''),
        CONSTRAINT ck_system_events_actor_not_empty CHECK (btrim(actor) <> ''),
        CONSTRAINT ck_system_events_details_is_object CHECK (jsonb_typeof(details) = 'object'),
        CONSTRAINT ck_system_events_timestamp_finite CHECK (isfinite("timestamp"))
    )
    """,
    "CREATE INDEX ix_system_events_category ON system_events (category)",
    "CREATE INDEX ix_system_events_level ON system_events (level)",
    "CREATE INDEX ix_system_events_timestamp ON system_events (timestamp)",
    "COMMENT ON TABLE system_events IS 'Append-only and hash-chained: what happened, and who did it'",
    """
    INSERT INTO chain_heads (stream, sequence, hash)
    VALUES
        ('trade_logs', 0, decode(repeat('00', 32), 'hex')),
        ('system_events', 0, decode(repeat('00', 32), 'hex'))
    """,
    """
    CREATE FUNCTION netstring(value text) RETURNS text LANGUAGE sql STABLE AS $$
        SELECT CASE
            WHEN value IS NULL THEN '-,'
            ELSE octet_length(convert_to(value, 'UTF8'))::text || ':' || value || ','
        END
    $$
    """,
    """
    CREATE FUNCTION utc_text(value timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
        SELECT to_char(value AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    $$
    """,
    """
    CREATE FUNCTION chain_link(
        chain text, canonical text, OUT sequence bigint, OUT previous_hash bytea, OUT hash bytea
    ) LANGUAGE plpgsql AS $$
    DECLARE
        head chain_heads%ROWTYPE;
    BEGIN
        SELECT * INTO STRICT head FROM chain_heads WHERE stream = chain FOR UPDATE;
        sequence := head.sequence + 1;
        previous_hash := head.hash;
        hash := sha256(previous_hash || convert_to(canonical, 'UTF8'));
        UPDATE chain_heads AS h SET sequence = chain_link.sequence, hash = chain_link.hash WHERE h.stream = chain;
    END $$
    """,
    """
    CREATE FUNCTION chain_trade_log() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        link record;
    BEGIN
        PERFORM FROM trade_orders WHERE id = NEW.order_id AND completed_at <= NEW.logged_at;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'order % is not completed, or completed after %', NEW.order_id, NEW.logged_at
                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
        END IF;
        SELECT * INTO link FROM chain_link(
            'trade_logs',
            netstring(NEW.id::text)
            || netstring(NEW.order_id::text)
            || netstring(NEW.revision::text)
            || netstring(NEW.exchange_response::text)
            || netstring(NEW.fill_quantity::text)
            || netstring(NEW.fill_price::text)
            || netstring(NEW.fees::text)
            || netstring(NEW.fills::text)
            || netstring(utc_text(NEW.logged_at))
            || netstring(NEW.position_snapshot::text)
        );
        NEW.sequence := link.sequence;
        NEW.previous_hash := link.previous_hash;
        NEW.hash := link.hash;
        RETURN NEW;
    END $$
    """,
    """
    CREATE FUNCTION chain_system_event() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        link record;
    BEGIN
        SELECT * INTO link FROM chain_link(
            'system_events',
            netstring(NEW.id::text)
            || netstring(utc_text(NEW."timestamp"))
            || netstring(NEW.level)
            || netstring(NEW.category)
            || netstring(NEW.message)
            || netstring(NEW.details::text)
            || netstring(NEW.actor)
        );
        NEW.sequence := link.sequence;
        NEW.previous_hash := link.previous_hash;
        NEW.hash := link.hash;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER chain BEFORE INSERT ON trade_logs
        FOR EACH ROW EXECUTE FUNCTION chain_trade_log()
    """,
    """
    CREATE TRIGGER chain BEFORE INSERT ON system_events
        FOR EACH ROW EXECUTE FUNCTION chain_system_event()
    """,
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trade_logs
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON trade_logs
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON system_events
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON system_events
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER only_by_trigger BEFORE INSERT OR UPDATE OR DELETE ON chain_heads
        FOR EACH ROW WHEN (pg_trigger_depth() = 0)
        EXECUTE FUNCTION refuse_change('only a new row of its stream moves a head')
    """,
    """
    CREATE TRIGGER only_by_trigger_truncate BEFORE TRUNCATE ON chain_heads
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

DOWN = (
    "DROP TABLE system_events",
    "DROP TABLE trade_logs",
    "DROP TABLE chain_heads",
    "DROP FUNCTION chain_system_event()",
    "DROP FUNCTION chain_trade_log()",
    "DROP FUNCTION chain_link(text, text)",
    "DROP FUNCTION utc_text(timestamptz)",
    "DROP FUNCTION netstring(text)",
)


def upgrade() -> None:
    """Create."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop, newest first."""
    for statement in DOWN:
        op.execute(statement)
