"""What an entry does after a definite refusal: again at the next slot, at once, as a limit order, or never.

Slots are whole intervals after the instant at which the first order was due, so that they do not drift with the time
that answers take. There is one more: an order that is meant for the very instant of an opening comes too early as often
as the clocks disagree, so the next one goes as soon as it surely does not.
"""

import math
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct, structs

from signalbox.domain.configuration import ListingSniperParameters, OrderStyle
from signalbox.domain.money import plain
from signalbox.domain.orders import Order, OrderType, RefusalKind, Rejected
from signalbox.domain.ports import Clock
from signalbox.domain.risk.checks import SkipCode

MAX_ATTEMPTS = 120
"""Of one entry, whatever its window: ten seconds at the twelve orders per second that MEXC takes."""

NOT_LISTED_FOR = timedelta(seconds=5)
"""How long after an opening "no such pair" and "not open to the API" may still mean "not yet"."""

UNCLEAR_SENDS = 2
"""Sends of one entry whose answer may stay unclear. Each of them was looked up, and not found, before the next."""


class Again(Struct, frozen=True):
    """The same order, at that instant (monotonic nanoseconds)."""

    at_ns: int


class AsLimit(Struct, frozen=True):
    """A limit order, priced from the book and never above the venue's `price_cap`. While the book has no price: the
    same order again at `or_again` (monotonic nanoseconds); None: wait for a price."""

    price_cap: Decimal | None = None
    or_again: int | None = None


class Over(Struct, frozen=True):
    """No further attempt. `reason` is empty when the refusal says it all. `stale`: it could have been tried again, but
    only when the signal is no longer fresh."""

    reason: str = ""
    stale: bool = False


Step = Again | AsLimit | Over


class Burst:
    """The attempts of one entry. `first_ns`: when the first order was due; `sure_ns`: from when on an order surely does
    not come before the opening (both monotonic); `opened_at`: the opening by our clock."""

    def __init__(
        self,
        parameters: ListingSniperParameters,
        clock: Clock,
        *,
        first_ns: int,
        opened_at: datetime,
        until: datetime,
        sure_ns: int | None = None,
    ) -> None:
        self.until = until
        self._parameters = parameters
        self._clock = clock
        self._first_ns = first_ns
        self._sure_ns = sure_ns
        self._went_ns = first_ns
        self._opened_at = opened_at
        self._interval_ns = parameters.burst_interval_ms * 1_000_000
        self._clock_refused = False
        self._unclear = 0

    def after_refusal(self, order: Order, refusal: Rejected) -> Step:
        """What to do after the venue, or its adapter, surely did not take the order."""
        twice, self._clock_refused = self._clock_refused, refusal.kind is RefusalKind.CLOCK
        if order.attempt >= MAX_ATTEMPTS:
            return Over(f"given up after {MAX_ATTEMPTS} attempts")
        match refusal.kind:
            case RefusalKind.NOT_OPEN_YET | RefusalKind.THROTTLED:
                return self.next_slot(refusal.retry_after_s or 0.0)
            case RefusalKind.NOT_LISTED:
                return self._while_not_listed()
            case RefusalKind.NO_OPPOSITE:
                return self._with_nobody_to_trade(order)
            case RefusalKind.CLOCK:
                return Over("refused again with the time measured anew") if twice else self._at_once()
            case RefusalKind.ORDER_TYPE:
                return AsLimit() if self._may_become_limit(order) else Over()
            case RefusalKind.PRICE:
                return self._repriced(order, refusal.price_cap)
            case _:
                return Over()

    def after_nothing_bought(self, order: Order, *, unclear: bool) -> Step:
        """What to do after the order ended without a fill. `unclear`: its answer was, and the venue does not know it.

        A market order that ended so counts as one that the venue does not take, as in a listing's first minute.
        """
        self._clock_refused = False
        self._unclear += unclear
        if self._unclear >= UNCLEAR_SENDS or order.attempt >= MAX_ATTEMPTS:
            return Over()
        return AsLimit() if self._may_become_limit(order) else Over()

    def next_slot(self, wait_s: float = 0.0) -> Step:
        """The next whole interval, after the wait that the venue asks for."""
        now_ns = self._clock.monotonic_ns()
        passed = (now_ns + round(wait_s * 1_000_000_000) - self._first_ns) / self._interval_ns
        slots = math.ceil(passed) if wait_s > 0 else math.floor(passed) + 1
        at_ns = self._first_ns + slots * self._interval_ns
        if self._sure_ns is not None and wait_s == 0 and self._went_ns < self._sure_ns:
            at_ns = min(at_ns, max(now_ns, self._sure_ns))
        self._went_ns = at_ns
        if self._clock.at(at_ns) >= self.until:
            return Over("dropped as stale: the next attempt would come after the deadline", stale=True)
        return Again(at_ns)

    def explained(self, refusal: Rejected, step: Step) -> Rejected:
        """The refusal, with the reason why it was the last one. What never left and went stale has that as its code."""
        if not isinstance(step, Over) or not step.reason:
            return refusal
        code = SkipCode.STALE.value if step.stale and not refusal.sent else refusal.code
        return structs.replace(refusal, code=code, message=f"{refusal.message} ({step.reason})")

    def _at_once(self) -> Step:
        return Again(self._clock.monotonic_ns())

    def _with_nobody_to_trade(self, order: Order) -> Step:
        again = self.next_slot()
        if self._may_become_limit(order) and isinstance(again, Again):
            return AsLimit(or_again=again.at_ns)
        return again

    def _while_not_listed(self) -> Step:
        late = self._clock.now() - self._opened_at
        if late > NOT_LISTED_FOR:
            return Over(f"given up: still so {late.total_seconds():.1f} s after the opening")
        return self.next_slot()

    def _may_become_limit(self, order: Order) -> bool:
        return order.order_type is OrderType.MARKET and self._parameters.order_style is not OrderStyle.MARKET

    def _repriced(self, order: Order, cap: Decimal | None) -> Step:
        highest = "names no highest price" if cap is None else f"allows at most {plain(cap)}"
        if self._parameters.order_style is OrderStyle.MARKET:
            return Over(f"the venue {highest}, and the order style market has no price to lower")
        if order.limit_price is None:
            return AsLimit(cap)
        if cap is None or cap >= order.limit_price:
            return Over(f"the venue {highest}, and refused our own highest price of {plain(order.limit_price)}")
        return AsLimit(cap)
