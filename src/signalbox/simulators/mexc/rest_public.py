"""Public REST endpoints (MEXC spot docs, "Market Data Endpoints"; field types as observed on the live API)."""

from collections.abc import Callable
from decimal import Decimal

from signalbox.simulators.market import Side
from signalbox.simulators.mexc import errors
from signalbox.simulators.mexc.calls import Call, Endpoint
from signalbox.simulators.mexc.decimals import fixed, plain, truncate
from signalbox.simulators.mexc.errors import Refusal
from signalbox.simulators.mexc.instruments import Phase
from signalbox.simulators.mexc.order_rules import required
from signalbox.simulators.mexc.pairs import Pair

INTERVALS_MS = {
    "1m": 60_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "60m": 3_600_000,
    "4h": 14_400_000,
    "1d": 86_400_000,
    "1W": 604_800_000,
    "1M": 2_592_000_000,
}
HOUR_MS = 3_600_000
TICKER_CACHE_MS = 20_000
Json = dict[str, object]


def ping(_call: Call) -> Json:
    """Nothing."""
    return {}


def time(call: Call) -> Json:
    """The exchange's clock."""
    return {"serverTime": call.now_ms}


def default_symbols(call: Call) -> Json:
    """Pairs open to API trading."""
    now = call.now_ms
    call.exchange.open_waiting(now)
    names = [
        pair.symbol
        for pair in call.exchange.pairs.values()
        if pair.phase(now) is Phase.OPEN and pair.timetable.is_api_tradable(now)
    ]
    return {"data": names, "code": 0, "msg": "success", "timestamp": now}


def exchange_info(call: Call) -> Json:
    """Rules of all pairs, of one (`symbol`), or of a comma list (`symbols`, unknown ones are left out)."""
    symbol, symbols = call.params.get("symbol"), call.params.get("symbols")
    if symbol:
        pairs = [_pair(call, symbol)]
    elif symbols:
        found = [call.exchange.find(name, call.now_ms) for name in symbols.split(",")]
        pairs = [pair for pair in found if pair is not None]
    else:
        call.exchange.open_waiting(call.now_ms)
        pairs = list(call.exchange.pairs.values())
    return {
        "timezone": "CST",
        "serverTime": call.now_ms,
        "rateLimits": [],
        "exchangeFilters": [],
        "symbols": [pair.exchange_info(call.now_ms) for pair in pairs if pair.timetable.is_visible(call.now_ms)],
    }


def ticker_price(call: Call) -> object:
    """Last price of one pair or of all that have traded; `symbols` is ignored, as on the live API."""

    def entry(pair: Pair) -> Json:
        return {"symbol": pair.symbol, "price": plain(_last(pair))}

    return _one_or_all(call, entry, with_book=False)


def book_ticker(call: Call) -> object:
    """Best bid and ask; numbers keep their trailing zeros."""

    def entry(pair: Pair) -> Json:
        bid, ask = _best(pair, Side.BUY), _best(pair, Side.SELL)
        price_scale, quantity_scale = pair.rules.price_scale, pair.rules.quantity_scale
        return {
            "symbol": pair.symbol,
            "bidPrice": fixed(bid[0], price_scale),
            "bidQty": fixed(bid[1], quantity_scale),
            "askPrice": fixed(ask[0], price_scale),
            "askQty": fixed(ask[1], quantity_scale),
        }

    return _one_or_all(call, entry, with_book=True)


def ticker_24hr(call: Call) -> object:
    """Statistics of a day; `openTime` and `closeTime` are cache times some seconds apart, `count` is null."""

    def entry(pair: Pair) -> Json:
        day = pair.tape.day()
        last = _last(pair)
        opening = day.open if day else last
        bid, ask = _best(pair, Side.BUY), _best(pair, Side.SELL)
        change = last - opening
        return {
            "symbol": pair.symbol,
            "priceChange": plain(truncate(change, pair.rules.price_scale)),
            "priceChangePercent": plain(truncate(change / opening, 4)) if opening else "0",
            "prevClosePrice": plain(truncate(opening, pair.rules.price_scale)),
            "lastPrice": plain(last),
            "bidPrice": plain(bid[0]),
            "bidQty": plain(bid[1]),
            "askPrice": plain(ask[0]),
            "askQty": plain(ask[1]),
            "openPrice": plain(truncate(opening, pair.rules.price_scale)),
            "highPrice": plain(truncate(day.high, pair.rules.price_scale)) if day else plain(last),
            "lowPrice": plain(truncate(day.low, pair.rules.price_scale)) if day else plain(last),
            "volume": plain(truncate(day.volume, pair.rules.quantity_scale)) if day else "0",
            "quoteVolume": plain(truncate(day.turnover, 2)) if day else "0",
            "openTime": call.now_ms - TICKER_CACHE_MS,
            "closeTime": call.now_ms,
            "count": None,
        }

    return _one_or_all(call, entry, with_book=True)


def depth(call: Call) -> Json:
    """The order book as string pairs."""
    pair = _pair(call, required(call.params, "symbol"))
    limit = call.limit(100, 5_000)
    rules = pair.rules

    def side(which: Side) -> list[list[str]]:
        return [
            [fixed(price, rules.price_scale), fixed(quantity, rules.quantity_scale)]
            for price, quantity in pair.book.levels(which, limit)
        ]

    return {
        "lastUpdateId": pair.book.version,
        "bids": side(Side.BUY),
        "asks": side(Side.SELL),
        "timestamp": call.now_ms,
    }


