"""Builds the websocket pushes: one function per channel, from the exchange's state to a binary frame."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from signalbox.simulators.market import Side
from signalbox.simulators.mexc.accounts import Account
from signalbox.simulators.mexc.decimals import fixed, plain, truncate
from signalbox.simulators.mexc.orders import Order, OrderType, OwnTrade, Status
from signalbox.simulators.mexc.pairs import Pair
from signalbox.simulators.mexc.protobuf import Message, encode_element, encode_push
from signalbox.simulators.mexc.tape import PublicTrade

Levels = Sequence[tuple[Decimal, Decimal]]

TRADE_TYPES = {Side.BUY: 1, Side.SELL: 2}
ORDER_TYPES = {
    OrderType.LIMIT: 1,
    OrderType.LIMIT_MAKER: 2,
    OrderType.IMMEDIATE_OR_CANCEL: 3,
    OrderType.FILL_OR_KILL: 4,
    OrderType.MARKET: 5,
}
STATUSES = {
    Status.NEW: 1,
    Status.FILLED: 2,
    Status.PARTIALLY_FILLED: 3,
    Status.CANCELED: 4,
    Status.PARTIALLY_CANCELED: 5,
}
KLINE_MINUTES = {
    "Min1": 1,
    "Min5": 5,
    "Min15": 15,
    "Min30": 30,
    "Min60": 60,
    "Hour4": 240,
    "Hour8": 480,
    "Day1": 1440,
    "Week1": 10080,
    "Month1": 43200,
}


def event_type(channel: str, symbol: str) -> str:
    """The channel without its symbol, which deals and depths repeat in their body."""
    return channel.removesuffix(f"@{symbol}")


def deals(channel: str, pair: Pair, trades: Iterable[PublicTrade], now_ms: int, *, with_ids: bool) -> bytes:
    """aggre.deals: trades since the last push."""
    items: list[Message] = [
        {
            "price": plain(trade.price),
            "quantity": plain(trade.quantity),
            "tradeType": TRADE_TYPES[trade.taker],
            "time": trade.at_ms,
            "tradeId": f"{trade.number}X0_{trade.number}X0" if with_ids else "",
        }
        for trade in trades
    ]
    body: Message = {"deals": items, "eventType": event_type(channel, pair.symbol)}
    return encode_push(channel, "publicAggreDeals", body, symbol=pair.symbol, sendTime=now_ms)


def book_ticker_body(pair: Pair, now_ms: int, *, with_version: bool) -> Message:
    """Best bid and ask."""
    bid = pair.book.best(Side.BUY) or (Decimal(0), Decimal(0))
    ask = pair.book.best(Side.SELL) or (Decimal(0), Decimal(0))
    body: dict[str, str | int] = {
        "bidPrice": fixed(bid[0], pair.rules.price_scale),
        "bidQuantity": fixed(bid[1], pair.rules.quantity_scale),
        "askPrice": fixed(ask[0], pair.rules.price_scale),
        "askQuantity": fixed(ask[1], pair.rules.quantity_scale),
    }
    if with_version:
        body |= {"version": str(pair.book.version), "lastOrderCreateTime": now_ms}
    return body


def aggregated_book_ticker(channel: str, pair: Pair, now_ms: int, *, with_version: bool) -> bytes:
    """aggre.bookTicker."""
    body = book_ticker_body(pair, now_ms, with_version=with_version)
    return encode_push(channel, "publicAggreBookTicker", body, symbol=pair.symbol, sendTime=now_ms)


def book_ticker_batch(channel: str, pair: Pair, now_ms: int) -> bytes:
    """bookTicker.batch with one item."""
    body: Message = {"items": [book_ticker_body(pair, now_ms, with_version=False)]}
    return encode_push(channel, "publicBookTickerBatch", body, symbol=pair.symbol, sendTime=now_ms)


def depth_changes(
    channel: str, pair: Pair, changes: dict[Side, Levels], versions: tuple[int, int], now_ms: int
) -> bytes:
    """aggre.depth: levels that changed, quantity 0 for a level that is gone."""
    body: Message = {
        "asks": _levels(pair, changes[Side.SELL]),
        "bids": _levels(pair, changes[Side.BUY]),
        "eventType": event_type(channel, pair.symbol),
        "fromVersion": str(versions[0]),
        "toVersion": str(versions[1]),
    }
    return encode_push(channel, "publicAggreDepths", body, symbol=pair.symbol, sendTime=now_ms)


def limit_depth(channel: str, pair: Pair, limit: int, now_ms: int) -> bytes:
    """limit.depth: the whole top of the book."""
    body: Message = {
        "asks": _levels(pair, pair.book.levels(Side.SELL, limit)),
        "bids": _levels(pair, pair.book.levels(Side.BUY, limit)),
        "eventType": "spot@public.limit.depth.v3.api.pb",
        "version": str(pair.book.version),
    }
    return encode_push(channel, "publicLimitDepths", body, symbol=pair.symbol, sendTime=now_ms)


def _levels(pair: Pair, levels: Levels) -> list[Message]:
    rules = pair.rules
    return [
        {"price": fixed(price, rules.price_scale), "quantity": fixed(quantity, rules.quantity_scale)}
        for price, quantity in levels
    ]


def mini_ticker_body(pair: Pair) -> Message:
    """One pair's line in the mini tickers. `volume` is quote turnover, `quantity` is in base."""
    scale = pair.rules.price_scale
    day = pair.tape.day()
    last = pair.tape.last_price or Decimal(0)
    if day is None:
        return {"symbol": pair.symbol, "price": plain(last), "rate": "0", "zonedRate": "0"}
    rate = plain(truncate((last - day.open) / day.open, 4)) if day.open else "0"
    high, low = plain(truncate(day.high, scale)), plain(truncate(day.low, scale))
    return {
        "symbol": pair.symbol,
        "price": plain(last),
        "rate": rate,
        "zonedRate": rate,
        "high": high,
        "low": low,
        "volume": plain(truncate(day.turnover, 2)),
        "quantity": plain(truncate(day.volume, 2)),
        "lastCloseRate": rate,
        "lastCloseZonedRate": rate,
        "lastCloseHigh": high,
        "lastCloseLow": low,
    }


