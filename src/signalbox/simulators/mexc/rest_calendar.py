"""The calendar of new coins, an undocumented endpoint of the website (shape as its readers use it).

It names the coin, not the pair: the quote asset is not given. Coins stay in it for about a week after they opened.
"""

from signalbox.simulators.mexc.calls import Call, Endpoint
from signalbox.simulators.mexc.exchange import Exchange


class Calendar:
    """Answers the calendar; keeps the last answer for the `calendar_frozen` switch (a stale cache)."""

    def __init__(self) -> None:
        self._last: list[dict[str, object]] | None = None

    def new_coins(self, call: Call) -> dict[str, object]:
        """Announced coins that open soon or opened recently."""
        exchange = call.exchange
        if self._last is None or not exchange.switches.calendar_frozen:
            self._last = self._entries(exchange, call.now_ms)
        return {"data": {"newCoins": self._last}, "code": 0, "msg": "success", "timestamp": call.now_ms}

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        """The table entry."""
        return {("GET", "/api/operation/new_coin_calendar"): Endpoint(self.new_coins, weight=0)}

    def _entries(self, exchange: Exchange, now_ms: int) -> list[dict[str, object]]:
        entries = []
        for pair in exchange.pairs.values():
            pair.timetable.apply_moves(now_ms)
            if not pair.timetable.in_calendar(now_ms, exchange.switches.calendar_history_ms):
                continue
            entry: dict[str, object] = {
                "vcoinId": pair.rules.coin_id,
                "vcoinName": pair.rules.base,
                "vcoinNameFull": pair.rules.full_name,
                "firstOpenTime": pair.timetable.published_open_ms,
            }
            if exchange.switches.calendar_zone:
                entry["zone"] = "innovation"
            entries.append(entry)
        return entries
