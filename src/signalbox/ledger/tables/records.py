"""The two append-only, hash-chained streams, and the head of each."""

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text

from signalbox.ledger.tables.base import (
    EMPTY_OBJECT,
    UUID,
    document,
    identifier,
    is_object,
    metadata,
    moment,
    money,
    not_empty,
    not_negative,
    one_of,
    required,
    rule,
)


def _chain() -> list[Column[Any]]:
    return [
        Column("sequence", BigInteger, nullable=False),
        Column("previous_hash", LargeBinary, nullable=False),
        Column("hash", LargeBinary, nullable=False),
    ]


chain_heads = Table(
    "chain_heads",
    metadata,
    Column("stream", Text, primary_key=True, comment="The table whose last row this describes"),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

trade_logs = Table(
    "trade_logs",
    metadata,
    identifier(),
    Column("order_id", UUID, ForeignKey("trade_orders.id"), nullable=False),
    Column("revision", Integer, nullable=False, server_default=text("1")),
    document("exchange_response"),
    money("fill_quantity", null=True),
    money("fill_price", null=True),
    document("fees", null=True),
    document("fills", null=True),
    moment("logged_at"),
    document("position_snapshot", null=True),
    *_chain(),
    UniqueConstraint("order_id", "revision"),
    UniqueConstraint("sequence"),
    not_negative("fill_quantity"),
    not_negative("fill_price"),
    rule("revision_positive", "revision > 0"),
    rule("logged_at_finite", "isfinite(logged_at)"),
    Index(None, "logged_at"),
    comment="Append-only, hash-chained: one entry per completed order, more as revisions",
)

system_events = Table(
    "system_events",
    metadata,
    identifier(),
    moment("timestamp", now=True),
    required("level"),
    required("category"),
    required("message"),
    document("details", default=EMPTY_OBJECT),
    required("actor"),
    *_chain(),
    UniqueConstraint("sequence"),
    one_of("level", "info", "warning", "error"),
    one_of("category", "api", "trading", "system", "config"),
    not_empty("message"),
    not_empty("actor"),
    is_object("details"),
    rule("timestamp_finite", 'isfinite("timestamp")'),
    Index(None, "timestamp"),
    Index(None, "level"),
    Index(None, "category"),
    comment="Append-only and hash-chained: what happened, and who did it",
)
