"""What an entry asked for and what it spent, and why a market buy spends less, in words."""

from decimal import Decimal, InvalidOperation

from signalbox.domain.money import ZERO, plain
from signalbox.domain.orders import OrderType
from signalbox.ledger.queries.trades import TradeRow


def spend_text(trade: TradeRow) -> str | None:
    """One sentence about a buy that spent less than it asked for, None when there is nothing to explain.

    MEXC turns a market order into an immediate-or-cancel order at a protective price (observed: about 5 % away) and
    sizes a buy by quote amount at that worse price, so that it usually spends 95 to 96 % of it.
    """
    asked, spent = trade.quote_amount, trade.executed_quote
    if asked is None or spent is None or not ZERO < spent < asked:
        return None
    text = f"asked {asked:.2f}, spent {spent:.2f} ({spent / asked:.1%})"
    if trade.order_type is not OrderType.MARKET:
        return text
    protective, paid = _price(trade.stated_price), trade.executed_price
    if protective is None or paid is None or protective <= paid:
        return f"{text}: the exchange bounds a market buy by a protective price and sizes it at that"
    return (
        f"{text}: the exchange sizes a market buy at its protective price {plain(protective)}, "
        f"{protective / paid - 1:.1%} above what was paid"
    )


def _price(text: str | None) -> Decimal | None:
    try:
        price = Decimal(text or "")
    except InvalidOperation:
        return None
    return price if price.is_finite() and price > 0 else None
