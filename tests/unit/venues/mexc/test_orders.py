"""Orders against a raw server: what goes out, what each answer means, and that nothing is ever sent twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.unit.venues.mexc.payloads import payload
from tests.unit.venues.stub_server import Handler, Peer, StubServer, answer
from tests.venue_examples import RecordedEvents, example_order, no_jitter

from signalbox.domain.credentials import Credentials, Secret
from signalbox.domain.errors import ConfigError, InvariantError
from signalbox.domain.orders import (
    Accepted,
    Mode,
    OrderType,
    Purpose,
    RefusalKind,
    Rejected,
    Side,
    StageTimes,
    TimeInForce,
    Unknown,
)
from signalbox.domain.ports import Clock
from signalbox.engine.clock import SystemClock
from signalbox.venues.mexc.client import _ORDER_POOL, open_orders
from signalbox.venues.mexc.endpoints import MexcEndpoints
from signalbox.venues.mexc.limits import LEFT_FREE
from signalbox.venues.mexc.orders import MexcOrders
from signalbox.venues.mexc.sign import Signer

SECRET = "demoSecret123"
ACK = answer(payload("http_post_order.json"))
Start = Callable[..., Awaitable[tuple[MexcOrders, "Venue"]]]


class Venue:
    """A server that answers /time at once and orders as the test says."""

    def __init__(self, *answers: bytes | Handler) -> None:
        self._answers = list(answers)
        self.heads: list[str] = []
        self.server = StubServer(self._handle)

    @property
    def orders(self) -> list[str]:
        """The request lines of POST /order, as received."""
        return [head.split("\r\n")[0] for head in self.heads if head.startswith("POST")]

    def parameters(self) -> dict[str, str]:
        """The decoded query of the last order."""
        return dict(parse_qsl(urlsplit(self.orders[-1].split(" ")[1]).query, keep_blank_values=True))

    async def _handle(self, peer: Peer) -> None:
        while True:
            head = (await peer.request()).decode("ascii")
            if head.startswith("GET /api/v3/time"):
                now_ms = int(SystemClock().now().timestamp() * 1000)
                await peer.send(answer(b'{"serverTime":%d}' % now_ms))
                continue
            self.heads.append(head)
            reply = self._answers.pop(0)
            if not isinstance(reply, bytes):
                await reply(peer)
                return
            await peer.send(reply)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts a venue and the account's OrderVenue on it."""
    async with AsyncExitStack() as stack:

        async def build(
            *answers: bytes | Handler, timeout_s: float = 2.0, clock: Clock | None = None
        ) -> tuple[MexcOrders, Venue]:
            venue = Venue(*answers)
            await stack.enter_async_context(venue.server)
            url = venue.server.url
            orders = open_orders(
                MexcEndpoints(rest_url=url, ws_url="ws://unused", calendar_url=url),
                Credentials(api_key="mx0demo", api_secret=Secret(SECRET)),
                clock=clock or SystemClock(),
                events=RecordedEvents(),
                jitter=no_jitter,
                timeout_s=timeout_s,
            )
            stack.push_async_callback(orders.close)
            return orders, venue

        yield build


async def test_a_market_buy_on_the_wire(start: Start) -> None:
    orders, venue = await start(ACK)
    order = example_order(quote_amount=Decimal("25.50"), symbol="索拉USDT")
    stages = StageTimes()
    outcome = await orders.submit(order, stages)
    assert isinstance(outcome, Accepted)
    assert outcome.exchange_order_id == "C02__900000000000000001"
    assert outcome.response["origQty"] == "47.61"
    assert stages.sent_at is not None
    assert stages.acknowledged_at is not None
    assert stages.sent_at <= stages.acknowledged_at
    assert {k: v for k, v in venue.parameters().items() if k not in ("timestamp", "signature")} == {
        "symbol": "索拉USDT",
        "side": "BUY",
        "type": "MARKET",
        "quoteOrderQty": "25.5",
        "newClientOrderId": order.client_order_id,
        "recvWindow": "1000",
    }
    head = venue.heads[-1]
    assert "X-MEXC-APIKEY: mx0demo\r\n" in head
    assert "Content-Type: application/json\r\n" in head
    assert SECRET not in head


