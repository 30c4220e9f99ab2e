"""The listing sniper's entry: from a signal and everything known at that instant to a verdict."""

from msgspec import Struct

from signalbox.domain.configuration import effective_mode
from signalbox.domain.errors import InvariantError
from signalbox.domain.orders import Mode
from signalbox.domain.risk.checks import CheckKind, CheckVerdict, EntryInputs, RiskCheck, SkipCode
from signalbox.domain.risk.entry_rules import account_agrees, described, listing_agrees
from signalbox.domain.signals import DetectionSource


class EntryVerdict(Struct, frozen=True, kw_only=True):
    """What to do with a listing. `blocked_limit` names the guardrail when one stopped an otherwise good entry.
    Without `checks` nobody has described them yet, see `decide_at_once`."""

    execute: bool
    reason: str
    checks: tuple[RiskCheck, ...]
    skip_code: SkipCode | None = None
    blocked_limit: str | None = None


def entry_mode(signal_source: DetectionSource, mode: Mode) -> Mode:
    """An injected test listing is traded in simulation only, whatever the account's mode."""
    return Mode.SIMULATION if signal_source is DetectionSource.TEST_INJECTION else mode


def decide_at_once(inputs: EntryInputs, *, account_agreed: bool | None = None) -> EntryVerdict:
    """What `decide_entry` concludes, but without the checks of an entry that is executed: an order waits for it.
    `decisions.explained` adds them, from the same inputs, when it is out. Errors as in `decide_entry`.

    `account_agreed`: what `account_agrees` said of inputs that are the same in all that concerns the account.
    """
    _refuse_unallowed_mode(inputs)
    agreed = account_agrees(inputs) if account_agreed is None else account_agreed
    return _execute(inputs, ()) if agreed and listing_agrees(inputs) else decide_entry(inputs)


def decide_entry(inputs: EntryInputs) -> EntryVerdict:
    """Run every check and conclude: eligibility first, then the guardrails, in the order of ENTRY_CHECKS.

    Raises InvariantError when the inputs say live although one of the keys to live is missing.
    """
    _refuse_unallowed_mode(inputs)
    checks = described(inputs)
    failed = [check for check in checks if check.verdict is CheckVerdict.FAILED]
    if not failed:
        return _execute(inputs, checks)
    first = next((check for check in failed if check.kind is CheckKind.ELIGIBILITY), failed[0])
    return EntryVerdict(
        execute=False,
        reason=f"{first.name}: {first.message}",
        checks=checks,
        skip_code=first.code,
        blocked_limit=first.name if first.kind is CheckKind.LIMIT else None,
    )


def _execute(inputs: EntryInputs, checks: tuple[RiskCheck, ...]) -> EntryVerdict:
    signal = inputs.signal
    reason = f"{signal.symbol} seen by {signal.detection_source}; all checks agreed"
    return EntryVerdict(execute=True, reason=reason, checks=checks)


def _refuse_unallowed_mode(inputs: EntryInputs) -> None:
    allowed = entry_mode(inputs.signal.detection_source, effective_mode(inputs.configuration, inputs.settings))
    if inputs.mode is Mode.LIVE and allowed is not Mode.LIVE:
        raise InvariantError(f"{inputs.signal.symbol}: live was asked for without both keys to it")
