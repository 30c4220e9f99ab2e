"""Symbol lists of the website, undocumented endpoints that some bots read (shapes as those readers use them).

Their numbers are the website's own: `status` and `sts` 1 means that the pair trades, 2 that it does not yet.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from signalbox.simulators.mexc.calls import Call, Endpoint
from signalbox.simulators.mexc.decimals import plain
from signalbox.simulators.mexc.instruments import Phase
from signalbox.simulators.mexc.pairs import Pair

Json = dict[str, object]


def symbols(call: Call) -> Json:
    """Pairs by quote asset with their opening as ISO text; `symbol=ABC_USDT` asks for one."""
    return {"data": _by_quote(call, _entry)}


def symbols_v2(call: Call) -> Json:
    """The newer list: `symbols` is an object by quote asset, the names are two or three letters."""
    return {"data": {"symbols": _by_quote(call, _entry_v2)}, "code": 0, "msg": "success", "timestamp": call.now_ms}


def _by_quote(call: Call, entry: Callable[[Pair, int], Json]) -> dict[str, list[Json]]:
    asked = call.params.get("symbol")
    call.exchange.open_waiting(call.now_ms)
    found: dict[str, list[Json]] = {}
    for pair in call.exchange.pairs.values():
        name = f"{pair.rules.base}_{pair.rules.quote}"
        if pair.timetable.is_visible(call.now_ms) and asked in (None, name):
            found.setdefault(pair.rules.quote, []).append(entry(pair, call.now_ms))
    return found


def _status(pair: Pair, now_ms: int) -> int:
    return 1 if pair.phase(now_ms) is Phase.OPEN else 2


def _opens_ms(pair: Pair) -> int:
    return pair.timetable.published_open_ms or pair.timetable.opens_at_ms


def _entry(pair: Pair, now_ms: int) -> Json:
    opens = datetime.fromtimestamp(_opens_ms(pair) / 1000, UTC)
    return {
        "currency": pair.rules.base,
        "openTime": opens.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "status": _status(pair, now_ms),
        "c": plain(pair.tape.last_price or pair.price),
    }


def _entry_v2(pair: Pair, now_ms: int) -> Json:
    rules = pair.rules
    return {
        "id": f"{rules.coin_id}-{rules.quote}",
        "mcd": rules.quote,
        "cd": rules.coin_id,
        "vn": rules.base,
        "fn": rules.full_name,
        "srt": 0,
        "sts": _status(pair, now_ms),
        "tp": "NEW" if pair.fresh else "MAIN",
        "in": "",
        "ot": _opens_ms(pair),
        "cp": [],
        "ci": [],
        "ps": rules.price_scale,
        "qs": rules.quantity_scale,
        "cdm": 0,
        "st": pair.timetable.is_api_tradable(now_ms),
        "dst": 1,
        "tt": [1],
        "ca": "",
        "fne": rules.full_name,
    }


ENDPOINTS = {
    ("GET", "/api/platform/spot/market/symbols"): Endpoint(symbols, weight=0),
    ("GET", "/api/platform/spot/market-v2/web/symbolsV2"): Endpoint(symbols_v2, weight=0),
}
