"""Faults that can be switched on at the start of a simulator or while it runs, for any venue.

A fault names a kind, where it strikes, how often, and with what probability. What `target` means depends on the kind:
the start of a request's path, the start of a websocket channel's name, or a symbol. The simulator asks the board at
each place where something can go wrong; the board remembers what struck.
"""

import random
from collections.abc import Iterable, Mapping
from typing import Final, Literal, get_args

import msgspec

RequestFault = Literal[
    "latency",  # wait `latency_ms` before the request is handled: the way to the venue is slow
    "refuse_connection",  # cut the connection before anything happens (also a websocket's upgrade)
    "error_before_accept",  # HTTP `status`, nothing was done (also a websocket's upgrade)
    "error_after_accept",  # it was done, then HTTP `status`
    "answer_lost_after_accept",  # it was done, then the connection is cut without an answer
    "answer_late",  # it was done, the answer waits `latency_ms`: the way back is slow; long enough is a timeout
    "malformed_answer",  # it was done, the answer is not JSON
    "truncated_answer",  # it was done, the answer breaks off in the middle
    "rate_limited",  # HTTP 429, nothing was done; `retry_after` None leaves the header out
    "challenge_page",  # HTTP 403 with an HTML page
]
PushFault = Literal[
    "push_missing",  # a websocket push is left out
    "push_duplicated",  # a websocket push comes twice
    "push_delayed",  # a websocket push waits `latency_ms` and so may be overtaken by later ones
    "push_malformed",  # a websocket push is not decodable
    "push_truncated",  # a websocket push breaks off in the middle
    "disconnect",  # the websocket is cut instead of a push
]
OrderFault = Literal[
    "partial_fill",  # a taking order finds only `percent_filled` of what is there
    "fill_late",  # an order that would fill at once fills `latency_ms` later
    "late_execution",  # it is told as `reported` without any fill, and is executed `latency_ms` later after all
    "query_blind",  # an order query answers as if the order did not exist
]
CalendarFault = Literal[
    "calendar_entry_missing",  # the entry is left out of one answer: it vanishes and returns
    "calendar_entry_moved",  # the entry tells an opening that is `shift_ms` away from the planned one
    "calendar_entry_odd",  # the entry has other field types, in the form `odd_form`
]
FaultKind = RequestFault | PushFault | OrderFault | CalendarFault
OddForm = Literal["strings", "floats", "seconds", "iso", "nulls", "missing"]

