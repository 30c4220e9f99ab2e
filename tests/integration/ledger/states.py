"""The edges along which runs and orders move, and how to move them."""

from tests.integration.ledger.conftest import Connection

RUN_STEPS = {
    ("starting", "running"),
    ("starting", "stopping"),
    ("starting", "failed"),
    ("running", "stopping"),
    ("running", "failed"),
    ("stopping", "stopped"),
    ("stopping", "failed"),
}
RUN_STATES = ("starting", "running", "stopping", "stopped", "failed")
WAY_TO_RUN = {
    "starting": (),
    "running": ("running",),
    "stopping": ("stopping",),
    "stopped": ("stopping", "stopped"),
    "failed": ("failed",),
}


async def move_run(sql: Connection, status: str) -> None:
    """Set the state of the only run, with what belongs to it."""
    ended = status in {"stopped", "failed"}
    await sql.execute(
        "UPDATE bot_runs SET status = $1, stopped_at = CASE WHEN $2 THEN started_at + interval '1 s' END,"
        " error_message = CASE WHEN $1 = 'failed' THEN 'x' END",
        status,
        ended,
    )


ORDER_STEPS = {("pending", "submitted"), ("pending", "failed"), ("submitted", "filled"), ("submitted", "rejected")}
ORDER_STATES = ("pending", "submitted", "filled", "rejected", "failed")
WAY_TO_ORDER = {
    "pending": (),
    "submitted": ("submitted",),
    "filled": ("submitted", "filled"),
    "rejected": ("submitted", "rejected"),
    "failed": ("failed",),
}


async def move_order(sql: Connection, status: str) -> None:
    """Set the state of the only order, with what belongs to it."""
    await sql.execute(
        """
        UPDATE trade_orders SET status = $1,
            submitted_at = CASE WHEN $1 IN ('submitted', 'filled', 'rejected') THEN created_at END,
            completed_at = CASE WHEN $1 IN ('filled', 'rejected', 'failed') THEN created_at END,
            executed_quantity = CASE WHEN $1 = 'filled' THEN 1 END,
            executed_quote = CASE WHEN $1 = 'filled' THEN 1 END,
            executed_price = CASE WHEN $1 = 'filled' THEN 1 END,
            fill_model = CASE WHEN $1 = 'filled' THEN 'm' END,
            error_code = CASE WHEN $1 IN ('rejected', 'failed') THEN 'X' END
        """,
        status,
    )
