"""The life of a run."""

from itertools import product

import pytest

from signalbox.domain.errors import InvariantError
from signalbox.domain.runs import ACTIVE_STATUSES, RUN_TRANSITIONS, RunStatus, check_run_transition

ALLOWED = {
    ("starting", "running"),
    ("starting", "stopping"),
    ("starting", "failed"),
    ("running", "stopping"),
    ("running", "failed"),
    ("stopping", "stopped"),
    ("stopping", "failed"),
}


@pytest.mark.parametrize(("old", "new"), list(product(RunStatus, RunStatus)))
def test_run_states_move_along_the_allowed_edges_only(old: RunStatus, new: RunStatus) -> None:
    if (old.value, new.value) in ALLOWED:
        check_run_transition(old, new)
    else:
        with pytest.raises(InvariantError, match=f"a run cannot go from {old} to {new}"):
            check_run_transition(old, new)


def test_a_run_is_active_exactly_while_it_can_still_change() -> None:
    assert {status for status, ways_on in RUN_TRANSITIONS.items() if ways_on} == ACTIVE_STATUSES


def test_an_active_run_can_always_fail_so_that_no_crash_leaves_an_orphan() -> None:
    for status in ACTIVE_STATUSES:
        check_run_transition(status, RunStatus.FAILED)
