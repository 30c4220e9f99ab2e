"""What a position is after the fills of an order, and after all of its fills are counted anew."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import structs

from signalbox.domain.instruments import Instrument
from signalbox.domain.money import ZERO
from signalbox.domain.orders import Fill, Side
from signalbox.domain.positions import Position, apply_fill


def after_fills(before: Position, fills: Sequence[Fill], instrument: Instrument, *, now: datetime) -> Position:
    """The position after an order's fills; closed when less than one lot is left (the remainder stays as dust)."""
    position = _folded(before, fills, instrument)
    if position.quantity < instrument.lot_size:
        # fills carry the venue's time, which may be ahead of ours
        position = structs.replace(position, closed_at=max(now, position.opened_at))
    return position


def refolded(position: Position, fills: Iterable[Fill], instrument: Instrument, *, now: datetime) -> Position:
    """The position that all these fills make, whatever it was before: open again when a lot or more is left.

    Buys count before sells, so that it does not matter how the venue cut their times.
    """
    empty = structs.replace(position, quantity=ZERO, bought=ZERO, cost=ZERO, realised_pnl=ZERO, fees=ZERO)
    in_order = sorted(fills, key=lambda fill: (fill.side is Side.SELL, fill.filled_at, fill.exchange_trade_id))
    folded = _folded(empty, in_order, instrument)
    if folded.quantity >= instrument.lot_size:
        return structs.replace(folded, closed_at=None)
    return structs.replace(folded, closed_at=position.closed_at or max(now, position.opened_at))


def _folded(position: Position, fills: Iterable[Fill], instrument: Instrument) -> Position:
    for fill in fills:
        position = apply_fill(position, fill, quote_asset=instrument.quote, base_asset=instrument.base)
    return position
