"""The metadata, and the few column and constraint shapes that all tables share."""

from typing import Any

from sqlalchemy import TIMESTAMP, Boolean, CheckConstraint, Column, MetaData, Numeric, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.elements import TextClause

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

UUID = Uuid(as_uuid=True)
MONEY = Numeric(asdecimal=True)
TIME = TIMESTAMP(timezone=True)

NOW = text("now()")
EMPTY_OBJECT = text("'{}'::jsonb")
EMPTY_ARRAY = text("'[]'::jsonb")


def identifier() -> Column[Any]:
    """A UUID primary key that the application makes."""
    return Column("id", UUID, primary_key=True)


def required(name: str, default: str | TextClause | None = None, comment: str | None = None) -> Column[Any]:
    """A text column that is never NULL."""
    server_default = text(f"'{default}'") if isinstance(default, str) else default
    return Column(name, Text, nullable=False, server_default=server_default, comment=comment)


def optional(name: str, comment: str | None = None) -> Column[Any]:
    """A text column that may be NULL."""
    return Column(name, Text, comment=comment)


def money(name: str, *, null: bool = False, default: str | None = None, comment: str | None = None) -> Column[Any]:
    """An exact number of any size and scale."""
    return Column(name, MONEY, nullable=null, server_default=text(default) if default else None, comment=comment)


def moment(name: str, *, null: bool = False, now: bool = False, comment: str | None = None) -> Column[Any]:
    """An instant, UTC."""
    return Column(name, TIME, nullable=null, server_default=NOW if now else None, comment=comment)


def flag(name: str, *, default: bool, comment: str | None = None) -> Column[Any]:
    """A boolean that is never NULL."""
    return Column(name, Boolean, nullable=False, server_default=text(str(default).lower()), comment=comment)


def document(
    name: str, *, null: bool = False, default: TextClause | None = None, comment: str | None = None
) -> Column[Any]:
    """A JSONB column."""
    return Column(name, JSONB, nullable=null, server_default=default, comment=comment)


def words(*values: str) -> str:
    """A constant array of words. PostgreSQL reads a CHECK anew for every INSERT, and one constant reads fast."""
    return f"'{{{','.join(values)}}}'::text[]"


def one_of(column: str, *values: str) -> CheckConstraint:
    """The column holds one of these words (or NULL, where it may be NULL)."""
    return CheckConstraint(f"{column} = ANY ({words(*values)})", name=column)


def not_empty(column: str) -> CheckConstraint:
    """The text is not empty and not only spaces."""
    return CheckConstraint(f"btrim({column}) <> ''", name=f"{column}_not_empty")


def positive(column: str) -> CheckConstraint:
    """Above zero, and neither NaN nor infinite: PostgreSQL sorts both of these above every number."""
    return CheckConstraint(f"{column} > '0'::numeric AND {column} < 'Infinity'::numeric", name=f"{column}_positive")


def not_negative(column: str) -> CheckConstraint:
    """Zero or more, and neither NaN nor infinite."""
    return CheckConstraint(
        f"{column} >= '0'::numeric AND {column} < 'Infinity'::numeric", name=f"{column}_not_negative"
    )


def finite(column: str) -> CheckConstraint:
    """Any number, but neither NaN nor infinite."""
    return CheckConstraint(
        f"{column} > '-Infinity'::numeric AND {column} < 'Infinity'::numeric", name=f"{column}_finite"
    )


def is_object(column: str) -> CheckConstraint:
    """The document is a JSON object."""
    return CheckConstraint(f"jsonb_typeof({column}) = 'object'", name=f"{column}_is_object")


def is_array(column: str) -> CheckConstraint:
    """The document is a JSON array."""
    return CheckConstraint(f"jsonb_typeof({column}) = 'array'", name=f"{column}_is_array")


def rule(name: str, condition: str) -> CheckConstraint:
    """Any other rule, by name."""
    return CheckConstraint(condition, name=name)
