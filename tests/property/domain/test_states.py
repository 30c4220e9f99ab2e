"""Orders and runs walk at random: whatever is tried, their history is a life that the specification allows."""

import re

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.property.domain.generators import quick

from signalbox.domain.errors import InvariantError
from signalbox.domain.orders import ORDER_TRANSITIONS, OrderStatus, check_order_transition
from signalbox.domain.runs import ACTIVE_STATUSES, RUN_TRANSITIONS, RunStatus, check_run_transition

ORDER_LIFE = re.compile(r"pending( failed| submitted( filled| rejected)?)?")
RUN_LIFE = re.compile(r"starting( running)?( stopping( stopped)?)?( failed)?")


class OrderLife(RuleBasedStateMachine):
    """An order that anybody tries to move anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.history = [OrderStatus.PENDING]

    @rule(new=st.sampled_from(OrderStatus))
    def move(self, new: OrderStatus) -> None:
        old = self.history[-1]
        if new in ORDER_TRANSITIONS[old]:
            check_order_transition(old, new)
            self.history.append(new)
        else:
            with pytest.raises(InvariantError):
                check_order_transition(old, new)

    @invariant()
    def the_life_is_an_allowed_one(self) -> None:
        assert ORDER_LIFE.fullmatch(" ".join(self.history))


class RunLife(RuleBasedStateMachine):
    """A run that anybody tries to move anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.history = [RunStatus.STARTING]

    @rule(new=st.sampled_from(RunStatus))
    def move(self, new: RunStatus) -> None:
        old = self.history[-1]
        if new in RUN_TRANSITIONS[old]:
            check_run_transition(old, new)
            self.history.append(new)
        else:
            with pytest.raises(InvariantError):
                check_run_transition(old, new)

    @invariant()
    def the_life_is_an_allowed_one(self) -> None:
        life = " ".join(self.history)
        assert RUN_LIFE.fullmatch(life)
        assert "stopped failed" not in life
        assert (self.history[-1] in ACTIVE_STATUSES) == bool(RUN_TRANSITIONS[self.history[-1]])


TestOrderLife = OrderLife.TestCase
TestOrderLife.settings = settings(quick, max_examples=40, stateful_step_count=12)
TestRunLife = RunLife.TestCase
TestRunLife.settings = settings(quick, max_examples=40, stateful_step_count=12)
