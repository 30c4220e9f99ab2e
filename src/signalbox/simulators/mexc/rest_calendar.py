"""The calendar of new coins, an undocumented endpoint of the website (shape as its readers use it).

It names the coin, not the pair: the quote asset is not given. Coins stay in it for about a week after they opened.
"""

from datetime import UTC, datetime
from typing import assert_never

from signalbox.simulators.faults import OddForm
from signalbox.simulators.mexc.calls import Call, Endpoint
from signalbox.simulators.mexc.exchange import Exchange
from signalbox.simulators.mexc.pairs import Pair

Entry = dict[str, object]


class Calendar:
    """Answers the calendar; keeps the last answer for the `calendar_frozen` switch (a stale cache)."""

    def __init__(self) -> None:
        self._last: list[Entry] | None = None

    def new_coins(self, call: Call) -> dict[str, object]:
        """Announced coins that open soon or opened recently."""
        exchange = call.exchange
        if self._last is None or not exchange.switches.calendar_frozen:
            self._last = _entries(exchange, call.now_ms)
        answer: dict[str, object] = {"data": {"newCoins": self._last}}
        if exchange.switches.calendar_envelope:
            answer |= {"code": 0, "msg": "success", "timestamp": call.now_ms}
        return answer

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        """The table entry."""
        return {("GET", "/api/operation/new_coin_calendar"): Endpoint(self.new_coins, weight=0)}


def _entries(exchange: Exchange, now_ms: int) -> list[Entry]:
    entries = []
    for pair in exchange.pairs.values():
        pair.timetable.apply_moves(now_ms)
        if not pair.timetable.in_calendar(now_ms, exchange.switches.calendar_history_ms):
            continue
        if exchange.faults.take("calendar_entry_missing", pair.symbol) is None:
            entries.append(_told(exchange, pair))
    return entries


def _told(exchange: Exchange, pair: Pair) -> Entry:
    """What the calendar says about a pair, faults included."""
    opens_ms = pair.timetable.published_open_ms or 0
    moved = exchange.faults.take("calendar_entry_moved", pair.symbol)
    if moved is not None:
        opens_ms += moved.shift_ms
    rules = pair.rules
    entry: Entry = {
        "vcoinId": rules.coin_id,
        "vcoinName": rules.base,
        "vcoinNameFull": rules.full_name,
        "firstOpenTime": opens_ms,
    }
    if exchange.switches.calendar_zone:
        entry["zone"] = "innovation"
    if exchange.switches.calendar_fallback_names:
        entry |= {
            "id": rules.coin_id,
            "symbol": rules.base,
            "projectName": rules.full_name,
            "first_open_time": opens_ms,
        }
    odd = exchange.faults.take("calendar_entry_odd", pair.symbol)
    return entry if odd is None else _oddly(entry, opens_ms, odd.odd_form)


def _oddly(entry: Entry, opens_ms: int, form: OddForm) -> Entry:
    """The same entry with other field types."""
    match form:
        case "strings":
            return {name: str(value) for name, value in entry.items()}
        case "floats":
            return entry | {"firstOpenTime": float(opens_ms), "vcoinId": 4711}
        case "seconds":
            return entry | {"firstOpenTime": opens_ms // 1000}
        case "iso":
            return entry | {"firstOpenTime": datetime.fromtimestamp(opens_ms / 1000, UTC).isoformat()}
        case "nulls":
            return entry | {"firstOpenTime": None, "vcoinNameFull": None}
        case "missing":
            return {name: value for name, value in entry.items() if name != "firstOpenTime"}
        case _:
            assert_never(form)
