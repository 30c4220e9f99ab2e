"""What an engine reads when it starts: what is open, what the limits have counted, what was seen already."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from signalbox.domain.ids import AccountId, DecisionId, SignalId
from signalbox.domain.orders import Mode, OrderStatus
from signalbox.domain.ports import CapacityHistory, OpenOrder
from signalbox.domain.positions import ExitPlan
from signalbox.domain.risk.capacity import HOUR, Reservation
from signalbox.domain.signals import DecidedListing, DetectionSource, Sighting
from signalbox.ledger.database import Database
from signalbox.ledger.rows import Row, document, order_from

_DAYS = timedelta(days=2)
"""Spend and results are counted by UTC day; two days cover today whatever the clocks say."""

_OPEN_ORDERS = """
SELECT o.*, CASE WHEN o.purpose = 'entry' THEN d.inputs #> '{configuration,parameters,exit_plan}' END AS exit_plan
FROM trade_orders o JOIN strategy_decisions d ON d.id = o.decision_id
WHERE o.account_id = $1 AND o.status IN ('pending', 'submitted')
ORDER BY o.created_at, o.id
"""

_SPENT = """
SELECT (created_at AT TIME ZONE 'UTC')::date AS day, sum(settled_amount) AS amount FROM reservations
WHERE account_id = $1 AND mode = $2 AND created_at > $3 AND state = 'settled' GROUP BY day
"""

_REALISED = """
SELECT (completed_at AT TIME ZONE 'UTC')::date AS day, sum(realised_pnl) AS amount FROM trade_orders
WHERE account_id = $1 AND mode = $2 AND created_at > $3 AND completed_at > $3 AND realised_pnl IS NOT NULL
GROUP BY day
"""

_DECIDED = """
SELECT s.symbol, s.listed_at, s.detected_at, EXISTS (
    SELECT FROM trade_orders o WHERE o.decision_id = d.id AND o.status IN ('pending', 'submitted', 'filled')
) AS bought
FROM strategy_decisions d JOIN listing_signals s ON s.id = d.listing_signal_id
WHERE d.account_id = $1 AND d."timestamp" >= $2 AND s.detection_source <> 'test_injection'
ORDER BY d."timestamp", d.id
"""

_PENDING_INJECTIONS = """
SELECT symbol, listed_at, created_at FROM listings l
WHERE source = 'test_injection' AND created_at >= $1
    AND NOT EXISTS (SELECT FROM listing_signals s WHERE s.symbol = l.symbol AND s.listed_at = l.listed_at)
ORDER BY id
"""


class Recovery:
    """Reads for a start, and the evidence that later sources add."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accounts_with_open_business(self) -> Sequence[AccountId]:
        """Accounts with an open position, an order without a final outcome, held capacity or a journaled intent."""
        rows = await self._database.fetch(
            "SELECT account_id FROM positions WHERE status = 'open'"
            " UNION SELECT account_id FROM trade_orders WHERE status IN ('pending', 'submitted')"
            " UNION SELECT account_id FROM reservations WHERE state = 'held'"
            " UNION SELECT account_id FROM intent_journal"
            " ORDER BY account_id"
        )
        return [AccountId(row["account_id"]) for row in rows]

    async def open_orders(self, account_id: AccountId) -> Sequence[OpenOrder]:
        """Orders without a final outcome, oldest first."""
        rows = await self._database.fetch(_OPEN_ORDERS, account_id)
        return [
            OpenOrder(
                order=order_from(row),
                status=OrderStatus(row["status"]),
                exchange_order_id=row["exchange_order_id"],
                exit_plan=document(row["exit_plan"], ExitPlan) if row["exit_plan"] is not None else None,
                due_at=row["due_at"],
            )
            for row in rows
        ]

    async def capacity_history(self, account_id: AccountId, mode: Mode, now: datetime) -> CapacityHistory:
        """What the limits of an account have counted in one mode. Held reservations are not among the entries."""
        async with self._database.transaction() as connection:
            entries = await connection.fetch(
                "SELECT created_at FROM reservations WHERE account_id = $1 AND mode = $2 AND created_at > $3"
                " AND state = 'settled' ORDER BY created_at",
                account_id,
                mode,
                now - HOUR,
            )
            held = await connection.fetch(
                "SELECT * FROM reservations WHERE account_id = $1 AND mode = $2 AND state = 'held'"
                " ORDER BY created_at, decision_id",
                account_id,
                mode,
            )
            spent = await connection.fetch(_SPENT, account_id, mode, now - _DAYS)
            realised = await connection.fetch(_REALISED, account_id, mode, now - _DAYS)
        return CapacityHistory(
            entries=[row["created_at"] for row in entries],
            spent={row["day"]: row["amount"] for row in spent},
            realised={row["day"]: row["amount"] for row in realised},
            held=[_reservation_from(row) for row in held],
        )

    async def decided_listings(self, account_id: AccountId, since: datetime) -> Sequence[DecidedListing]:
        """Listings that this account decided on since then, the oldest decision first, injected test listings left
        out."""
        rows = await self._database.fetch(_DECIDED, account_id, since)
        return [
            DecidedListing(
                symbol=row["symbol"], listed_at=row["listed_at"], detected_at=row["detected_at"], bought=row["bought"]
            )
            for row in rows
        ]

    async def pending_test_listings(self, since: datetime) -> Sequence[Sighting]:
        """Injected test listings that no signal exists for yet, in the order of their injection."""
        rows = await self._database.fetch(_PENDING_INJECTIONS, since)
        return [
            Sighting(
                symbol=row["symbol"],
                source=DetectionSource.TEST_INJECTION,
                seen_at=row["created_at"],
                received_ns=0,
                listing_time=row["listed_at"],
            )
            for row in rows
        ]

    async def add_evidence(self, signal_id: SignalId, sighting: Sighting) -> None:
        """Note that another source saw the same listing. A signal that is not stored yet is left alone."""
        await self._database.execute(
            "UPDATE listing_signals SET evidence = evidence || jsonb_build_array($2::jsonb) WHERE id = $1",
            signal_id,
            sighting,
        )


def _reservation_from(row: Row) -> Reservation:
    return Reservation(
        decision_id=DecisionId(row["decision_id"]),
        account_id=AccountId(row["account_id"]),
        symbol=row["symbol"],
        amount=row["amount"],
        created_at=row["created_at"],
    )
