"""Decisions: execute or skip, with every check that led there."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field, structs

from signalbox.domain.configuration import AccountSettings, Strategy
from signalbox.domain.errors import InvariantError
from signalbox.domain.ids import AccountId, ConfigurationId, DecisionId, PositionId, RunId, SignalId
from signalbox.domain.orders import Order, StageTimes
from signalbox.domain.positions import ExitRule
from signalbox.domain.risk.capacity import Reservation
from signalbox.domain.risk.checks import EntryInputs, RiskCheck
from signalbox.domain.risk.entry_rules import described
from signalbox.domain.signals import ListingSignal
from signalbox.domain.strategies.exits import ExitInputs


class Verdict(StrEnum):
    """What was decided."""

    EXECUTE = "execute"
    SKIP = "skip"


class Cause(Struct, frozen=True, kw_only=True):
    """Exactly one of a listing signal, an exit rule and an operator caused it. `position_id` goes with the last two."""

    listing_signal_id: SignalId | None = None
    exit_rule: ExitRule | None = None
    operator: str | None = None
    position_id: PositionId | None = None

    def __post_init__(self) -> None:
        """Refuse a decision without a cause, and one with several."""
        given = [cause for cause in (self.listing_signal_id, self.exit_rule, self.operator) if cause is not None]
        if len(given) != 1:
            raise InvariantError(f"a decision has exactly one cause, got {len(given)}: {given}")


class Decision(Struct, frozen=True, kw_only=True):
    """One considered event.

    `inputs` is what the decision was computed from, so that it can be recomputed; it and the settings are stored as
    JSON. An entry that is executed has no `checks` until somebody asks for them (`explained`).
    """

    id: DecisionId
    account_id: AccountId
    strategy: Strategy
    decided_at: datetime
    verdict: Verdict
    reason: str
    checks: tuple[RiskCheck, ...]
    cause: Cause
    settings_snapshot: AccountSettings
    inputs: EntryInputs | ExitInputs
    code_version: str
    run_id: RunId | None = None
    configuration_id: ConfigurationId | None = None
    skip_code: str | None = None


def explained(decision: Decision) -> Decision:
    """The decision with its checks described, as the ledger keeps it: an order need not wait for what people read."""
    if decision.checks or not isinstance(decision.inputs, EntryInputs):
        return decision
    return structs.replace(decision, checks=described(decision.inputs))


class Intent(Struct, frozen=True, kw_only=True):
    """What must be durable before anything leaves: the signal, the decision, the order and its reservation.

    An intent without an order records a skip. `blocked` is an order that a limit stopped: it is recorded as
    rejected and never sent. `fence` is the ownership number under which the account's engine acts.
    """

    decision: Decision
    fence: int
    signal: ListingSignal | None = None
    order: Order | None = None
    reservation: Reservation | None = None
    blocked: Order | None = None
    blocked_limit: str | None = None
    stages: StageTimes = field(default_factory=StageTimes)


class IntentResult(StrEnum):
    """What the ledger did with an intent."""

    INSERTED = "inserted"
    DUPLICATE = "duplicate"
    KILL_SWITCH = "kill_switch"
    FENCED_OUT = "fenced_out"
