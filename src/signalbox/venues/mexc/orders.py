"""Orders of one account at MEXC: sent once, looked up by our own client order id."""

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct, structs

from signalbox.domain.credentials import Credentials
from signalbox.domain.errors import (
    ConfigError,
    CredentialsRefused,
    InvariantError,
    VenueRefused,
    VenueThrottled,
    VenueUnavailable,
)
from signalbox.domain.ids import OrderId
from signalbox.domain.instruments import TradableSymbols
from signalbox.domain.money import plain
from signalbox.domain.orders import (
    Accepted,
    EvidenceState,
    Fill,
    Mode,
    Order,
    OrderEvidence,
    Purpose,
    RefusalKind,
    Rejected,
    Side,
    StageTimes,
    SubmitOutcome,
    Unknown,
)
from signalbox.domain.ports import Clock, EventSink
from signalbox.domain.venue_records import AccountUpdate, Balance, VenueOrder
from signalbox.venues.http import AnswerUnclear, HttpResponse, RequestNotSent
from signalbox.venues.mexc import parse
from signalbox.venues.mexc.account import MexcAccount
from signalbox.venues.mexc.capabilities import ORDER_KINDS, WEIGHTS
from signalbox.venues.mexc.clock_offset import ClockOffset
from signalbox.venues.mexc.errors import (
    NOT_SENT,
    UNKNOWN_ORDER,
    MalformedAnswer,
    credentials_text,
    error_of,
    refused_order,
    response_record,
)
from signalbox.venues.mexc.limits import LEFT_FREE
from signalbox.venues.mexc.private_stream import PrivateStream
from signalbox.venues.mexc.rest import RestReader
from signalbox.venues.mexc.sign import Signer, encode, query_string
from signalbox.venues.mexc.signed import READ_RECV_WINDOW_MS

_ORDER_PATH: Final = "/api/v3/order"
UNSUPPORTED: Final = "UNSUPPORTED"
NEEDED_PERMISSIONS: Final = ("SPOT_ACCOUNT_READ", "SPOT_DEAL_READ", "SPOT_DEAL_WRITE")
NEEDED_PATHS: Final = frozenset({f"/api/v3/{name}" for name in ("order", "myTrades", "account", "openOrders")})
NO_PERMISSION: Final = frozenset({"700007"})
"""Says something about the credentials only where the path is one that trading needs."""

_NOT_SENT_PAUSE_S: Final = 0.1
_PINGS: Final = 5
_MS: Final = 1_000_000
_GOOD_FOR_NS: Final = 50_000_000
"""How long a request that was signed ahead may wait; never more than a quarter of its recvWindow."""

_PING_TIMEOUT_S: Final = 1.0


class _Signed(Struct, frozen=True):
    """An order's request as it goes out. `query` is what the audit shows of it."""

    signed_ns: int
    query: str
    request: bytes


