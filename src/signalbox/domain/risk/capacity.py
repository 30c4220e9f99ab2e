"""Capacity: what the limits count. A decision takes its share at once, before anything is sent or even stored.

One `Capacity` belongs to one account and one mode, and has one writer (the account's desk). Because the share is taken
in the same step that looked at the limit, no burst and no interleaving can go beyond it.
"""

from collections import deque
from datetime import date, datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from signalbox.domain.errors import InvariantError
from signalbox.domain.ids import AccountId, DecisionId
from signalbox.domain.money import ZERO, total

HOUR = timedelta(hours=1)


class Reservation(Struct, frozen=True, kw_only=True):
    """Capacity held for one entry from its decision until its outcome. `amount` in quote, fees included."""

    decision_id: DecisionId
    account_id: AccountId
    symbol: str
    amount: Decimal
    created_at: datetime


class Usage(Struct, frozen=True, kw_only=True):
    """How much of the capacity is taken, at one instant. Amounts in quote; the day is the UTC day."""

    orders_last_hour: int
    spent_today: Decimal
    realised_today: Decimal
    exposure: Decimal
    exposure_by_symbol: dict[str, Decimal]
    symbols: tuple[str, ...]


class Capacity:
    """The book of reservations, spend, positions and booked results of one account in one mode."""

    def __init__(self) -> None:
        self._held: dict[DecisionId, Reservation] = {}
        self._entries: deque[datetime] = deque()
        self._spent: dict[date, Decimal] = {}
        self._realised: dict[date, Decimal] = {}
        self._positions: dict[str, Decimal] = {}
        self._usage: Usage | None = None
        """As long as nothing changes: an order waits for it. Every method that changes something forgets it."""
        self._usage_day = date.min

    def reserve(self, reservation: Reservation) -> None:
        """Take the capacity of one entry. Raises InvariantError when the decision holds some already, or asks for
        less than nothing."""
        if not (reservation.amount.is_finite() and reservation.amount >= 0):
            raise InvariantError(f"decision {reservation.decision_id} cannot reserve {reservation.amount}")
        if reservation.decision_id in self._held:
            raise InvariantError(f"decision {reservation.decision_id} holds a reservation already")
        self._usage = None
        self._held[reservation.decision_id] = reservation
        self._entries.append(reservation.created_at)

    def settle(self, decision_id: DecisionId, *, spent: Decimal) -> None:
        """The entry ended: what it really spent stays counted, the rest is free again.

        Settling a decision that holds nothing changes nothing, so a repeated or late outcome is harmless.
        A settled spend above the reservation is counted in full: the books follow the exchange. It counts on the UTC
        day of the reservation, whenever it settles. Raises InvariantError for a negative spend.
        """
        if not (spent.is_finite() and spent >= 0):
            raise InvariantError(f"decision {decision_id} cannot have spent {spent}")
        self._usage = None
        reservation = self._held.pop(decision_id, None)
        if reservation is not None and spent:
            day = reservation.created_at.date()
            self._spent[day] = total((self._spent.get(day, ZERO), spent))

    def release(self, decision_id: DecisionId) -> None:
        """The entry surely never reached the venue: it counts neither as spend nor as a trade of the hour."""
        self._usage = None
        reservation = self._held.pop(decision_id, None)
        if reservation is not None and reservation.created_at in self._entries:
            self._entries.remove(reservation.created_at)

    def spend_more(self, created_at: datetime, amount: Decimal, *, counts_anew: bool) -> None:
        """An entry that had ended spent more than was counted (or less: a fee that was assumed). It counts on the day
        of its reservation; `counts_anew` when it was released before, and so was no trade of its hour."""
        self._usage = None
        day = created_at.date()
        self._spent[day] = max(ZERO, total((self._spent.get(day, ZERO), amount)))
        if counts_anew:
            self._entries = deque(sorted([*self._entries, created_at]))

    def restore(self, *, entries: list[datetime], spent: dict[date, Decimal], realised: dict[date, Decimal]) -> None:
        """Take over what the ledger knows of earlier entries: their instants, spend and results by UTC day.

        `entries` are those that hold no reservation any more; the held ones are reserved here and counted besides.
        """
        self._usage = None
        self._entries = deque(sorted([*entries, *(held.created_at for held in self._held.values())]))
        self._spent, self._realised = dict(spent), dict(realised)

    def set_position(self, symbol: str, cost: Decimal) -> None:
        """Tell what an open position cost; zero or less means that it is closed."""
        self._usage = None
        if cost > 0:
            self._positions[symbol] = cost
        else:
            self._positions.pop(symbol, None)

    def book(self, day: date, result: Decimal) -> None:
        """Add a booked profit (or loss, negative) to its UTC day."""
        self._usage = None
        self._realised[day] = total((self._realised.get(day, ZERO), result))

    def usage(self, now: datetime) -> Usage:
        """What is taken at `now`. Forgets entries that left the hour.

        A reservation that is still held counts today, whenever it was made: it may yet be spent today.
        """
        while self._entries and self._entries[0] <= now - HOUR:
            self._entries.popleft()
            self._usage = None
        today = now.date()
        if self._usage is None or self._usage_day != today:
            self._usage, self._usage_day = self._usage_on(today), today
        return self._usage

    def _usage_on(self, today: date) -> Usage:
        exposure = dict(self._positions)
        for held in self._held.values():
            exposure[held.symbol] = total((exposure.get(held.symbol, ZERO), held.amount))
        reserved = (held.amount for held in self._held.values())
        return Usage(
            orders_last_hour=len(self._entries),
            spent_today=total((self._spent.get(today, ZERO), *reserved)),
            realised_today=self._realised.get(today, ZERO),
            exposure=total(exposure.values()),
            exposure_by_symbol=exposure,
            symbols=tuple(sorted(exposure)),
        )
