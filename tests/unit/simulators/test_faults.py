"""The fault board."""

from typing import Any

import msgspec
import pytest

from signalbox.simulators.faults import Fault, FaultBoard
from signalbox.simulators.market import Seeds


def board() -> FaultBoard:
    """An empty board."""
    return FaultBoard(Seeds(1).source("faults"))


def test_strikes_as_often_as_told_and_only_there() -> None:
    """Kind, target, method, skip and times all count."""
    faults = board()
    faults.arm(Fault(kind="latency", target="/api/v3/order", method="POST", latency_ms=1, times=2, skip=1))
    assert faults.take("malformed_answer", "/api/v3/order", "POST") is None
    assert faults.take("latency", "/api/v3/time", "GET") is None
    assert faults.take("latency", "/api/v3/order", "GET") is None
    strikes = [faults.take("latency", "/api/v3/order", "POST") is not None for _ in range(5)]
    assert strikes == [False, True, True, False, False]
    assert faults.struck == {"latency": 2}
    assert faults.armed() == []


def test_endless_and_cleared() -> None:
    """`times=None` strikes until it is cleared."""
    faults = board()
    faults.arm(Fault(kind="push_missing", times=None))
    assert all(faults.take("push_missing", "any") for _ in range(10))
    faults.clear()
    assert faults.take("push_missing", "any") is None


def test_probability_is_seeded() -> None:
    """Half of the chances, the same ones each time."""

    def strikes() -> list[bool]:
        faults = board()
        faults.arm(Fault(kind="latency", latency_ms=1, times=None, percent=50))
        return [faults.take("latency", "") is not None for _ in range(200)]

    assert strikes() == strikes()
    assert 60 < sum(strikes()) < 140


def test_narrowed_down_by_what_the_request_carries() -> None:
    """`where` must hold in full; a request that lacks one of the values passes."""
    faults = board()
    faults.arm(Fault(kind="query_blind", where={"symbol": "ABCUSDT", "side": "SELL"}, label="exit"))
    assert faults.take("query_blind", "ABCUSDT") is None
    assert faults.take("query_blind", "ABCUSDT", about={"symbol": "ABCUSDT", "side": "BUY"}) is None
    assert faults.take("query_blind", "ABCUSDT", about={"symbol": "ABCUSDT", "side": "SELL", "more": "x"}) is not None
    assert faults.struck == {"exit": 1}


def test_disarmed_by_label() -> None:
    """Only those with the label go."""
    faults = board()
    faults.arm(Fault(kind="push_missing", times=None, label="one"))
    faults.arm(Fault(kind="push_missing", times=None, label="two"))
    faults.clear("one")
    assert [fault.label for fault in faults.armed()] == ["two"]


def test_jitter_is_seeded_and_bounded() -> None:
    """Between `latency_ms` and that plus `jitter_ms`, the same waits each time."""
    fault = Fault(kind="answer_late", latency_ms=10, jitter_ms=5)

    def waits() -> list[int]:
        faults = board()
        return [faults.wait_ms(fault) for _ in range(100)]

    assert waits() == waits()
    assert (min(waits()), max(waits())) == (10, 15)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"kind": "lightning"}, "lightning"),
        ({"kind": "latency"}, "needs latency_ms"),
        ({"kind": "latency", "latency_ms": -1}, "latency_ms of a latency fault must be 0 to"),
        ({"kind": "latency", "latency_ms": 5, "target": "ABCUSDT"}, "such as /api/v3/order"),
        ({"kind": "push_missing", "target": "/api"}, "such as spot@public.miniTickers"),
        ({"kind": "push_missing", "method": "GET"}, "method belongs to faults of requests"),
        ({"kind": "query_blind", "target": "/api/v3/order"}, "a symbol, such as ABCUSDT"),
        ({"kind": "partial_fill", "percent_filled": 101}, "percent_filled"),
        ({"kind": "push_missing", "percent": 0}, "percent"),
        ({"kind": "push_missing", "times": 0}, "times"),
        ({"kind": "error_before_accept", "status": 200}, "status"),
        ({"kind": "calendar_entry_moved"}, "needs shift_ms"),
        ({"kind": "push_missing", "tiems": 1}, "tiems"),
    ],
)
def test_what_would_never_strike_is_refused(fault: dict[str, Any], told: str) -> None:
    """A fault that makes no sense is refused with what is wrong and what would be right."""
    with pytest.raises(msgspec.ValidationError, match=told):
        msgspec.convert(fault, Fault)