def trades(call: Call) -> list[Json]:
    """Recent trades, newest first; ids are null."""
    pair = _pair(call, required(call.params, "symbol"))
    return [
        {
            "id": None,
            "price": plain(trade.price),
            "qty": plain(trade.quantity),
            "quoteQty": plain(trade.price * trade.quantity),
            "time": trade.at_ms,
            "isBuyerMaker": trade.taker is Side.SELL,
            "isBestMatch": True,
            "tradeType": "BID" if trade.taker is Side.BUY else "ASK",
        }
        for trade in pair.tape.newest(call.limit(500, 1_000))
    ]


def agg_trades(call: Call) -> list[Json]:
    """Recent trades in short form; times are whole seconds."""
    pair = _pair(call, required(call.params, "symbol"))
    start, end = call.whole("startTime"), call.whole("endTime")
    if start is not None and end is not None and end - start > HOUR_MS:
        raise Refusal(errors.TIME_RANGE_TOO_LONG)
    return [
        {
            "a": None,
            "f": None,
            "l": None,
            "p": plain(trade.price),
            "q": plain(trade.quantity),
            "T": trade.at_ms - trade.at_ms % 1000,
            "m": trade.taker is Side.SELL,
            "M": True,
        }
        for trade in pair.tape.newest(call.limit(500, 1_000))
        if (start is None or trade.at_ms >= start) and (end is None or trade.at_ms <= end)
    ]


def klines(call: Call) -> list[list[object]]:
    """Candles with eight columns; `closeTime` is `openTime` plus the interval. A lone `endTime` is ignored."""
    pair = _pair(call, required(call.params, "symbol"))
    interval_ms = INTERVALS_MS.get(required(call.params, "interval"))
    if interval_ms is None:
        raise Refusal(errors.SYMBOL_INVALID, text="Invalid interval.")
    start, end = call.whole("startTime"), call.whole("endTime")
    candles = pair.tape.klines(interval_ms)
    limit = call.limit(500, 1_000)
    if start:
        candles = [candle for candle in candles if candle.opens_at_ms >= start][:limit]
        candles = [candle for candle in candles if end is None or candle.opens_at_ms <= end]
    scale = pair.rules.price_scale
    return [
        [
            candle.opens_at_ms,
            plain(truncate(candle.open, scale)),
            plain(truncate(candle.high, scale)),
            plain(truncate(candle.low, scale)),
            plain(truncate(candle.close, scale)),
            plain(truncate(candle.volume, pair.rules.quantity_scale)),
            candle.opens_at_ms + interval_ms,
            plain(truncate(candle.turnover, 2)),
        ]
        for candle in candles[-limit:]
    ]


def average_price(call: Call) -> Json:
    """The average of five minutes; here simply the last price."""
    pair = _pair(call, required(call.params, "symbol"))
    return {"mins": 5, "price": plain(_last(pair))}


def offline_symbols(call: Call) -> Json:
    """Pairs that are halted (state 2) or gone (state 3)."""
    now = call.now_ms
    data: list[Json] = []
    for pair in call.exchange.pairs.values():
        phase = pair.phase(now)
        if phase is Phase.HALTED:
            data.append({"symbol": pair.symbol, "state": 2})
        elif phase is Phase.GONE and pair.opened:
            data.append({"symbol": pair.symbol, "state": 3, "offlineTime": pair.timetable.gone_at_ms})
    return {"data": data}


def contract_detail(_call: Call) -> Json:
    """The futures catalogue, which is empty here; general clients ask for it while they load markets."""
    return {"success": True, "code": 0, "data": []}


def _one_or_all(call: Call, entry: Callable[[Pair], Json], *, with_book: bool) -> object:
    symbol = call.params.get("symbol")
    if symbol:
        return entry(_pair(call, symbol))
    pairs = call.exchange.trading_pairs(call.now_ms)
    if with_book:
        for pair in pairs:
            call.exchange.catch_up(pair, call.now_ms)
    if call.exchange.switches.tickers_before_trade == "zero":
        pairs += [
            pair for pair in call.exchange.pairs.values() if not pair.opened and pair.timetable.is_visible(call.now_ms)
        ]
    return [entry(pair) for pair in pairs]


def _pair(call: Call, symbol: str) -> Pair:
    pair = call.exchange.find(symbol, call.now_ms)
    if pair is None:
        raise Refusal(errors.SYMBOL_INVALID)
    return pair


def _last(pair: Pair) -> Decimal:
    return pair.tape.last_price or Decimal(0)


def _best(pair: Pair, side: Side) -> tuple[Decimal, Decimal]:
    return pair.book.best(side) or (Decimal(0), Decimal(0))


ENDPOINTS = {
    ("GET", "/api/v3/ping"): Endpoint(ping),
    ("GET", "/api/v3/time"): Endpoint(time),
    ("GET", "/api/v3/defaultSymbols"): Endpoint(default_symbols),
    ("GET", "/api/v3/exchangeInfo"): Endpoint(exchange_info, weight=25),
    ("GET", "/api/v3/ticker/price"): Endpoint(ticker_price, weight=10),
    ("GET", "/api/v3/ticker/bookTicker"): Endpoint(book_ticker, weight=10),
    ("GET", "/api/v3/ticker/24hr"): Endpoint(ticker_24hr, weight=25),
    ("GET", "/api/v3/depth"): Endpoint(depth, weight=3),
    ("GET", "/api/v3/trades"): Endpoint(trades, weight=5),
    ("GET", "/api/v3/aggTrades"): Endpoint(agg_trades),
    ("GET", "/api/v3/klines"): Endpoint(klines),
    ("GET", "/api/v3/avgPrice"): Endpoint(average_price),
    ("GET", "/api/v3/symbol/offline"): Endpoint(offline_symbols, weight=10),
    ("GET", "/api/v1/contract/detail"): Endpoint(contract_detail),
}
