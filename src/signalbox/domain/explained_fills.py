"""Fills that stand for executions which the venue counts in an order's totals but does not list.

Such a fill carries an id of its own, which no venue gives. When the real executions turn up they replace it.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from signalbox.domain.instruments import Instrument
from signalbox.domain.money import ZERO, product, share, total
from signalbox.domain.orders import Fill, Order, OrderEvidence
from signalbox.domain.positions import COST_STEP

_MARK = ":rest"


def is_explained(fill: Fill) -> bool:
    """True for a fill that stands for others."""
    return _MARK in fill.exchange_trade_id


def explained_rest(
    order: Order,
    evidence: OrderEvidence,
    listed: Sequence[Fill],
    *,
    instrument: Instrument,
    revision: int,
    now: datetime,
) -> Fill | None:
    """One fill for what the order's totals say beyond the listed executions; None when the totals do not say how much
    was paid for it.

    Its fee is what the listed executions paid in proportion, or the market's rate when none is listed: nobody says what
    it really was.
    """
    quantity = total((evidence.executed_quantity, *(fill.quantity.copy_negate() for fill in listed)))
    quote = total((evidence.executed_quote, *(fill.quote_quantity.copy_negate() for fill in listed)))
    if quantity <= 0 or quote <= 0:
        return None
    fee, fee_asset = _fee(listed, quote, instrument)
    return Fill(
        exchange_trade_id=f"{evidence.exchange_order_id}{_MARK}{'' if revision == 1 else revision}",
        symbol=order.symbol,
        side=order.side,
        price=quote / quantity,
        quantity=quantity,
        quote_quantity=quote,
        fee=fee,
        fee_asset=fee_asset,
        filled_at=max((fill.filled_at for fill in listed), default=now),
    )


def _fee(listed: Sequence[Fill], quote: Decimal, instrument: Instrument) -> tuple[Decimal, str]:
    if not listed:
        return product(quote, instrument.taker_rate), instrument.quote
    asset = listed[-1].fee_asset
    alike = [fill for fill in listed if fill.fee_asset == asset]
    paid, of = total(fill.fee for fill in alike), total(fill.quote_quantity for fill in alike)
    if paid <= 0 or of <= 0:
        return ZERO, asset
    return share(paid, quote, of, step=COST_STEP), asset