async def test_the_signature_covers_exactly_what_is_sent(start: Start) -> None:
    orders, venue = await start(ACK)
    await orders.submit(example_order(symbol="GOLD(PAXG)USDT"), StageTimes())
    query, _, signature = venue.orders[-1].split(" ")[1].partition("?")[2].rpartition("&signature=")
    assert Signer(Secret(SECRET)).sign(query) == signature


class _LateClock(SystemClock):
    """The machine's clock, a while later."""

    later_ns = 0

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.later_ns


async def test_a_request_that_was_signed_ahead_goes_out_as_it_is_while_it_is_fresh(start: Start) -> None:
    clock = _LateClock()
    orders, venue = await start(ACK, ACK, ACK, clock=clock)
    await orders.warm()
    fresh, old = example_order(), example_order()
    orders.prepare(fresh)
    await asyncio.sleep(0.003)
    before_ms = clock.now().timestamp() * 1000
    await orders.submit(fresh, StageTimes())
    assert int(venue.parameters()["timestamp"]) < before_ms
    orders.prepare(old)
    clock.later_ns = 60_000_000
    await orders.submit(old, StageTimes())
    assert int(venue.parameters()["timestamp"]) >= before_ms + 50
    await orders.submit(fresh, StageTimes())  # never the same request twice
    assert len(set(venue.orders)) == 3


async def test_what_was_signed_with_other_credentials_is_signed_anew(start: Start) -> None:
    orders, venue = await start(ACK)
    order = example_order()
    orders.prepare(order)
    orders.use(Credentials(api_key="mx0other", api_secret=Secret("otherSecret")))
    await orders.submit(order, StageTimes())
    query, _, signature = venue.orders[-1].split(" ")[1].partition("?")[2].rpartition("&signature=")
    assert Signer(Secret("otherSecret")).sign(query) == signature
    assert "X-MEXC-APIKEY: mx0other\r\n" in venue.heads[-1]


async def test_what_is_signed_ahead_and_never_sent_is_forgotten(start: Start) -> None:
    clock = _LateClock()
    orders, _ = await start(clock=clock)
    for _ in range(3):
        orders.prepare(example_order())
        clock.later_ns += 60_000_000
    orders.prepare(example_order(order_type=OrderType.TRIGGER))  # the venue has no such order
    assert len(orders._ahead) == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"side": Side.SELL, "quantity": Decimal("3.10")}, {"side": "SELL", "type": "MARKET", "quantity": "3.1"}),
        (
            {"order_type": OrderType.LIMIT, "quantity": Decimal(10), "limit_price": Decimal("1E-7")},
            {"type": "LIMIT", "quantity": "10", "price": "0.0000001"},
        ),
        (
            {
                "order_type": OrderType.LIMIT,
                "time_in_force": TimeInForce.IOC,
                "quantity": Decimal("1E+3"),
                "limit_price": Decimal("0.50"),
            },
            {"type": "IMMEDIATE_OR_CANCEL", "quantity": "1000", "price": "0.5"},
        ),
        (
            {
                "order_type": OrderType.LIMIT,
                "time_in_force": TimeInForce.FOK,
                "quantity": Decimal(1),
                "limit_price": Decimal(2),
            },
            {"type": "FILL_OR_KILL", "quantity": "1", "price": "2"},
        ),
        ({"recv_window_ms": 300}, {"recvWindow": "300"}),
    ],
)
async def test_order_kinds(start: Start, changes: dict[str, Any], expected: dict[str, str]) -> None:
    orders, venue = await start(ACK)
    assert isinstance(await orders.submit(example_order(**changes), StageTimes()), Accepted)
    assert expected.items() <= venue.parameters().items()


