"""When to leave a position."""

from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from signalbox.domain.instruments import Instrument
from signalbox.domain.money import ONE, plain, product, round_down, share, step_of, total
from signalbox.domain.positions import ExitRule, Position
from signalbox.domain.risk.checks import CheckKind, CheckVerdict, RiskCheck

_SHOWN_STEP = step_of(18)
"""Bounds are compared as products, exactly; as a price they are shown rounded down to this."""


class ExitInputs(Struct, frozen=True, kw_only=True, tag_field="kind", tag="exit"):
    """Everything that an exit decision depends on. `bid` is what a sale would fetch now, quote per base."""

    position: Position
    now: datetime
    bid: Decimal | None


class ExitVerdict(Struct, frozen=True, kw_only=True):
    """Which rule fired, why, and how each rule stood."""

    rule: ExitRule
    reason: str
    checks: tuple[RiskCheck, ...]


def _rule(name: ExitRule, *, fired: bool | None, limit: str | None, value: str | None, message: str) -> RiskCheck:
    verdict = CheckVerdict.NOT_APPLICABLE if fired is None else CheckVerdict.FIRED if fired else CheckVerdict.WAITING
    return RiskCheck(
        name=name,
        kind=CheckKind.EXIT_RULE,
        verdict=verdict,
        limit=limit,
        value=value,
        message=message,
    )


def decide_exit(inputs: ExitInputs) -> ExitVerdict | None:
    """The first rule that says leave (stop-loss before take-profit before time), or None to stay."""
    checks = (_stop_loss(inputs), _take_profit(inputs), _time_limit(inputs))
    fired = next((check for check in checks if check.verdict is CheckVerdict.FIRED), None)
    if fired is None:
        return None
    return ExitVerdict(rule=ExitRule(fired.name), reason=f"{fired.name}: {fired.message}", checks=checks)


def exit_quantity(position: Position, instrument: Instrument) -> Decimal:
    """What can be sold: the held quantity rounded down to the lot (the rest is dust). May be zero."""
    return round_down(position.quantity, instrument.lot_size)


def _take_profit(inputs: ExitInputs) -> RiskCheck:
    position, bid = inputs.position, inputs.bid
    ratio = position.exit_plan.take_profit
    if ratio is None or not position.quantity or bid is None:
        return _absent(ExitRule.TAKE_PROFIT, ratio)
    factor = total((ONE, ratio))
    fired = product(bid, position.quantity) >= product(position.cost, factor)
    target = share(position.cost, factor, position.quantity, step=_SHOWN_STEP)
    return _rule(
        ExitRule.TAKE_PROFIT,
        fired=fired,
        limit=plain(target),
        value=plain(bid),
        message=f"bid {plain(bid)} {'reached' if fired else 'is below'} {plain(target)}",
    )


def _stop_loss(inputs: ExitInputs) -> RiskCheck:
    position, bid = inputs.position, inputs.bid
    ratio = position.exit_plan.stop_loss
    if ratio is None or not position.quantity or bid is None:
        return _absent(ExitRule.STOP_LOSS, ratio)
    factor = total((ONE, ratio.copy_negate()))
    fired = product(bid, position.quantity) <= product(position.cost, factor)
    floor = share(position.cost, factor, position.quantity, step=_SHOWN_STEP)
    return _rule(
        ExitRule.STOP_LOSS,
        fired=fired,
        limit=plain(floor),
        value=plain(bid),
        message=f"bid {plain(bid)} {'fell to' if fired else 'is above'} {plain(floor)}",
    )


def _time_limit(inputs: ExitInputs) -> RiskCheck:
    limit_s = inputs.position.exit_plan.time_limit_s
    if limit_s is None:
        return _absent(ExitRule.TIME_LIMIT, None)
    held = inputs.now - inputs.position.opened_at
    fired = held >= timedelta(seconds=float(limit_s))
    return _rule(
        ExitRule.TIME_LIMIT,
        fired=fired,
        limit=f"{plain(limit_s)} s",
        value=f"{held.total_seconds():.3f} s",
        message=f"held for {held.total_seconds():.1f} s of {plain(limit_s)} s",
    )


def _absent(rule: ExitRule, ratio: Decimal | None) -> RiskCheck:
    message = "not configured" if ratio is None else "no price to compare with"
    return _rule(rule, fired=None, limit=None if ratio is None else plain(ratio), value=None, message=message)
