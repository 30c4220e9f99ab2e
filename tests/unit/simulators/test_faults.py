"""The fault board."""

from signalbox.simulators.faults import Fault, FaultBoard
from signalbox.simulators.market import Seeds


def board() -> FaultBoard:
    """An empty board."""
    return FaultBoard(Seeds(1).source("faults"))


def test_strikes_as_often_as_told_and_only_there() -> None:
    """Kind, target, method, skip and times all count."""
    faults = board()
    faults.arm(Fault(kind="latency", target="/api/v3/order", method="POST", times=2, skip=1))
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
        faults.arm(Fault(kind="latency", times=None, percent=50))
        return [faults.take("latency", "") is not None for _ in range(200)]

    assert strikes() == strikes()
    assert 60 < sum(strikes()) < 140
