"""How the system is doing now, and the equity it had."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, SmallInteger, Table, UniqueConstraint, text

from signalbox.ledger.tables.base import (
    EMPTY_OBJECT,
    UUID,
    document,
    finite,
    flag,
    is_object,
    metadata,
    moment,
    money,
    not_empty,
    one_of,
    optional,
    required,
    rule,
)

system_status = Table(
    "system_status",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False, server_default=text("1")),
    flag("kill_switch", default=False),
    optional("kill_switch_mode"),
    moment("kill_switch_activated_at", null=True),
    optional("kill_switch_activated_by"),
    moment("kill_switch_deactivated_at", null=True),
    optional("kill_switch_deactivated_by"),
    optional("kill_switch_reason"),
    flag("mexc_connected", default=False),
    moment("last_mexc_check", null=True),
    flag("hyperliquid_connected", default=False),
    moment("last_hyperliquid_check", null=True),
    moment("last_event_time", null=True),
    moment("last_order_time", null=True),
    moment("started_at", null=True),
    moment("updated_at", now=True),
    rule("one_row", "id = 1"),
    one_of("kill_switch_mode", "block", "cancel", "flatten", "freeze"),
    rule(
        "kill_switch_says_who",
        "NOT kill_switch OR num_nulls(kill_switch_mode, kill_switch_activated_at, kill_switch_activated_by) = 0",
    ),
    comment="One row: the kill switch and the state of the connections",
)

bot_health = Table(
    "bot_health",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    required("component_name"),
    required("status"),
    moment("last_event_at", null=True),
    moment("updated_at", now=True),
    document("details", default=EMPTY_OBJECT),
    UniqueConstraint("component_name"),
    not_empty("component_name"),
    one_of("status", "running", "stopped", "degraded", "error"),
    is_object("details"),
)

equity_snapshots = Table(
    "equity_snapshots",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    moment("timestamp"),
    Column("account_id", UUID, ForeignKey("accounts.id"), comment="NULL: all accounts together"),
    required("granularity", "five_minutes"),
    money("bots_aggregate", null=True, comment="Equity of all leaders"),
    money("fade_arena", comment="Our own equity"),
    document("bot_equities", default=EMPTY_OBJECT, comment="Equity by leader"),
    one_of("granularity", "five_minutes", "change", "hourly"),
    finite("bots_aggregate"),
    finite("fade_arena"),
    is_object("bot_equities"),
    Index(None, "timestamp"),
    Index(None, "account_id", "timestamp"),
)
