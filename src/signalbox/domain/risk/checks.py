"""What a risk check is given and what it answers: its limit, the value it saw and a verdict.

All checks of a decision are recorded, also after one has failed, so that "why did it not trade?" has a full answer. The
rules of an entry are in `entry_rules`, those of an exit beside its strategy.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from signalbox.domain.configuration import AccountSettings, BotConfiguration
from signalbox.domain.instruments import Instrument
from signalbox.domain.orders import Mode
from signalbox.domain.risk.capacity import Usage
from signalbox.domain.signals import ListingSignal


class CheckVerdict(StrEnum):
    """How one check ended. `not_enforced`: the configuration switched its own constraints off (safety_enabled).

    An exit rule has `fired` or is `waiting`.
    """

    PASSED = "passed"
    FAILED = "failed"
    NOT_ENFORCED = "not_enforced"
    NOT_APPLICABLE = "not_applicable"
    FIRED = "fired"
    WAITING = "waiting"


class CheckKind(StrEnum):
    """`eligibility`: is this event something we trade at all. `limit`: a guardrail; failing it blocks an order.

    `exit_rule`: a reason to leave a position.
    """

    ELIGIBILITY = "eligibility"
    LIMIT = "limit"
    EXIT_RULE = "exit_rule"


class SkipCode(StrEnum):
    """Why an event was not traded. A failed limit is always SAFETY_CONSTRAINT, with the limit's name beside it."""

    RUN_NOT_ACTIVE = "RUN_NOT_ACTIVE"
    STALE = "STALE"
    SYMBOL_NOT_ALLOWED = "SYMBOL_NOT_ALLOWED"
    QUOTE_NOT_ALLOWED = "QUOTE_NOT_ALLOWED"
    NOT_TRADABLE = "NOT_TRADABLE"
    DUPLICATE = "DUPLICATE"
    BELOW_MIN_NOTIONAL = "BELOW_MIN_NOTIONAL"
    PRICE_TOO_HIGH = "PRICE_TOO_HIGH"
    NO_PRICE = "NO_PRICE"
    SAFETY_CONSTRAINT = "SAFETY_CONSTRAINT"


class RiskCheck(Struct, frozen=True, kw_only=True):
    """One rule with the limit it knows, the value it saw and its verdict. Amounts are decimal text in quote."""

    name: str
    kind: CheckKind
    verdict: CheckVerdict
    limit: str | None
    value: str | None
    message: str
    code: SkipCode | None = None


class EntryInputs(Struct, frozen=True, kw_only=True, tag_field="kind", tag="entry"):
    """Everything that an entry decision depends on. The same inputs always give the same decision.

    `amount` is what the entry would reserve: the quote amount plus the highest fee. `mode` is the effective mode.
    """

    signal: ListingSignal
    configuration: BotConfiguration
    settings: AccountSettings
    usage: Usage
    mode: Mode
    now: datetime
    amount: Decimal
    run_active: bool
    kill_switch: bool
    credentials_refused: bool = False
    instrument: Instrument | None = None
    reference_price: Decimal | None = None
