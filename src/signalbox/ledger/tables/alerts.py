"""What an operator has to look at."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table, text

from signalbox.ledger.tables.base import (
    EMPTY_OBJECT,
    document,
    is_object,
    metadata,
    moment,
    not_empty,
    one_of,
    optional,
    required,
    rule,
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    required("kind"),
    required("subject", comment="What it is about: an account, a symbol, a position"),
    required("severity", "warning"),
    required("message"),
    document("details", default=EMPTY_OBJECT),
    moment("first_at"),
    moment("last_at"),
    Column("count", Integer, nullable=False, server_default=text("1"), comment="How often it was raised"),
    moment("acknowledged_at", null=True),
    optional("acknowledged_by"),
    moment("resolved_at", null=True),
    optional("resolution"),
    one_of("severity", "info", "warning", "critical"),
    rule("kind", "kind ~ '^[a-z][a-z0-9_]*$'"),
    not_empty("subject"),
    not_empty("message"),
    not_empty("resolution"),
    is_object("details"),
    rule("count_positive", "count > 0"),
    rule("last_after_first", "last_at >= first_at"),
    rule("resolved_after_last", "resolved_at >= last_at"),
    rule("acknowledged_says_who", "(acknowledged_at IS NULL) = (acknowledged_by IS NULL)"),
    rule("resolved_says_why", "(resolved_at IS NULL) = (resolution IS NULL)"),
    Index(
        "uq_alerts_open",
        "kind",
        "subject",
        unique=True,
        postgresql_where=text("resolved_at IS NULL"),
    ),
    Index(None, "last_at"),
    comment="One open alert per kind and subject; those that are over stay as history",
)
