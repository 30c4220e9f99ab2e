"""Which fault strikes at which stage of an order's life: a pair is either a cell or has no meaning, with the reason.

Stages: the listing is seen, the intent is being committed, the entry is sent and answered, its end and its fills are
asked for (or pushed), the position is held, the exit is sent and answered, its end and its fills are asked for.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """Where an order is in its life when the fault strikes."""

    SIGHTING = "sighting"
    COMMIT = "commit"
    ENTRY_SEND = "entry_send"
    ENTRY_ANSWER = "entry_answer"
    ENTRY_QUERY = "entry_query"
    ENTRY_FILLS = "entry_fills"
    HELD = "held"
    EXIT_SEND = "exit_send"
    EXIT_ANSWER = "exit_answer"
    EXIT_QUERY = "exit_query"
    EXIT_FILLS = "exit_fills"


Cell = tuple[str, Stage]

SENDS = (Stage.ENTRY_SEND, Stage.EXIT_SEND)
ANSWERS = (Stage.ENTRY_ANSWER, Stage.EXIT_ANSWER)
QUERIES = (Stage.ENTRY_QUERY, Stage.EXIT_QUERY)
FILLS = (Stage.ENTRY_FILLS, Stage.EXIT_FILLS)
READS = (Stage.SIGHTING, *QUERIES, *FILLS, Stage.HELD)

ON_THE_WAY_IN: dict[str, dict[str, Any]] = {
    "slow way there": {"kind": "latency", "latency_ms": 400},
    "connection refused": {"kind": "refuse_connection"},
    "5xx before accept": {"kind": "error_before_accept", "status": 502},
    "429 with Retry-After": {"kind": "rate_limited", "retry_after": 1},
    "429 without Retry-After": {"kind": "rate_limited"},
    "challenge page": {"kind": "challenge_page"},
}
ON_THE_WAY_OUT: dict[str, dict[str, Any]] = {
    "slow way back": {"kind": "answer_late", "latency_ms": 400},
    "5xx after accept": {"kind": "error_after_accept"},
    "server error as a code": {"kind": "error_after_accept", "status": 400, "code": 10203},
    "answer lost": {"kind": "answer_lost_after_accept"},
    "malformed answer": {"kind": "malformed_answer"},
    "truncated answer": {"kind": "truncated_answer"},
}
REQUESTS = ON_THE_WAY_IN | ON_THE_WAY_OUT

PUSHES: dict[str, dict[str, Any]] = {
    "push missing": {"kind": "push_missing"},
    "push repeated": {"kind": "push_duplicated"},
    "push late": {"kind": "push_delayed", "latency_ms": 300},
    "push malformed": {"kind": "push_malformed"},
    "push truncated": {"kind": "push_truncated"},
    "disconnect": {"kind": "disconnect"},
}
TURNS: dict[str, dict[str, Any]] = {
    "clock ahead": {"clock_offset_ms": 4_000},
    "clock behind": {"clock_offset_ms": -4_000},
    "clock drifts": {"clock_drift_ppm": 20_000},
    "MARKET off": {"market_orders_off": True},
    "price cap": {"market_orders_off": True, "opening_cap_percent": 104},
    "cancelled in the first minute": {"market_cancel_ms": 60_000},
    "halt": {},
}
"""Switches that turn while orders are at every stage at once. A halt is no switch: it is told pair by pair."""

ORDERS: dict[str, dict[str, Any]] = {
    "partial fill": {"kind": "partial_fill", "percent_filled": 40},
    "fill late": {"kind": "fill_late", "latency_ms": 700},
    "order not found at first": {"kind": "query_blind", "times": 3},
    "executed after all, cancelled first": {"kind": "late_execution", "latency_ms": 1_500},
    "executed after all, unknown first": {"kind": "late_execution", "reported": "unknown", "latency_ms": 2_500},
}
FILLS_LATE = "fills late in queries"

CALENDAR: dict[str, dict[str, Any]] = {
    "calendar entry vanishes and returns": {"kind": "calendar_entry_missing", "times": 2},
    "calendar entry moved": {"kind": "calendar_entry_moved", "shift_ms": 60_000, "times": 2},
    "calendar entry with other types": {"kind": "calendar_entry_odd", "odd_form": "strings", "times": 2},
}
STALE_CALENDAR = "calendar stale"

TURNED_STAGES = (Stage.SIGHTING, Stage.COMMIT, *SENDS, *QUERIES, *FILLS, Stage.HELD)
CELLS: frozenset[Cell] = frozenset(
    [
        *((fault, stage) for fault in ON_THE_WAY_IN for stage in (*READS, *SENDS)),
        *((fault, stage) for fault in ON_THE_WAY_OUT for stage in (*READS, *ANSWERS)),
        *((fault, stage) for fault in PUSHES for stage in (*READS, *ANSWERS)),
        *((fault, stage) for fault in TURNS for stage in TURNED_STAGES),
        *((fault, stage) for fault in ("partial fill", FILLS_LATE) for stage in FILLS),
        *((fault, stage) for fault in ORDERS if fault != "partial fill" for stage in QUERIES),
        *((fault, Stage.SIGHTING) for fault in (*CALENDAR, STALE_CALENDAR)),
        ("disconnect", Stage.COMMIT),
    ]
)
FAULTS = (*REQUESTS, *PUSHES, *TURNS, *ORDERS, FILLS_LATE, *CALENDAR, STALE_CALENDAR)


def _each(faults: Iterable[str], stages: Iterable[Stage], reason: str) -> dict[Cell, str]:
    stages = tuple(stages)
    return {(fault, stage): reason for fault in faults for stage in stages}


_WITHOUT_DISCONNECT = [fault for fault in PUSHES if fault != "disconnect"]
_NOT_FILLS = [stage for stage in Stage if stage not in FILLS]
_NOT_QUERIES = [stage for stage in Stage if stage not in QUERIES]
_QUERIED = [fault for fault in ORDERS if fault != "partial fill"]
NO_MEANING: dict[Cell, str] = {
    **_each(REQUESTS, [Stage.COMMIT], "nothing is asked of the exchange while the intent is being committed"),
    **_each(ON_THE_WAY_IN, ANSWERS, "turned away before it was taken: there is no order that could be answered"),
    **_each(ON_THE_WAY_OUT, SENDS, "strikes when the order was taken: that is the stage of the answer"),
    **_each(PUSHES, SENDS, "nothing is pushed about an order before it was taken"),
    **_each(_WITHOUT_DISCONNECT, [Stage.COMMIT], "no push belongs to a commit"),
    **_each(TURNS, ANSWERS, "an answer that is on its way is not changed by what turns after it"),
    **_each(["partial fill"], _NOT_FILLS, "shows only in what was executed"),
    **_each([FILLS_LATE], _NOT_FILLS, "shows only when executions are asked for"),
    **_each(_QUERIED, _NOT_QUERIES, "shows only when it is asked how the order ended"),
    **_each([*CALENDAR, STALE_CALENDAR], [s for s in Stage if s is not Stage.SIGHTING], "the calendar tells of listings"
            " only; no order depends on it once the listing is seen"),
}  # fmt: skip