@pytest.mark.parametrize(
    "changes",
    [
        {"order_type": OrderType.TRIGGER, "quantity": Decimal(1)},
        {"order_type": OrderType.MARKET, "time_in_force": TimeInForce.FOK},
        {"side": Side.SELL, "quote_amount": Decimal(5)},
        {"order_type": OrderType.LIMIT, "limit_price": Decimal(1)},
    ],
)
async def test_what_the_venue_has_no_word_for_is_refused_here(start: Start, changes: dict[str, Any]) -> None:
    orders, venue = await start()
    stages = StageTimes()
    outcome = await orders.submit(example_order(**changes), stages)
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.kind, stages.sent_at) == ("UNSUPPORTED", RefusalKind.TERMINAL, None)
    assert venue.heads == []


async def test_g3_a_simulated_order_is_never_sent(start: Start) -> None:
    orders, venue = await start()
    with pytest.raises(InvariantError, match="simulation mode"):
        await orders.submit(example_order(mode=Mode.SIMULATION), StageTimes())
    assert venue.heads == []


async def _close(peer: Peer) -> None:
    peer.close()


async def _reset(peer: Peer) -> None:
    peer.reset()


async def _silence(peer: Peer) -> None:
    await peer.until_client_closes()


async def _half(peer: Peer) -> None:
    await peer.send(ACK[: len(ACK) // 2])
    peer.close()


@pytest.mark.parametrize(
    "reply",
    [
        _close,
        _reset,
        _silence,
        _half,
        answer(b"", status="502 Bad Gateway"),
        answer(b'{"code":500,"msg":"busy"}', status="500 Internal Server Error"),
        answer(b"<html>", status="200 OK"),
        answer(b"{}", status="200 OK"),
        answer(b'{"orderId":null}', status="200 OK"),
        answer(b'{"code":10203,"msg":"order processing error"}', status="400 Bad Request"),
        b"HTTP/1.1 garbage\r\n\r\n",
    ],
)
async def test_an_unclear_answer_is_unknown_and_nothing_is_sent_again(start: Start, reply: bytes | Handler) -> None:
    orders, venue = await start(reply, ACK, timeout_s=0.3)
    await orders.warm()
    stages = StageTimes()
    outcome = await orders.submit(example_order(), stages)
    assert isinstance(outcome, Unknown)
    assert outcome.reason
    assert stages.sent_at is not None, "it may be there: the time of sending is a fact"
    assert len(venue.orders) == 1


async def test_an_unreachable_venue_means_surely_not_sent(start: Start) -> None:
    orders, venue = await start()
    await venue.server.__aexit__()
    stages = StageTimes()
    outcome = await orders.submit(example_order(), stages)
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.kind, stages.sent_at) == ("NOT_SENT", RefusalKind.THROTTLED, None)
    assert not outcome.sent


async def test_the_orders_per_second_are_never_exceeded_and_cancels_keep_a_reserve(start: Start) -> None:
    most = 12 - LEFT_FREE[Purpose.ENTRY]
    orders, venue = await start(*[ACK] * most, answer(b"{}"))
    outcomes = [await orders.submit(example_order(), StageTimes()) for _ in range(most + 1)]
    assert all(isinstance(outcome, Accepted) for outcome in outcomes[:most])
    last = outcomes[most]
    assert isinstance(last, Rejected)
    assert (last.code, last.kind) == ("NOT_SENT", RefusalKind.THROTTLED)
    assert last.retry_after_s is not None
    assert 0 < last.retry_after_s <= 1
    await orders.cancel(example_order())
    assert venue.heads[-1].startswith("DELETE /api/v3/order?symbol=ABCUSDT&origClientOrderId=sb-")


async def test_entries_leave_room_for_exits_and_exits_for_cancels(start: Start) -> None:
    orders, _ = await start(*[ACK] * 8)
    assert (orders.order_wait_s(Purpose.ENTRY, 8), orders.order_wait_s(Purpose.EXIT, 10)) == (0, 0)
    assert orders.order_wait_s(Purpose.ENTRY, 9) > 0, "more at once than ever leave a reserve"
    for _ in range(8):
        await orders.submit(example_order(), StageTimes())
    assert 0 < orders.order_wait_s(Purpose.ENTRY) <= 1
    assert orders.order_wait_s(Purpose.EXIT, 2) == 0
    assert 0 < orders.order_wait_s(Purpose.EXIT, 3) <= 1


async def test_the_distance_is_measured_over_the_order_connection_without_counting_as_orders(start: Start) -> None:
    orders, venue = await start(*[answer(b"{}")] * 5)
    trip = await orders.round_trip()
    assert timedelta(0) < trip < timedelta(seconds=1)
    assert [head.split(" HTTP")[0] for head in venue.heads[-5:]] == ["GET /api/v3/ping"] * 5
    assert orders.order_wait_s(Purpose.ENTRY, 8) == 0


async def test_a_throttle_silences_the_next_orders(start: Start) -> None:
    orders, venue = await start(answer(b"", status="429 Too Many Requests", headers="Retry-After: 30\r\n"))
    first = await orders.submit(example_order(), StageTimes())
    second = await orders.submit(example_order(), StageTimes())
    assert isinstance(first, Rejected)
    assert isinstance(second, Rejected)
    assert (first.code, first.retry_after_s) == ("HTTP_429", 30)
    assert (first.sent, second.sent) == (True, False)
    assert len(venue.orders) == 1


async def test_a_ban_that_names_no_time_silences_orders_for_two_minutes(start: Start) -> None:
    orders, venue = await start(answer(b"", status="418 I'm a teapot"))
    first = await orders.submit(example_order(), StageTimes())
    second = await orders.submit(example_order(), StageTimes())
    assert isinstance(first, Rejected)
    assert isinstance(second, Rejected)
    assert (first.code, first.retry_after_s) == ("HTTP_418", 120)
    assert second.retry_after_s == pytest.approx(120, abs=5)
    assert len(venue.orders) == 1


async def test_an_order_that_waited_long_for_a_connection_stays_here(start: Start) -> None:
    """The gate said yes, and its signature was made, before that: both are old by now."""
    clock = _LateClock()
    all_busy, go_on = asyncio.Event(), asyncio.Event()

    async def hold(peer: Peer) -> None:
        if len(venue.orders) == _ORDER_POOL.most:
            all_busy.set()
        await go_on.wait()
        await peer.send(ACK)
        await peer.until_client_closes()

    orders, venue = await start(*[hold] * _ORDER_POOL.most, clock=clock)
    busy = [asyncio.create_task(orders.submit(example_order(), StageTimes())) for _ in range(_ORDER_POOL.most)]
    await asyncio.wait_for(all_busy.wait(), 5)
    stages = StageTimes()
    waiting = asyncio.create_task(orders.submit(example_order(purpose=Purpose.EXIT), stages))
    await asyncio.sleep(0)  # signed, and in line for a connection
    clock.later_ns = 600_000_000
    go_on.set()
    assert all(isinstance(outcome, Accepted) for outcome in await asyncio.gather(*busy))
    outcome = await waiting
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.kind, outcome.sent) == ("NOT_SENT", RefusalKind.THROTTLED, False)
    assert (stages.sent_at, len(venue.orders)) == (None, _ORDER_POOL.most)


async def test_two_orders_at_once_use_two_connections(start: Start) -> None:
    both = asyncio.Event()

    async def wait_for_both(peer: Peer) -> None:
        if len(venue.orders) == 2:
            both.set()
        await both.wait()
        await peer.send(ACK)
        await peer.until_client_closes()

    orders, venue = await start(wait_for_both, wait_for_both)
    await orders.warm()
    outcomes = await asyncio.gather(*[orders.submit(example_order(), StageTimes()) for _ in range(2)])
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)


def test_empty_credentials_are_refused() -> None:
    endpoints = MexcEndpoints(rest_url="http://x", ws_url="ws://x", calendar_url="http://x")
    for key, secret in (("", "s"), ("k", "")):
        with pytest.raises(ConfigError, match="API key and a secret"):
            open_orders(
                endpoints,
                Credentials(api_key=key, api_secret=Secret(secret)),
                clock=SystemClock(),
                events=RecordedEvents(),
                jitter=no_jitter,
            )
