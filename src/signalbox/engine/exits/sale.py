"""How a position is sold when the venue does not simply take a market order: what to try next, after which pause."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from msgspec import structs

from signalbox.domain.backoff import backoff
from signalbox.domain.instruments import Instrument
from signalbox.domain.money import ZERO
from signalbox.domain.orders import OrderStatus, RefusalKind, Rejected
from signalbox.engine.books.settlement import NOT_FOUND_AT_VENUE
from signalbox.engine.orders.dispatch import Attempt

FIRST_DISCOUNT: Final = Decimal("0.05")
"""How far below the bid a first limit sale goes: as far as MEXC's own market orders do (observed)."""

LARGEST_DISCOUNT: Final = Decimal("0.4")
SMALLEST_DISCOUNT: Final = Decimal("0.001")

LONGEST_CLOSED_PAUSE_S: Final = 4.0
"""A market that does not take sales yet (a buy-only phase, a halt) is asked again at least this often: when it opens to
them, a stop that fired must not wait half a minute."""

MOST_AT_ONCE: Final = 6
"""Attempts of another style that follow each other without a pause; orders are limited to twelve in a second."""


class SaleStyle:
    """The next attempt to sell one position. `discount`: a limit order this far below the bid; None: a market order.

    A market order that is refused by its type, or taken and cancelled, becomes an immediate-or-cancel limit sale; one
    that finds nobody goes lower, as far as the venue allows; one that is priced too low goes higher. When nothing of
    that helps, it begins anew after a pause of 1, 2, 4 … 30 s; of 4 s at most while the market takes no sales at all.
    """

    def __init__(self) -> None:
        self.discount: Decimal | None = None
        self.free: Decimal | None = None
        self._least_notional = ZERO
        self._at_once = 0
        self._pauses: Iterator[float] = backoff()

    def rules(self, instrument: Instrument) -> Instrument:
        """The market's rules with what a refusal taught us about them; a market without market orders is sold by
        limit."""
        if self.discount is None and not instrument.market_orders:
            self.discount = FIRST_DISCOUNT
        if not self._least_notional:
            return instrument
        return structs.replace(
            instrument,
            min_notional=max(instrument.min_notional, self._least_notional),
            min_notional_market=max(instrument.min_notional_market, self._least_notional),
        )

    def sold(self, quantity: Decimal) -> None:
        """Something was sold: the way was right. A wallet that was looked into has that much less now."""
        if self.free is not None:
            self.free = max(self.free - quantity, ZERO)
        self._at_once = 0
        self._pauses = backoff()

    def has_less_than(self, quantity: Decimal) -> bool:
        """Whether the wallet was looked into, and has less than this."""
        return self.free is not None and self.free < quantity

    def next_pause_s(self) -> float:
        """1, 2, 4 … 30 s."""
        self._at_once = 0
        return next(self._pauses)

    def at_once(self) -> float:
        """No pause, unless there were many attempts without one."""
        self._at_once += 1
        return self.next_pause_s() if self._at_once > MOST_AT_ONCE else 0.0

    def after(self, attempt: Attempt, instrument: Instrument) -> float:
        """Choose the next style after an attempt that sold nothing; the pause before it, in seconds."""
        refusal = attempt.refusal
        if refusal is not None:
            return self._after_refusal(refusal)
        if attempt.result is not None and attempt.result.status is OrderStatus.REJECTED:
            return self._after_no_fill(attempt.result.error_code, instrument)
        return self.next_pause_s()

    def _after_refusal(self, refusal: Rejected) -> float:
        if refusal.least_notional is not None:
            self._least_notional = refusal.least_notional
        match refusal.kind:
            case RefusalKind.ORDER_TYPE:
                self.discount = FIRST_DISCOUNT if self.discount is None else None
                return self.at_once()
            case RefusalKind.PRICE:
                self._go_higher()
                return self.at_once()
            case RefusalKind.CLOCK:
                return self.at_once()
            case RefusalKind.THROTTLED if refusal.retry_after_s:
                return refusal.retry_after_s
            case RefusalKind.NOT_OPEN_YET:
                return min(self.next_pause_s(), LONGEST_CLOSED_PAUSE_S)
            case _:
                return self.next_pause_s()

    def _go_higher(self) -> None:
        if self.discount is None:
            self.discount = FIRST_DISCOUNT
            return
        halved = self.discount / 2
        self.discount = halved if halved >= SMALLEST_DISCOUNT else None

    def _after_no_fill(self, code: str | None, instrument: Instrument) -> float:
        """It was taken, and nobody bought. An order that the venue says it never had is no such thing."""
        if code == NOT_FOUND_AT_VENUE:
            return self.next_pause_s()
        if self.discount is None:
            self.discount = FIRST_DISCOUNT
            return self.at_once()
        lowest = LARGEST_DISCOUNT if instrument.sell_band is None else min(instrument.sell_band, LARGEST_DISCOUNT)
        if self.discount >= lowest:
            self.discount = None
            return self.next_pause_s()
        self.discount = min(self.discount * 2, lowest)
        return self.at_once()