def mini_ticker(channel: str, pair: Pair, now_ms: int) -> bytes:
    """miniTicker of one pair."""
    return encode_push(channel, "publicMiniTicker", mini_ticker_body(pair), symbol=pair.symbol, sendTime=now_ms)


def mini_tickers(channel: str, encoded: Sequence[bytes], now_ms: int) -> bytes:
    """miniTickers of all pairs, each made by `encoded_mini_ticker`."""
    return encode_push(channel, "publicMiniTickers", {"tickers": encoded}, sendTime=now_ms)


def encoded_mini_ticker(pair: Pair) -> bytes:
    """One pair's line, ready for `mini_tickers`."""
    return encode_element("tickers", mini_ticker_body(pair))


def kline(channel: str, pair: Pair, interval: str, now_ms: int) -> bytes | None:
    """The current candle; window times are in seconds. None before the first trade."""
    length_ms = KLINE_MINUTES[interval] * 60_000
    candles = pair.tape.klines(length_ms)
    if not candles:
        return None
    candle, scale = candles[-1], pair.rules.price_scale
    body: Message = {
        "interval": interval,
        "windowStart": candle.opens_at_ms // 1000,
        "openingPrice": plain(truncate(candle.open, scale)),
        "closingPrice": plain(truncate(candle.close, scale)),
        "highestPrice": plain(truncate(candle.high, scale)),
        "lowestPrice": plain(truncate(candle.low, scale)),
        "volume": plain(truncate(candle.volume, pair.rules.quantity_scale)),
        "amount": plain(truncate(candle.turnover, 2)),
        "windowEnd": (candle.opens_at_ms + length_ms) // 1000,
    }
    return encode_push(channel, "publicSpotKline", body, symbol=pair.symbol, sendTime=now_ms)


def private_order(channel: str, order: Order, now_ms: int) -> bytes:
    """private.orders: the order as it stands."""
    average = truncate(order.executed_quote / order.executed, 12) if order.executed else Decimal(0)
    body: Message = {
        "id": order.order_id,
        "clientId": order.client_id or "",
        "price": plain(order.price),
        "quantity": plain(order.quantity),
        "amount": plain(order.quote_quantity or order.price * order.quantity),
        "avgPrice": plain(average),
        "orderType": ORDER_TYPES[order.order_type],
        "tradeType": TRADE_TYPES[order.side],
        "isMaker": order.maker_last,
        "remainAmount": plain(order.price * order.quantity - order.executed_quote),
        "remainQuantity": plain(order.remaining),
        "lastDealQuantity": plain(order.last_filled) if order.last_filled is not None else "",
        "cumulativeQuantity": plain(order.executed),
        "cumulativeAmount": plain(order.executed_quote),
        "status": STATUSES[order.status],
        "createTime": order.created_ms,
    }
    return encode_push(channel, "privateOrders", body, symbol=order.symbol, sendTime=now_ms)


def private_deal(channel: str, trade: OwnTrade, now_ms: int) -> bytes:
    """private.deals: one own execution."""
    order = trade.order
    body: Message = {
        "price": plain(trade.price),
        "quantity": plain(trade.quantity),
        "amount": plain(trade.quote_quantity),
        "tradeType": TRADE_TYPES[order.side],
        "isMaker": trade.is_maker,
        "isSelfTrade": trade.is_self_trade,
        "tradeId": trade.trade_id,
        "clientOrderId": order.client_id or "",
        "orderId": order.order_id,
        "feeAmount": plain(trade.fee),
        "feeCurrency": trade.fee_asset,
        "time": trade.at_ms,
    }
    return encode_push(channel, "privateDeals", body, symbol=order.symbol, sendTime=now_ms)


def private_account(
    channel: str, account: Account, asset: str, changes: tuple[Decimal, Decimal], reason: str, now_ms: int
) -> bytes:
    """private.account: a balance that moved, with its change of free and of locked."""
    balance = account.balance(asset)
    body: Message = {
        "vcoinName": asset,
        "balanceAmount": plain(balance.free),
        "balanceAmountChange": plain(changes[0]),
        "frozenAmount": plain(balance.locked),
        "frozenAmountChange": plain(changes[1]),
        "type": reason,
        "time": now_ms,
    }
    return encode_push(channel, "privateAccount", body, createTime=now_ms, sendTime=now_ms)