REQUEST_FAULTS: Final[frozenset[str]] = frozenset(get_args(RequestFault))
PUSH_FAULTS: Final[frozenset[str]] = frozenset(get_args(PushFault))
SYMBOL_FAULTS: Final[frozenset[str]] = frozenset((*get_args(OrderFault), *get_args(CalendarFault)))
_WAITING: Final = frozenset({"latency", "answer_late", "push_delayed", "fill_late", "late_execution"})
LONGEST_MS: Final = 86_400_000
NOTHING: Final[Mapping[str, str]] = {}


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault. `times` None strikes without end; `skip` lets that many chances pass first.

    `where` narrows it down to requests, pushes or orders that carry these values, for instance
    `{"symbol": "ABCUSDT", "side": "SELL"}`; a request that asks for an order counts with that order's side.
    `jitter_ms` adds up to that much to `latency_ms`, drawn from the seed. `code` makes an error answer one of the
    venue's own JSON errors. `label` names the fault among those that struck.
    Raises ValueError for a value that makes no sense.
    """

    kind: FaultKind
    target: str = ""
    method: str | None = None
    where: dict[str, str] = {}
    label: str = ""
    times: int | None = 1
    skip: int = 0
    percent: int = 100
    latency_ms: int = 0
    jitter_ms: int = 0
    status: int = 503
    code: int | None = None
    percent_filled: int = 50
    retry_after: int | None = None
    reported: Literal["cancelled", "unknown"] = "cancelled"
    shift_ms: int = 0
    odd_form: OddForm = "strings"

    def __post_init__(self) -> None:
        """Refuse what would never strike, or not as it was meant."""
        for name, least, most in _RANGES:
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise ValueError(f"{name} of a {self.kind} fault must be {least} to {most}, got {value}")
        if self.kind in _WAITING and not (self.latency_ms or self.jitter_ms):
            raise ValueError(f"a {self.kind} fault needs latency_ms or jitter_ms above 0")
        if self.kind == "calendar_entry_moved" and not self.shift_ms:
            raise ValueError("a calendar_entry_moved fault needs shift_ms: how far the entry is moved, not 0")
        if self.method is not None and self.kind not in REQUEST_FAULTS:
            raise ValueError(f"method belongs to faults of requests; a {self.kind} fault has none")
        self._check_target()

    def _check_target(self) -> None:
        is_path, is_channel = self.target.startswith("/"), "@" in self.target
        if self.kind in REQUEST_FAULTS:
            ok, meaning = is_path, "the start of a path, such as /api/v3/order"
        elif self.kind in PUSH_FAULTS:
            ok, meaning = is_channel, "the start of a channel's name, such as spot@public.miniTickers"
        else:
            ok, meaning = not (is_path or is_channel), "a symbol, such as ABCUSDT"
        if self.target and not ok:
            raise ValueError(f"target of a {self.kind} fault is {meaning}, or empty for all; got {self.target!r}")


_RANGES: Final = (
    ("times", 1, 10**9),
    ("skip", 0, 10**9),
    ("percent", 1, 100),
    ("latency_ms", 0, LONGEST_MS),
    ("jitter_ms", 0, LONGEST_MS),
    ("status", 400, 599),
    ("percent_filled", 0, 100),
    ("retry_after", 0, LONGEST_MS),
    ("shift_ms", -LONGEST_MS * 366, LONGEST_MS * 366),
)


class _Armed:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.left = fault.times
        self.skip = fault.skip


class FaultBoard:
    """The faults that are switched on."""

    def __init__(self, rng: random.Random, faults: Iterable[Fault] = ()) -> None:
        self._rng = rng
        self._armed: list[_Armed] = [_Armed(fault) for fault in faults]
        self.struck: dict[str, int] = {}

    @property
    def idle(self) -> bool:
        """True when nothing can strike."""
        return not self._armed

    def arm(self, fault: Fault) -> None:
        """Switch one on."""
        self._armed.append(_Armed(fault))

    def clear(self, label: str | None = None) -> None:
        """Switch all off, or those with this label."""
        self._armed = [] if label is None else [armed for armed in self._armed if armed.fault.label != label]

    def armed(self) -> list[Fault]:
        """What is switched on, with the times that are left."""
        return [msgspec.structs.replace(armed.fault, times=armed.left) for armed in self._armed]

    def take(
        self, kind: FaultKind, target: str, method: str | None = None, about: Mapping[str, str] = NOTHING
    ) -> Fault | None:
        """The fault that strikes here and now, or None. Counts it."""
        for armed in self._armed:
            fault = armed.fault
            if fault.kind != kind or not target.startswith(fault.target):
                continue
            if fault.method is not None and fault.method != method:
                continue
            if any(about.get(name) != value for name, value in fault.where.items()):
                continue
            if armed.skip > 0:
                armed.skip -= 1
                continue
            if fault.percent < 100 and self._rng.randrange(100) >= fault.percent:
                continue
            self._count(armed)
            return fault
        return None

    def wait_ms(self, fault: Fault) -> int:
        """How long this fault waits, this time."""
        return fault.latency_ms + (self._rng.randint(0, fault.jitter_ms) if fault.jitter_ms else 0)

    def _count(self, armed: _Armed) -> None:
        name = armed.fault.label or armed.fault.kind
        self.struck[name] = self.struck.get(name, 0) + 1
        if armed.left is not None:
            armed.left -= 1
            if armed.left <= 0:
                self._armed.remove(armed)
