"""What MEXC tells about one account when it is asked: balances, orders, executions."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from signalbox.domain.errors import CredentialsRefused, VenueRefused, VenueUnavailable
from signalbox.domain.instruments import TradableSymbols
from signalbox.domain.orders import Fill, Order
from signalbox.domain.venue_records import Balance, VenueOrder
from signalbox.venues.mexc import parse, parse_account
from signalbox.venues.mexc.capabilities import (
    ORDERS_PER_LOOKUP,
    TRADES_PER_LOOKUP,
    WEIGHTS,
    WIDE_TRADES_PER_LOOKUP,
)
from signalbox.venues.mexc.errors import MalformedAnswer
from signalbox.venues.mexc.signed import SignedRequests

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_PAGES: Final = 5
_LONGEST_RANGE: Final = timedelta(days=7)
"""How far "All Orders" looks back (MEXC spot docs)."""

_CLOCK_SLACK: Final = timedelta(seconds=2)
"""The venue cuts times to the second, and its clock is not ours."""


class MexcAccount:
    """Reads of one account. All but executions are polls: they leave the reserve of the weight budget alone.

    Every method raises VenueUnavailable when it cannot be asked, CredentialsRefused when the credentials are."""

    def __init__(self, requests: SignedRequests) -> None:
        self._requests = requests

    async def balances(self) -> Sequence[Balance]:
        """What the account holds (MEXC spot docs, "Account Information"). Raises VenueUnavailable."""
        path = "/api/v3/account"
        try:
            response = await self._requests.ask(path, weight=WEIGHTS[path], poll=True)
        except CredentialsRefused:
            raise
        except VenueRefused as error:
            raise VenueUnavailable(f"the balances could not be read: {error}") from error
        return parse_account.balances(response.body)

    async def tradable_symbols(self) -> TradableSymbols:
        """The pairs that the key may trade, and those open to any key (MEXC spot docs, "User API default symbol" and
        "API default symbol"). Raises VenueUnavailable, VenueRefused or CredentialsRefused."""
        path = "/api/v3/selfSymbols"
        own = await self._requests.ask(path, weight=WEIGHTS[path])
        path = "/api/v3/defaultSymbols"
        default = await self._requests.channel.get(path, weight=WEIGHTS[path])
        return TradableSymbols(
            own=frozenset(parse.own_symbols(own.body)), default=frozenset(parse.default_symbols(default.body))
        )

    async def recent_orders(self, symbol: str, since: datetime) -> Sequence[VenueOrder]:
        """Every order in one market since then, at most of the last 7 days, and what is open (MEXC spot docs, "All
        Orders" and "Current Open Orders"), oldest first. Raises VenueUnavailable, also when the list would be longer
        than five pages of 1,000: half a list would make orders look lost."""
        found: dict[str, VenueOrder] = {}
        for order in await self._listed("/api/v3/openOrders", [("symbol", symbol)]):
            found[order.exchange_order_id] = order
        for order in await self._all_orders(symbol, since):
            found[order.exchange_order_id] = order  # asked later: what was open may have ended
        return sorted(found.values(), key=lambda order: (order.placed_at, order.exchange_order_id))

    async def executions(self, order: Order, exchange_order_id: str) -> Sequence[Fill]:
        """The executions of an order that are visible now, oldest first (MEXC spot docs, "Account Trade List").

        An answer holds the newest 100. When it is full, the 1,000 that the newer documents allow are asked for, and
        then what was before the oldest one seen, by time. Times are cut to the second, so more executions within one
        second than fit into an answer stay out of reach. Raises VenueUnavailable.
        """
        page = await self._page(order, exchange_order_id, limit=TRADES_PER_LOOKUP.value)
        found = {fill.exchange_trade_id: fill for fill in page}
        most = TRADES_PER_LOOKUP.value
        if len(page) >= most:
            wide = await self._wide_page(order, exchange_order_id)
            if len(wide) > most:
                page, most = wide, WIDE_TRADES_PER_LOOKUP.value
                found.update({fill.exchange_trade_id: fill for fill in page})
        for _ in range(_MOST_PAGES):
            if len(page) < most:
                break
            oldest, known = min(fill.filled_at for fill in page), len(found)
            page = await self._page(order, exchange_order_id, limit=most, until=oldest)
            found.update({fill.exchange_trade_id: fill for fill in page})
            if len(found) == known:
                break
        return sorted(found.values(), key=lambda fill: fill.filled_at)

    async def _wide_page(self, order: Order, exchange_order_id: str) -> list[Fill]:
        """A venue that keeps to the older documents clamps the limit or refuses it."""
        try:
            return await self._page(order, exchange_order_id, limit=WIDE_TRADES_PER_LOOKUP.value)
        except VenueUnavailable:  # refused, or no time for it
            return []

    async def _page(
        self, order: Order, exchange_order_id: str, *, limit: int, until: datetime | None = None
    ) -> list[Fill]:
        path = "/api/v3/myTrades"
        parameters = [("symbol", order.symbol), ("orderId", exchange_order_id), ("limit", str(limit))]
        if until is not None:
            parameters.append(("endTime", str(_milliseconds(until))))
        try:
            response = await self._requests.ask(path, parameters, weight=WEIGHTS[path])
        except CredentialsRefused:
            raise
        except VenueRefused as error:
            raise VenueUnavailable(f"the executions could not be read: {error}") from error
        return parse.fills(response.body, exchange_order_id)

    async def _all_orders(self, symbol: str, since: datetime) -> list[VenueOrder]:
        path, most = "/api/v3/allOrders", ORDERS_PER_LOOKUP.value
        now = self._requests.venue_now()
        start, end = max(since - _CLOCK_SLACK, now - _LONGEST_RANGE), now + _CLOCK_SLACK
        found: dict[str, VenueOrder] = {}
        for _ in range(_MOST_PAGES):
            parameters = [
                ("symbol", symbol),
                ("startTime", str(_milliseconds(start))),
                ("endTime", str(_milliseconds(end))),
                ("limit", str(most)),
            ]
            page, known = await self._listed(path, parameters), len(found)
            found.update({order.exchange_order_id: order for order in page})
            if len(page) < most or len(found) == known:
                return list(found.values())
            end = min(order.placed_at for order in page) + timedelta(seconds=1)
        raise VenueUnavailable(f"the account has more than {len(found)} orders in {symbol} since {since.isoformat()}")

    async def _listed(self, path: str, parameters: list[tuple[str, str]]) -> list[VenueOrder]:
        try:
            response = await self._requests.ask(path, parameters, weight=WEIGHTS[path], poll=True)
        except CredentialsRefused:
            raise
        except VenueRefused as error:
            raise VenueUnavailable(f"the orders could not be listed: {error}") from error
        orders, faults = parse_account.listed_orders(response.body)
        if faults:
            raise MalformedAnswer(f"{len(faults)} listed orders are malformed: {faults[0]}")
        return orders


def _milliseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(milliseconds=1)