class MexcOrders:
    """OrderVenue of one MEXC account. Only this type can send, and it refuses orders in simulation mode.

    `orders` sends under the account's own limit of orders and cancels, `reads` under the address's weight limit.
    `timeout_s` bounds the wait for an acknowledgement; after it the outcome is unknown. A refusal with the code
    NOT_SENT never left this machine.
    """

    fill_model: str | None = None

    def __init__(
        self,
        credentials: Credentials,
        signer: Signer,
        orders: RestReader,
        reads: RestReader,
        *,
        offset: ClockOffset,
        clock: Clock,
        events: EventSink,
        account: MexcAccount,
        stream: PrivateStream,
        timeout_s: float = 5.0,
    ) -> None:
        self._account = account
        self._stream = stream
        self._api_key = credentials.api_key
        self._signer = signer
        self._orders = orders
        self._reads = reads
        self._offset = offset
        self._clock = clock
        self._events = events
        self._timeout_s = timeout_s
        self._tell_refused: Callable[[CredentialsRefused], None] | None = None
        self._ahead: dict[OrderId, _Signed] = {}

    def use(self, credentials: Credentials) -> None:
        """Sign with these from the next request on. Raises ConfigError like `request_headers`."""
        headers = request_headers(credentials)
        self._orders.use_headers(headers)
        self._reads.use_headers(headers)
        self._signer.use(credentials.api_secret)
        self._api_key = credentials.api_key
        self._ahead.clear()

    def when_refused(self, tell: Callable[[CredentialsRefused], None]) -> None:
        """Have `tell` called whenever the venue refuses the credentials for something that trading needs."""

        def refused(path: str, error: CredentialsRefused) -> None:
            if path in NEEDED_PATHS or error.code not in NO_PERMISSION:
                tell(error)

        self._tell_refused = tell
        self._orders.when_refused = refused
        self._reads.when_refused = refused

    def prepare(self, order: Order) -> None:
        """Sign the request of an order that is about to be sent, while its intent is on its way to the ledger."""
        now_ns = self._clock.monotonic_ns()
        for order_id, other in tuple(self._ahead.items()):
            if now_ns - other.signed_ns <= _GOOD_FOR_NS:
                break  # in the order in which they were signed
            del self._ahead[order_id]
        signed = self._sign(order)
        if signed is not None:
            self._ahead[order.id] = signed
        # Both are asked again when it goes. What was walked through a moment ago is walked through faster.
        self.order_wait_s(order.purpose)
        _ = self._orders.pool.idle_connections

    async def submit(self, order: Order, stages: StageTimes) -> SubmitOutcome:
        """Sign and send one order, once (MEXC spot docs, "New Order").

        From the call to the write nothing is waited for while a warm connection is there. Raises InvariantError for
        an order that is not live: a simulated order must never come this far.
        """
        if order.mode is not Mode.LIVE:
            raise InvariantError(f"order {order.id} is in {order.mode} mode and must not be sent to MEXC")
        signed = self._ahead.pop(order.id, None)
        if signed is None or self._age_ns(signed) > min(_GOOD_FOR_NS, order.recv_window_ms * _MS // 4):
            signed = self._sign(order)
        outcome = await self._send(order, signed, stages)
        query = None if signed is None else signed.query
        return structs.replace(
            outcome, request={"url": f"{self._orders.pool.target.base_url}{_ORDER_PATH}", "query": query}
        )

    def _sign(self, order: Order) -> _Signed | None:
        """None when the venue has no such kind of order."""
        query = self._order_query(order)
        if query is None:
            return None
        request = self._orders.request("POST", _ORDER_PATH, self._signer.signed(query))
        return _Signed(self._clock.monotonic_ns(), query, request)

    def _age_ns(self, signed: _Signed) -> int:
        return self._clock.monotonic_ns() - signed.signed_ns

    async def _send(self, order: Order, signed: _Signed | None, stages: StageTimes) -> SubmitOutcome:
        if signed is None:
            kind = f"{order.order_type} with time in force {order.time_in_force or 'none'} and the size given"
            return Rejected(
                code=UNSUPPORTED, message=f"MEXC has no {kind}", kind=RefusalKind.TERMINAL, response={}, sent=False
            )

        lane = self._orders.lane
        wait_s = self.order_wait_s(order.purpose)
        if wait_s > 0:
            return _not_sent(lane.why(), wait_s)
        lane.spend(1)

        def admit() -> None:
            lane.admit()
            if self._age_ns(signed) > order.recv_window_ms * _MS // 2:  # so long ago was it allowed to go, too
                raise VenueThrottled("it waited for a connection until its signature was about to expire")

        def on_sent(sent_ns: int) -> None:
            stages.sent_at = self._clock.at(sent_ns)

        try:
            response = await self._orders.pool.request(
                signed.request, timeout_s=self._timeout_s, on_sent=on_sent, admit=admit
            )
        except VenueThrottled as error:  # while a connection was waited for
            return _not_sent(str(error), error.retry_after_s or _NOT_SENT_PAUSE_S)
        except RequestNotSent as error:
            lane.failed(error)
            return _not_sent(str(error), _NOT_SENT_PAUSE_S)
        except AnswerUnclear as error:
            lane.failed(error)
            return Unknown(reason=str(error))
        stages.acknowledged_at = self._clock.at(response.received_ns)
        lane.heard(response)
        outcome = _outcome(response, order.symbol)
        if isinstance(outcome, Rejected):
            return await self._learn_from(outcome)
        return outcome

    async def find_order(self, order: Order) -> OrderEvidence:
        """The venue's record under our client order id (MEXC spot docs, "Query Order"). Raises VenueUnavailable.

        NOT_FOUND just after a send proves nothing yet: a fresh order may become visible a moment later.
        """
        try:
            response = await self._signed("/api/v3/order", self._names(order))
        except VenueRefused as error:
            if error.code in UNKNOWN_ORDER:
                return OrderEvidence(state=EvidenceState.NOT_FOUND)
            raise VenueUnavailable(f"the order could not be looked up: {error}") from error
        return parse.order_evidence(response.body)

    async def fills(self, order: Order, exchange_order_id: str) -> Sequence[Fill]:
        """The executions that are visible now; they may lag behind the order's status. See MexcAccount.executions."""
        return await self._account.executions(order, exchange_order_id)

    async def balances(self) -> Sequence[Balance]:
        """See MexcAccount.balances."""
        return await self._account.balances()

    async def tradable_symbols(self) -> TradableSymbols:
        """See MexcAccount.tradable_symbols. Raises VenueUnavailable or CredentialsRefused."""
        try:
            return await self._account.tradable_symbols()
        except CredentialsRefused:
            raise
        except VenueRefused as error:
            raise VenueUnavailable(f"the key's pairs could not be read: {error}") from error

    async def recent_orders(self, symbol: str, since: datetime) -> Sequence[VenueOrder]:
        """See MexcAccount.recent_orders."""
        return await self._account.recent_orders(symbol, since)

    async def watch(self, on_update: Callable[[AccountUpdate], None]) -> None:
        """See PrivateStream.run."""
        await self._stream.run(on_update)

    async def cancel(self, order: Order) -> None:
        """Ask for a cancel (MEXC spot docs, "Cancel Order"). An order that the venue does not have open is no error.
        Raises VenueUnavailable."""
        try:
            await self._signed("/api/v3/order", self._names(order), method="DELETE")
        except VenueRefused as error:
            if error.code not in UNKNOWN_ORDER:
                raise VenueUnavailable(f"the cancel was refused: {error}") from error

    async def check_credentials(self) -> None:
        """Prove that the key may trade; name what is missing. Raises CredentialsRefused or VenueUnavailable.

        A key that is bound to a list of pairs is reported as a warning: it can never buy a new listing.
        """
        try:
            await self._offset.measure()
            await self._check_account()
            await self._check_permissions()
            await self._check_pairs()
        except CredentialsRefused:
            raise
        except VenueRefused as error:
            raise VenueUnavailable(f"the credentials could not be checked: {error}") from error

    async def warm(self) -> None:
        """Open the connections that the next order and the next look-up use, and know the venue's time.
        Raises VenueUnavailable."""
        await self._orders.pool.warm()
        if not self._offset.is_fresh:
            await self._offset.measure()

    async def round_trip(self) -> timedelta:
        """The best of a few pings over the order connection (MEXC spot docs, "Test Connectivity"): they are no orders,
        so only the address's weight counts them. Raises VenueUnavailable."""
        best_ns: int | None = None
        for _ in range(_PINGS):
            self._reads.lane.spend(1)
            request = self._orders.request("GET", "/api/v3/ping")
            response = await self._orders.pool.request(
                request, timeout_s=_PING_TIMEOUT_S, admit=self._orders.lane.admit
            )
            took_ns = response.received_ns - response.sent_ns
            best_ns = took_ns if best_ns is None else min(best_ns, took_ns)
        return timedelta(microseconds=(best_ns or 0) / 1000)

    def order_wait_s(self, purpose: Purpose, orders: int = 1) -> float:
        """Seconds until the account's pace, the address's weight and the venue's wish for silence leave room."""
        return self._orders.lane.wait_s(orders, poll=False, leave=LEFT_FREE[purpose])

    async def close(self) -> None:
        """Close the connections. An order under way becomes unknown."""
        await self._orders.pool.close()
        if self._reads.pool is not self._orders.pool:
            await self._reads.pool.close()

    def _order_query(self, order: Order) -> str | None:
        kind = ORDER_KINDS.get((order.order_type, order.time_in_force))
        if kind is None:
            return None
        parts = [f"symbol={encode(order.symbol)}&side={order.side.upper()}&type={kind}"]
        if kind == "MARKET":
            if order.quote_amount is not None:
                if order.side is Side.SELL:
                    return None
                parts.append(f"quoteOrderQty={plain(order.quote_amount)}")
            elif order.quantity is not None:
                parts.append(f"quantity={plain(order.quantity)}")
        else:
            if order.quantity is None or order.limit_price is None:
                return None
            parts.append(f"quantity={plain(order.quantity)}&price={plain(order.limit_price)}")
        parts.append(f"newClientOrderId={encode(order.client_order_id)}&{self._timing(order.recv_window_ms)}")
        return "&".join(parts)

    def _timing(self, recv_window_ms: int) -> str:
        return f"recvWindow={recv_window_ms}&timestamp={self._offset.server_ms()}"

    @staticmethod
    def _names(order: Order) -> list[tuple[str, str]]:
        return [("symbol", order.symbol), ("origClientOrderId", order.client_order_id)]

    async def _signed(self, path: str, parameters: Sequence[tuple[str, str]], *, method: str = "GET") -> HttpResponse:
        named = query_string(parameters)

        def query() -> str:
            timing = self._timing(READ_RECV_WINDOW_MS)
            return self._signer.signed(f"{named}&{timing}" if named else timing)

        if not self._offset.is_fresh:
            await self._offset.measure()
        channel = self._orders if method == "DELETE" else self._reads
        weight = 1 if method == "DELETE" else WEIGHTS[path]
        return await channel.get(path, query, weight=weight, method=method)

    async def _learn_from(self, refusal: Rejected) -> Rejected:
        """Before a refusal is handed back: a throttle says for how long, a clock refusal gets a new measurement."""
        if refusal.kind is RefusalKind.THROTTLED:
            pause_s = max(refusal.retry_after_s or 0.0, math.ceil(self._orders.lane.pause_s() * 1000) / 1000)
            return structs.replace(refusal, retry_after_s=pause_s)
        if refusal.kind is RefusalKind.CREDENTIALS and self._tell_refused is not None:
            text = credentials_text("POST /api/v3/order", refusal.code, refusal.message)
            self._tell_refused(CredentialsRefused(text, code=refusal.code))
        if refusal.kind is not RefusalKind.CLOCK:
            return refusal
        try:
            await self._offset.measure()
        except (VenueUnavailable, VenueRefused) as error:
            self._events.health("venue.mexc.clock", "degraded", reason=f"the venue's time is not known: {error}")
        return refusal

    async def _check_account(self) -> None:
        account = await self._signed("/api/v3/account", [])
        if not parse.may_trade(account.body):
            raise CredentialsRefused("the account may not trade (canTrade is false)", code="CAN_TRADE")

    async def _check_permissions(self) -> None:
        """The key's own description is a newer endpoint: where it is missing, the account's answer has to do."""
        try:
            response = await self._signed("/api/v3/apiKeyInfo", [("accessKey", self._api_key)])
            info = parse.api_key(response.body)
        except CredentialsRefused:
            raise
        except (VenueRefused, MalformedAnswer) as error:
            self._events.event("info", "config", f"the key's permissions could not be read: {error}")
            return
        if info.status not in (None, "VALID"):
            raise CredentialsRefused(f"the API key is {info.status}, it must be VALID", code="KEY_STATUS")
        granted = {name.strip() for name in info.permissions.split(",") if name.strip()}
        missing = [name for name in NEEDED_PERMISSIONS if name not in granted]
        if granted and missing:
            raise CredentialsRefused(
                f"the API key lacks {', '.join(missing)}: grant it in the exchange's API management",
                code="PERMISSIONS",
            )

    async def _check_pairs(self) -> None:
        try:
            tradable = await self._account.tradable_symbols()
        except CredentialsRefused:
            raise
        except (VenueRefused, MalformedAnswer) as error:
            self._events.event("info", "config", f"the key's pairs could not be read: {error}")
            return
        if tradable.is_bound:
            own = sorted(tradable.own or ())
            self._events.event(
                "warning",
                "config",
                f"the API key is bound to {len(own)} pairs, so it cannot buy a new listing: unbind its trading pairs",
                pairs=own[:20],
            )


def request_headers(credentials: Credentials) -> dict[str, str]:
    """What every signed request carries. Raises ConfigError when a part of the credentials is empty."""
    if not credentials.api_key or not credentials.api_secret:
        raise ConfigError("the MEXC account needs an API key and a secret, got an empty one")
    return {
        "X-MEXC-APIKEY": credentials.api_key,
        "Content-Type": "application/json",
        "Content-Length": "0",
        "User-Agent": "signalbox",
    }


def _not_sent(reason: str, retry_after_s: float) -> Rejected:
    return Rejected(
        code=NOT_SENT,
        message=f"nothing was sent: {reason}",
        kind=RefusalKind.THROTTLED,
        response={},
        retry_after_s=math.ceil(retry_after_s * 1000 + 1) / 1000,  # a millisecond more than a timer can be early
        sent=False,
    )


def _outcome(response: HttpResponse, symbol: str) -> SubmitOutcome:
    if response.status != 200 or error_of(response) is not None:
        return refused_order(response, symbol)
    try:
        order_id = parse.order_id(response.body)
    except MalformedAnswer as error:
        return Unknown(reason=str(error))
    return Accepted(exchange_order_id=order_id, response=response_record(response))
