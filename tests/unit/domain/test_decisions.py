"""Decisions and intents."""

from typing import Any
from uuid import UUID

import pytest
from tests.unit.domain import examples

from signalbox.domain.configuration import Strategy
from signalbox.domain.decisions import Cause, Decision, Intent, Verdict
from signalbox.domain.errors import InvariantError
from signalbox.domain.ids import DecisionId, PositionId, SignalId
from signalbox.domain.positions import ExitRule

SIGNAL = SignalId(UUID(int=3))


@pytest.mark.parametrize(
    "cause",
    [
        {"listing_signal_id": SIGNAL},
        {"exit_rule": ExitRule.TAKE_PROFIT, "position_id": PositionId(UUID(int=4))},
        {"operator": "anna", "position_id": PositionId(UUID(int=4))},
    ],
)
def test_a_decision_has_one_cause(cause: dict[str, Any]) -> None:
    Cause(**cause)


@pytest.mark.parametrize(
    "cause",
    [
        {},
        {"position_id": PositionId(UUID(int=4))},
        {"listing_signal_id": SIGNAL, "operator": "anna"},
        {"listing_signal_id": SIGNAL, "exit_rule": ExitRule.TIME_LIMIT},
        {"operator": "anna", "exit_rule": ExitRule.FLATTEN},
    ],
)
def test_no_cause_and_several_causes_are_refused(cause: dict[str, Any]) -> None:
    with pytest.raises(InvariantError, match="exactly one cause"):
        Cause(**cause)


def test_each_intent_has_stage_times_of_its_own() -> None:
    inputs = examples.entry_inputs()
    decision = Decision(
        id=DecisionId(UUID(int=5)),
        account_id=examples.ACCOUNT,
        strategy=Strategy.LISTING_SNIPER,
        decided_at=examples.NOW,
        verdict=Verdict.SKIP,
        reason="test",
        checks=(),
        cause=Cause(listing_signal_id=SIGNAL),
        settings_snapshot=inputs.settings,
        inputs=inputs,
        code_version="test",
    )
    first, second = Intent(decision=decision, fence=1), Intent(decision=decision, fence=1)
    first.stages.sent_at = examples.NOW
    assert second.stages.sent_at is None
