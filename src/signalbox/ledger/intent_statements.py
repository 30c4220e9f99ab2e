"""The hot path's SQL. Each statement is one transaction by itself: one round trip, one commit.

They pass the last gate first. It locks the account's ownership row FOR SHARE, and reads the fence number and the kill
switch in the row as it is when the lock was granted. A new owner that raises the number, and an operator who throws
the switch, change that row and so wait for what is being committed; whatever comes after them sees what they
committed.

An intent whose order waits to be sent becomes durable as one row of `intent_journal`, which costs half of what its five
rows cost; `SPREAD` moves it into the tables while the order is on its way. A refused intent leaves nothing behind, not
even its decision. Columns and their order come from the row types of
`intent_rows`, the types from the tables, so that the three cannot drift apart.
"""

from msgspec import Struct
from sqlalchemy import Table
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from signalbox.ledger.intent_rows import AskRow, DecisionRow, JournalRow, OrderRow, ReservationRow, SignalRow
from signalbox.ledger.tables import intent_journal, listing_signals, reservations, strategy_decisions, trade_orders

_POSTGRESQL = dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


class _Block:
    """The arguments of one row: its columns, and their placeholders numbered from `first`."""

    def __init__(self, row: type[Struct], table: Table, first: int) -> None:
        self._numbers = {name: first + i for i, name in enumerate(row.__struct_fields__)}
        self._table = table
        self.columns = ", ".join(f'"{name}"' for name in self._numbers)
        self.values = ", ".join(self[name] for name in self._numbers)
        self.next = first + len(self._numbers)

    def __getitem__(self, name: str) -> str:
        column_type = self._table.columns[name].type.compile(dialect=_POSTGRESQL)
        document = (
            "text::" if column_type == "JSONB" else ""
        )  # documents are JSON text, whatever the connection's codec
        return f"${self._numbers[name]}::{document}{column_type}"


_FENCE, _GATE, _SOURCE = (f"${n + 1}::{kind}" for n, kind in enumerate(("bigint", "text", "text")))
_FIRST = len(AskRow.__struct_fields__) + 1


def _gate(account_id: str) -> str:
    return f"""
owned AS MATERIALIZED (
    SELECT fence, kill_switch FROM account_ownership WHERE account_id = {account_id} FOR SHARE
),
gate AS MATERIALIZED (
    SELECT
        CASE
            WHEN (fence = {_FENCE}) IS NOT TRUE THEN 'fenced_out'
            WHEN {_GATE} = 'entry' AND kill_switch <> 'off' THEN 'kill_switch'
            WHEN {_GATE} = 'exit' AND kill_switch = 'freeze' THEN 'kill_switch'
            ELSE 'inserted'
        END AS result
    FROM (VALUES (1)) AS always (one) LEFT JOIN owned ON true
)"""  # noqa: S608 - placeholders only


def _journal() -> str:
    row = _Block(JournalRow, intent_journal, _FIRST - 1)  # the source of the listing is in the document
    return f"""
WITH {_gate(row["account_id"])},
entered AS (
    INSERT INTO intent_journal ({row.columns})
    SELECT {row.values} FROM gate
    WHERE result = 'inserted' AND NOT EXISTS (
        SELECT FROM strategy_decisions
        WHERE account_id = {row["account_id"]} AND listing_signal_id = {row["listing_signal_id"]}
    )
    ON CONFLICT DO NOTHING
    RETURNING decision_id
)
SELECT CASE WHEN result = 'inserted' AND NOT EXISTS (SELECT FROM entered) THEN 'duplicate' ELSE result END
FROM gate
"""  # noqa: S608 - names and placeholders only


def _intent() -> str:
    decision = _Block(DecisionRow, strategy_decisions, _FIRST)
    return _rows(_gate(decision["account_id"]), _SOURCE, decision, known="ON CONFLICT DO NOTHING")


def _spread() -> str:
    decision = _Block(DecisionRow, strategy_decisions, 2)
    gone = f"""
gone AS (
    DELETE FROM intent_journal WHERE decision_id = {decision["id"]} RETURNING decision_id
),
gate AS MATERIALIZED (
    SELECT CASE WHEN EXISTS (SELECT FROM gone) THEN 'inserted' ELSE 'gone' END AS result
)"""  # noqa: S608 - placeholders only
    return _rows(gone, "$1::text", decision, known="")


def _rows(gate: str, source: str, decision: _Block, *, known: str) -> str:
    """The rows of an intent, when `gate` lets them in. `known`: what to do when its listing was decided on already;
    empty is an error, for an intent whose order may have been sent must not vanish."""
    signal = _Block(SignalRow, listing_signals, decision.next)
    order = _Block(OrderRow, trade_orders, signal.next)
    reservation = _Block(ReservationRow, reservations, order.next)
    return f"""
WITH {gate},
new_listing AS (
    INSERT INTO listings (symbol, listed_at, source, created_at)
    SELECT {signal["symbol"]}, {signal["listed_at"]}, {source}, {signal["detected_at"]}
    FROM gate WHERE result = 'inserted' AND {signal["id"]} IS NOT NULL
    ON CONFLICT DO NOTHING
),
new_signal AS (
    INSERT INTO listing_signals ({signal.columns})
    SELECT {signal.values} FROM gate WHERE result = 'inserted' AND {signal["id"]} IS NOT NULL
    ON CONFLICT DO NOTHING
),
new_decision AS (
    INSERT INTO strategy_decisions ({decision.columns})
    SELECT {decision.values} FROM gate WHERE result = 'inserted'
    {known}
    RETURNING id
),
new_order AS (
    INSERT INTO trade_orders ({order.columns})
    SELECT {order.values} FROM new_decision WHERE {order["id"]} IS NOT NULL
),
new_reservation AS (
    INSERT INTO reservations ({reservation.columns})
    SELECT {reservation.values} FROM new_decision WHERE {reservation["decision_id"]} IS NOT NULL
)
SELECT CASE WHEN result = 'inserted' AND NOT EXISTS (SELECT FROM new_decision) THEN 'duplicate' ELSE result END
FROM gate
"""  # noqa: S608 - names and placeholders only


def _follow_up() -> str:
    order = _Block(OrderRow, trade_orders, _FIRST - 1)  # there is no listing
    return f"""
WITH {_gate(order["account_id"])},
new_order AS (
    INSERT INTO trade_orders ({order.columns})
    SELECT {order.values} FROM gate WHERE result = 'inserted'
    ON CONFLICT DO NOTHING
    RETURNING id
)
SELECT CASE WHEN result = 'inserted' AND NOT EXISTS (SELECT FROM new_order) THEN 'duplicate' ELSE result END
FROM gate
"""  # noqa: S608 - names and placeholders only


JOURNAL = _journal()
"""Makes an intent with an order durable, as one row. Arguments: `intent_rows.journal_arguments`. One row: what
happened."""

SPREAD = _spread()
"""Moves an intent from the journal into its tables. Arguments: `intent_rows.spread_arguments`. One row: `inserted`, or
`gone` when the journal does not have it."""

INTENT = _intent()
"""Writes an intent without an order to be sent. Arguments: `intent_rows.intent_arguments`. One row: what happened."""

FOLLOW_UP = _follow_up()
"""A further attempt of a recorded decision. Arguments: `intent_rows.follow_up_arguments`. One row: what happened."""
