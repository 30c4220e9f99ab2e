"""What is going to be listed, and how far the venues' clocks are from ours."""

from sqlalchemy import ARRAY, BigInteger, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, text

from signalbox.ledger.tables.base import (
    EMPTY_ARRAY,
    EMPTY_OBJECT,
    UUID,
    document,
    is_array,
    is_object,
    metadata,
    moment,
    not_empty,
    one_of,
    optional,
    required,
    rule,
)

listing_schedule = Table(
    "listing_schedule",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("account_id", UUID, ForeignKey("accounts.id"), nullable=False),
    required("symbol"),
    moment("opens_at", comment="By the venue's clock"),
    Column("origins", ARRAY(Text), nullable=False, comment="The sources that name this opening"),
    document("disputed", default=EMPTY_OBJECT, comment="What other sources name instead: origin -> opening"),
    required("state", "scheduled"),
    document("moves", default=EMPTY_ARRAY, comment="Each change of the opening: at, old, new, origin"),
    optional("verdict", comment="Judged before the opening; the decision at the opening does not depend on it"),
    document("reasons", default=EMPTY_ARRAY, comment="What the verdict rests on: name, ok, value, limit, message"),
    moment("first_announced_at"),
    moment("updated_at", now=True),
    not_empty("symbol"),
    rule("origins_not_empty", "cardinality(origins) > 0 AND array_position(origins, NULL) IS NULL"),
    one_of("state", "scheduled", "opened", "cancelled"),
    one_of("verdict", "eligible", "ineligible", "uncertain"),
    is_object("disputed"),
    is_array("moves"),
    is_array("reasons"),
    Index(
        "uq_listing_schedule_scheduled",
        "account_id",
        "symbol",
        unique=True,
        postgresql_where=text("state = 'scheduled'"),
    ),
    Index("ix_listing_schedule_opens_at", text("opens_at DESC")),
    comment="Announced listings as an account's feed knew them; one scheduled row per symbol",
)

clock_offsets = Table(
    "clock_offsets",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    required("venue"),
    moment("measured_at"),
    Column("offset_us", BigInteger, nullable=False, comment="The venue's clock minus ours, microseconds"),
    Column("error_us", BigInteger, nullable=False, comment="The true offset lies within this, microseconds"),
    Column("samples", Integer, nullable=False, comment="How many comparisons it rests on"),
    UniqueConstraint("venue", "measured_at"),
    one_of("venue", "mexc", "hyperliquid"),
    rule("error_not_negative", "error_us >= 0"),
    rule("samples_positive", "samples > 0"),
)
