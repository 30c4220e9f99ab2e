"""Values and small fakes that the venues' tests share."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from signalbox.domain.ids import AccountId, DecisionId, OrderId, client_order_id
from signalbox.domain.orders import Mode, Order, OrderType, Purpose, Side
from signalbox.engine.clock import TimeOrderedIds

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEVELS = {"info", "warning", "error"}
CATEGORIES = {"api", "trading", "system", "config"}
STATUSES = {"running", "stopped", "degraded", "error"}
SEVERITIES = {"info", "warning", "critical"}
_ids = TimeOrderedIds()


def example_order(**changes: Any) -> Order:
    """A live market buy of ABCUSDT for 25 quote, with fresh ids; any field can be changed."""
    order_id = OrderId(_ids.new_id())
    values: dict[str, Any] = {
        "id": order_id,
        "client_order_id": client_order_id(order_id),
        "account_id": AccountId(UUID(int=1)),
        "decision_id": DecisionId(UUID(int=2)),
        "symbol": "ABCUSDT",
        "side": Side.BUY,
        "purpose": Purpose.ENTRY,
        "order_type": OrderType.MARKET,
        "mode": Mode.LIVE,
        "created_at": NOON,
    }
    if "quantity" not in changes:
        values["quote_amount"] = Decimal(25)
    return Order(**values | changes)


class ManualClock:
    """A clock that only moves when it is told to."""

    def __init__(self, now: datetime = NOON) -> None:
        self._start = now
        self._elapsed_ns = 0

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed_ns += int(seconds * 1_000_000_000)

    def now(self) -> datetime:
        """UTC."""
        return self.at(self._elapsed_ns)

    def monotonic_ns(self) -> int:
        """Nanoseconds since the clock was made."""
        return self._elapsed_ns

    def at(self, monotonic_ns: int) -> datetime:
        """UTC of a reading."""
        return self._start + timedelta(microseconds=monotonic_ns // 1000)


class RecordedEvents:
    """An EventSink that remembers, and on which a test can wait."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []
        self.states: dict[str, tuple[str, dict[str, Any]]] = {}
        self.alerts: dict[tuple[str, str], tuple[str, str]] = {}
        """The open ones: severity and message by kind and subject."""
        self.raised: list[tuple[str, str]] = []
        self._changed = asyncio.Event()

    def event(self, level: str, category: str, message: str, **_details: Any) -> None:
        """Remember; words that the ledger would not take fail the test."""
        assert level in LEVELS
        assert category in CATEGORIES
        self.events.append((level, category, message))
        self._changed.set()

    def health(self, component: str, status: str, **details: Any) -> None:
        """Remember the present state."""
        assert status in STATUSES
        self.states[component] = (status, details)
        self._changed.set()

    def alert(self, kind: str, subject: str, message: str, *, severity: str = "warning", **_details: Any) -> None:
        """Remember as open."""
        assert severity in SEVERITIES
        self.alerts[kind, subject] = (severity, message)
        self.raised.append((kind, subject))
        self._changed.set()

    def resolve(self, kind: str, subject: str, reason: str) -> None:  # noqa: ARG002 - the port's signature
        """Not open any more."""
        self.alerts.pop((kind, subject), None)
        self._changed.set()

    def status(self, component: str) -> str | None:
        """The last state told of a component."""
        state = self.states.get(component)
        return state[0] if state else None

    def told(self, text: str) -> bool:
        """Whether an event contains this text."""
        return any(text in message for _, _, message in self.events)

    async def until(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
        """Wait until the condition holds; it is looked at after each event."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


def no_jitter() -> float:
    """The longest pause, every time."""
    return 0.0
