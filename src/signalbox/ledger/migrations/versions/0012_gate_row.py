"""The last gate looks at one row: the kill switch is copied into the row that every intent locks anyway."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

UP = (
    # A switch that is thrown between the copy and the triggers would never be copied.
    "LOCK TABLE system_status IN SHARE ROW EXCLUSIVE MODE",
    "ALTER TABLE account_ownership ADD COLUMN kill_switch TEXT DEFAULT 'off' NOT NULL",
    """
    ALTER TABLE account_ownership ADD CONSTRAINT ck_account_ownership_kill_switch
        CHECK (kill_switch = ANY ('{off,block,cancel,flatten,freeze}'::text[]))
    """,
    """
    COMMENT ON COLUMN account_ownership.kill_switch IS
        'Copy of system_status, made in the same transaction; the last gate reads it under the row''s lock'
    """,
    "DROP TRIGGER fence_only_rises ON account_ownership",
    """
    CREATE TRIGGER fence_only_rises BEFORE UPDATE ON account_ownership
        FOR EACH ROW WHEN (NEW.fence < OLD.fence OR (NEW.fence = OLD.fence AND NEW.kill_switch = OLD.kill_switch))
        EXECUTE FUNCTION refuse_change('the fence number only rises')
    """,
    """
    UPDATE account_ownership SET kill_switch = s.kill_switch_mode FROM system_status s WHERE s.kill_switch
    """,
    # A new owner's row and a switch that is being thrown wait for each other at system_status, which both take first.
    """
    CREATE FUNCTION take_kill_switch_along() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        SELECT CASE WHEN kill_switch THEN kill_switch_mode ELSE 'off' END INTO STRICT NEW.kill_switch
        FROM system_status FOR SHARE;
        RETURN NEW;
    END $$
    """,
    """
    CREATE FUNCTION tell_kill_switch() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE now_on text := CASE WHEN NEW.kill_switch THEN NEW.kill_switch_mode ELSE 'off' END;
    BEGIN
        UPDATE account_ownership SET kill_switch = now_on WHERE kill_switch <> now_on;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER take_kill_switch_along BEFORE INSERT ON account_ownership
        FOR EACH ROW EXECUTE FUNCTION take_kill_switch_along()
    """,
    """
    CREATE TRIGGER tell_kill_switch AFTER UPDATE ON system_status
        FOR EACH ROW
        WHEN (OLD.kill_switch <> NEW.kill_switch OR OLD.kill_switch_mode IS DISTINCT FROM NEW.kill_switch_mode)
        EXECUTE FUNCTION tell_kill_switch()
    """,
    "DROP FUNCTION kill_switch_now()",
)

DOWN = (
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
    "DROP TRIGGER tell_kill_switch ON system_status",
    "DROP TRIGGER take_kill_switch_along ON account_ownership",
    "DROP FUNCTION tell_kill_switch()",
    "DROP FUNCTION take_kill_switch_along()",
    "DROP TRIGGER fence_only_rises ON account_ownership",
    """
    CREATE TRIGGER fence_only_rises BEFORE UPDATE ON account_ownership
        FOR EACH ROW WHEN (NEW.fence <= OLD.fence)
        EXECUTE FUNCTION refuse_change('the fence number only rises')
    """,
    "ALTER TABLE account_ownership DROP COLUMN kill_switch",
)


def upgrade() -> None:
    """Copy."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Look it up again."""
    for statement in DOWN:
        op.execute(statement)
