"""Faults that can be switched on while a simulator runs, for any venue.

A fault names a kind, where it strikes (the start of a request path or a websocket channel), how often, and with what
probability. The simulator asks the board at each place where something can go wrong; the board remembers what struck.
"""

import random
from typing import Literal

import msgspec

FaultKind = Literal[
    "latency",  # wait `latency_ms` before the request is handled
    "refuse_connection",  # cut the connection before anything happens
    "error_before_accept",  # HTTP `status`, nothing was done
    "error_after_accept",  # it was done, then HTTP `status`
    "answer_lost_after_accept",  # it was done, then the connection is cut without an answer
    "answer_late",  # it was done, the answer waits `latency_ms`
    "malformed_answer",  # it was done, the answer is not JSON
    "truncated_answer",  # it was done, the answer breaks off in the middle
    "rate_limited",  # HTTP 429, nothing was done
    "challenge_page",  # HTTP 403 with an HTML page
    "push_missing",  # a websocket push is left out
    "push_duplicated",  # a websocket push comes twice
    "push_delayed",  # a websocket push waits `latency_ms` and so may be overtaken by later ones
    "push_malformed",  # a websocket push is not decodable
    "disconnect",  # the websocket is cut instead of a push
    "partial_fill",  # a taking order finds only `percent_filled` of what is there
    "fill_late",  # an order that would fill at once fills `latency_ms` later
    "query_blind",  # an order query answers as if the order did not exist
]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault. `times` None strikes without end; `skip` lets that many chances pass first."""

    kind: FaultKind
    target: str = ""
    method: str | None = None
    times: int | None = 1
    skip: int = 0
    percent: int = 100
    latency_ms: int = 0
    status: int = 503
    percent_filled: int = 50
    retry_after: int | None = None


class _Armed:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.left = fault.times
        self.skip = fault.skip


class FaultBoard:
    """The faults that are switched on."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._armed: list[_Armed] = []
        self.struck: dict[str, int] = {}

    def arm(self, fault: Fault) -> None:
        """Switch one on."""
        self._armed.append(_Armed(fault))

    def clear(self) -> None:
        """Switch all off."""
        self._armed.clear()

    def armed(self) -> list[Fault]:
        """What is switched on, with the times that are left."""
        return [msgspec.structs.replace(armed.fault, times=armed.left) for armed in self._armed]

    def take(self, kind: FaultKind, target: str, method: str | None = None) -> Fault | None:
        """The fault that strikes here and now, or None. Counts it."""
        if not self._armed:
            return None
        for armed in self._armed:
            fault = armed.fault
            if fault.kind != kind or not target.startswith(fault.target):
                continue
            if fault.method is not None and fault.method != method:
                continue
            if armed.skip > 0:
                armed.skip -= 1
                continue
            if fault.percent < 100 and self._rng.randrange(100) >= fault.percent:
                continue
            self._count(armed)
            return fault
        return None

    def _count(self, armed: _Armed) -> None:
        kind = armed.fault.kind
        self.struck[kind] = self.struck.get(kind, 0) + 1
        if armed.left is not None:
            armed.left -= 1
            if armed.left <= 0:
                self._armed.remove(armed)
