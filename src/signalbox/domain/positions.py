"""Positions, folded from fills. The fills of an order in any order and any number of times give the same position.

Nothing is lost by rounding: at every instant `realised_pnl - cost` is exactly what sells brought minus what buys cost
minus the quote fees. Only how a partial sale divides it between the two is rounded, to COST_STEP.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct, structs

from signalbox.domain.errors import InvariantError
from signalbox.domain.ids import AccountId, PositionId, SignalId
from signalbox.domain.money import ZERO, share, step_of, total
from signalbox.domain.orders import Fill, Mode, Side

COST_STEP = step_of(18)
"""Step to which the cost of a sold part is rounded down, in quote."""


class ExitRule(StrEnum):
    """Which rule asked to leave a position."""

    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    TIME_LIMIT = "time_limit"
    FLATTEN = "flatten"


STOPS = (ExitRule.STOP_LOSS, ExitRule.TRAILING_STOP)
"""Rules that stay fired until everything is sold."""


class TakeProfitLevel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sell a part on the way up: `at` is the gain as a fraction of the entry price, `share` the part of what was
    bought."""

    at: Decimal
    share: Decimal


class ExitPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to leave a position. Any mix is allowed, except `take_profit` (all at once) beside `take_profit_levels`.

    Ratios are fractions of the average entry price (0.2 = 20 %), but `trailing_stop` is a fraction of the highest bid
    since the entry. `trailing_activation` is the gain that this bid must have reached before the trailing stop counts;
    None: it counts from the first bid on. Levels are ascending.
    """

    take_profit: Decimal | None = None
    take_profit_levels: tuple[TakeProfitLevel, ...] = ()
    stop_loss: Decimal | None = None
    trailing_stop: Decimal | None = None
    trailing_activation: Decimal | None = None
    time_limit_s: Decimal | None = None


class Position(Struct, frozen=True, kw_only=True):
    """Holdings of one symbol that one entry opened. Quantity in base; cost, PnL and fees in quote.

    `cost` is what the remaining quantity cost without fees; `fees` are all quote fees so far; `realised_pnl` is
    booked by sells and includes the fees of both sides once they are paid. `bought` is all base that buys brought,
    after base fees; `highest_bid` the best price seen since the entry, kept only for a trailing stop. `fired_stop` is
    the stop that decided to sell everything: from then on no price takes that back.
    """

    id: PositionId
    account_id: AccountId
    symbol: str
    mode: Mode
    opened_at: datetime
    exit_plan: ExitPlan
    signal_id: SignalId | None = None
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realised_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    closed_at: datetime | None = None
    bought: Decimal = ZERO
    highest_bid: Decimal | None = None
    fired_stop: ExitRule | None = None

    @property
    def average_entry_price(self) -> Decimal | None:
        """Quote per base of the remaining quantity, None when nothing is held."""
        return self.cost / self.quantity if self.quantity else None


class UniqueFills:
    """The set of fills of one order, keyed by the venue's trade id: a fill counts once however often it arrives."""

    def __init__(self) -> None:
        self._by_id: dict[tuple[str, str], Fill] = {}

    def add(self, fills: Iterable[Fill]) -> list[Fill]:
        """Take fills in; return those that were new, in the order in which they came."""
        new = []
        for fill in fills:
            key = (fill.symbol, fill.exchange_trade_id)
            if key not in self._by_id:
                self._by_id[key] = fill
                new.append(fill)
        return new

    def totals(self) -> tuple[Decimal, Decimal, dict[str, Decimal]]:
        """(quantity in base, amount in quote, fees by asset) over all distinct fills."""
        fills = self._by_id.values()
        fees: dict[str, Decimal] = {}
        for fill in fills:
            fees[fill.fee_asset] = total((fees.get(fill.fee_asset, ZERO), fill.fee))
        return total(fill.quantity for fill in fills), total(fill.quote_quantity for fill in fills), fees

    def __len__(self) -> int:
        return len(self._by_id)

    def in_order(self) -> list[Fill]:
        """All distinct fills, oldest first; ties are broken by trade id so that the order is stable."""
        return sorted(self._by_id.values(), key=lambda fill: (fill.filled_at, fill.exchange_trade_id))


def apply_fill(position: Position, fill: Fill, *, quote_asset: str, base_asset: str) -> Position:
    """The position after one fill. A fee in the base asset reduces what is held; one in the quote asset is a cost.

    A sell of more than is held is kept as it is (quantity below zero is impossible on a spot venue): the surplus
    is booked with zero cost and shows up in reconciliation. Raises InvariantError for a fill of another symbol.
    """
    if fill.symbol != position.symbol:
        raise InvariantError(f"fill {fill.exchange_trade_id} of {fill.symbol} is no fill of {position.symbol}")
    quote_fee = fill.fee if fill.fee_asset == quote_asset else ZERO
    base_fee = fill.fee if fill.fee_asset == base_asset else ZERO
    fees = total((position.fees, quote_fee))
    if fill.side is Side.BUY:
        received = total((fill.quantity, base_fee.copy_negate()))
        return structs.replace(
            position,
            quantity=total((position.quantity, received)),
            bought=total((position.bought, received)),
            cost=total((position.cost, fill.quote_quantity)),
            realised_pnl=total((position.realised_pnl, quote_fee.copy_negate())),
            fees=fees,
        )
    closed = min(total((fill.quantity, base_fee)), position.quantity)
    everything = closed == position.quantity
    cost_out = position.cost if everything else share(position.cost, closed, position.quantity, step=COST_STEP)
    return structs.replace(
        position,
        quantity=total((position.quantity, closed.copy_negate())),
        cost=ZERO if everything else total((position.cost, cost_out.copy_negate())),
        realised_pnl=total(
            (position.realised_pnl, fill.quote_quantity, quote_fee.copy_negate(), cost_out.copy_negate())
        ),
        fees=fees,
    )
