"""Whoever talks to one address shares its weights and its silence."""

import pytest
from tests.venue_examples import ManualClock, RecordedEvents

from signalbox.domain.errors import VenueThrottled
from signalbox.domain.orders import Purpose
from signalbox.venues.http import HttpResponse, parse_target
from signalbox.venues.mexc.limits import KEPT_FOR_ORDERS, LEFT_FREE, WEIGHT_WINDOW_S, AddressLimits, Lane, MexcLimits

TARGET = parse_target("https://api.example/base")


class Bench:
    """The limits of one address with two accounts."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.events = RecordedEvents()
        self.limits = MexcLimits(self.clock, self.events)
        self.address: AddressLimits = self.limits.address(TARGET)
        self.main, self.other = self.address.account("main"), self.address.account("other")
        self.lanes = (self.address.reads, self.main.reads, self.main.orders, self.other.reads, self.other.orders)

    def hear(self, lane: Lane, status: int, body: str = "{}", **headers: str) -> None:
        """An answer to a request that was sent a moment ago."""
        sent_ns = self.clock.monotonic_ns()
        self.clock.advance(0.01)
        response = HttpResponse(
            status=status,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            body=body.encode(),
            sent_ns=sent_ns,
            received_ns=self.clock.monotonic_ns(),
        )
        lane.heard(response)

    def pauses(self) -> list[float]:
        return [lane.pause_s() for lane in self.lanes]


def test_one_address_has_one_budget_and_an_account_one_pace() -> None:
    bench = Bench()
    assert bench.limits.address(parse_target("https://api.example/base/")) is bench.address
    assert bench.limits.address(parse_target("https://other.example")) is not bench.address
    assert bench.address.account("main") is bench.main
    bench.main.reads.spend(150)
    bench.address.reads.spend(70)
    assert bench.address.reads.wait_s(1, poll=True) == WEIGHT_WINDOW_S
    assert bench.other.reads.wait_s(80 - KEPT_FOR_ORDERS, poll=False) == 0
    assert bench.other.reads.wait_s(81 - KEPT_FOR_ORDERS, poll=False) == WEIGHT_WINDOW_S
    assert bench.main.orders.wait_s(1, poll=True) == 0, "an order may take the address's reserve"
    bench.other.reads.spend(80 - KEPT_FOR_ORDERS)
    assert bench.other.reads.wait_s(1, poll=False) == bench.address.reads.wait_s(1, poll=False) == WEIGHT_WINDOW_S
    assert bench.main.orders.wait_s(8, poll=False) == 0, "reads never make an order wait"
    assert bench.address.reads.wait_s(1, poll=False, for_orders=True) == 0, "nor the venue's time, which orders need"


def test_orders_count_for_their_account_and_leave_a_reserve_to_exits_and_cancels() -> None:
    bench = Bench()
    orders, entry, leave = bench.main.orders, LEFT_FREE[Purpose.ENTRY], LEFT_FREE[Purpose.EXIT]
    for _ in range(12 - entry):
        assert orders.wait_s(1, poll=False, leave=entry) == 0
        orders.spend(1)
    assert orders.wait_s(1, poll=False, leave=entry) == 1
    for _ in range(entry - leave):
        assert orders.wait_s(1, poll=False, leave=leave) == 0
        orders.spend(1)
    assert orders.wait_s(1, poll=False, leave=leave) == 1
    assert orders.wait_s(1, poll=False) == 0, "a cancel"
    assert bench.other.orders.wait_s(1, poll=False, leave=entry) == 0
    assert bench.address.weights.used() == 12 - leave


def test_a_429_on_one_read_stops_all_reads_of_the_address_and_no_order() -> None:
    bench = Bench()
    bench.hear(bench.main.reads, 429, retry_after="7")
    assert bench.pauses() == [7, 7, 0, 7, 0]
    with pytest.raises(VenueThrottled, match="HTTP 429 too many requests") as refused:
        bench.address.reads.admit()
    assert refused.value.retry_after_s == 7


def test_a_429_on_an_order_stops_the_orders_of_that_account() -> None:
    bench = Bench()
    bench.hear(bench.main.orders, 429, '{"code":429,"msg":"Too many requests"}')
    assert bench.pauses() == [0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("status", "body", "headers", "pause"),
    [
        (418, "", {}, 120),
        (418, "IP banned", {"retry_after": "3"}, 3),
        (418, "", {"retry_after": "999999999"}, 259_200),
        (403, "<html>Access Denied</html>", {}, 1),
        (451, "<html>restricted</html>", {}, 60),
        (200, '{"code":418,"msg":"banned"}', {}, 120),
    ],
)
def test_what_is_about_the_address_stops_everything(
    status: int, body: str, headers: dict[str, str], pause: float
) -> None:
    bench = Bench()
    bench.hear(bench.other.orders, status, body, **headers)
    assert bench.pauses() == [pause] * 5


@pytest.mark.parametrize("retry_after", ["", "soon", "-3", "1.5", "0", "٣", "Wed, 21 Oct 2026 07:28:00 GMT", "9" * 30])
def test_a_retry_after_that_means_nothing_is_one_second(retry_after: str) -> None:
    bench = Bench()
    bench.hear(bench.address.reads, 429, retry_after=retry_after)
    assert bench.address.reads.pause_s() == 1


@pytest.mark.parametrize(("status", "body"), [(403, '{"code":700006,"msg":"IP not allowed"}'), (400, '{"code":30001}')])
def test_a_refusal_with_a_code_of_its_own_is_no_silence(status: int, body: str) -> None:
    bench = Bench()
    bench.hear(bench.main.orders, status, body)
    assert bench.pauses() == [0] * 5


def test_a_lane_that_is_content_does_not_end_the_silence_of_another() -> None:
    bench = Bench()
    bench.hear(bench.main.orders, 429)
    bench.clock.advance(1)
    bench.hear(bench.address.reads, 200)
    bench.hear(bench.main.orders, 429)
    assert bench.main.orders.pause_s() == 2, "it grows on: no order was taken in between"
    bench.clock.advance(2)
    bench.hear(bench.main.orders, 200)
    bench.hear(bench.main.orders, 429)
    assert bench.main.orders.pause_s() == 1


def test_use_is_told_every_ten_seconds_and_silence_at_once() -> None:
    bench = Bench()
    bench.main.orders.spend(1)
    bench.address.reads.spend(10)
    bench.hear(bench.address.reads, 200)
    status, details = bench.events.states["venue.mexc.budget"]
    assert status == "running"
    assert (details["weight_used"], details["weight_peak"], details["weight_limit"]) == (11, 11, 300)
    assert details["accounts"]["main"] == {
        "weight_used": 0,
        "weight_limit": 500,
        "orders_peak": 1,
        "orders_limit": 12,
    }
    bench.address.reads.spend(10)
    bench.hear(bench.address.reads, 200)
    assert bench.events.states["venue.mexc.budget"][1]["weight_used"] == 11
    bench.hear(bench.main.orders, 429, retry_after="5")
    status, details = bench.events.states["venue.mexc.budget"]
    assert (status, details["weight_used"]) == ("degraded", 21)
    assert details["reason"] == "api.example/base orders of main: HTTP 429 too many requests"
    bench.clock.advance(5)
    bench.hear(bench.main.orders, 200)
    assert bench.events.status("venue.mexc.budget") == "running"
    assert bench.events.alerts == {}


def test_what_is_quiet_tells_nobody() -> None:
    bench = Bench()
    site = bench.limits.address(parse_target("https://www.example/calendar"), weight=20, quiet=True)
    bench.hear(site.reads, 403, "<html></html>")
    assert site.reads.pause_s() == 1
    assert bench.pauses() == [0] * 5
    assert (bench.events.alerts, bench.events.states) == ({}, {})
