"""When to leave a position, how much of it, and with which order. Pure: the same inputs always say the same.

Take-profit levels keep no state of their own. A level is due while its price is reached and less was sold than it and
the levels below it ask for, so a part that was sold late, in pieces or by another rule counts all the same.

A stop-loss or trailing stop that has fired stays fired, as with a broker's stop orders: when its sale was refused (a
buy-only phase, a halt) or filled in part, a price that recovers meanwhile does not take it back. Otherwise the outcome
would depend on when the venue happened to take the order. A take-profit and its target may go out of reach again.
"""

from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from signalbox.domain.instruments import Instrument
from signalbox.domain.money import ONE, ZERO, plain, product, round_down, share, step_of, total
from signalbox.domain.order_shapes import OrderShape
from signalbox.domain.orders import OrderType, TimeInForce
from signalbox.domain.positions import ExitRule, Position, TakeProfitLevel
from signalbox.domain.risk.checks import CheckKind, CheckVerdict, RiskCheck
from signalbox.domain.strategies.exit_sizes import SaleTerms, limit_price, sale_quantity

_SHOWN_STEP = step_of(18)
"""Bounds are compared as products, exactly; as a price they are shown rounded down to this."""


class ExitInputs(Struct, frozen=True, kw_only=True, tag_field="kind", tag="exit"):
    """Everything that an exit decision depends on. `bid` is what a sale would fetch now, quote per base.

    `instrument`: the market's rules, for the size. `free`: what the wallet has free, when it was asked. `flatten`: an
    operator asked to sell. `discount`: sell by a limit order this far below the bid, a fraction; None: at market.
    """

    position: Position
    now: datetime
    bid: Decimal | None
    instrument: Instrument | None = None
    free: Decimal | None = None
    flatten: bool = False
    discount: Decimal | None = None


class ExitVerdict(Struct, frozen=True, kw_only=True):
    """Which rule fired, why, and how each rule stood.

    `level`: which take-profit level, counted from 1. `quantity`: what to sell, in base; zero when that is too small for
    the venue, None when the market's rules are not known.
    """

    rule: ExitRule
    reason: str
    checks: tuple[RiskCheck, ...]
    level: int | None = None
    quantity: Decimal | None = None


class _Due(Struct, frozen=True):
    """A take-profit level that asks for a sale: its number from 1, and how much."""

    number: int
    quantity: Decimal


def decide_exit(inputs: ExitInputs) -> ExitVerdict | None:
    """The first rule that says leave, or None to stay. Their order: an operator's wish to sell everything, stop-loss,
    trailing stop, take-profit, time limit."""
    due = _due_level(inputs)
    checks = [_stop_loss(inputs), _take_profit(inputs, due), _time_limit(inputs)]
    if inputs.position.exit_plan.trailing_stop is not None:  # one that is not configured leaves no trace
        checks.insert(1, _trailing_stop(inputs))
    if inputs.flatten:
        checks.insert(0, _flatten())
    fired = next((check for check in checks if check.verdict is CheckVerdict.FIRED), None)
    if fired is None:
        return None
    rule = ExitRule(fired.name)
    part = due if rule is ExitRule.TAKE_PROFIT else None
    return ExitVerdict(
        rule=rule,
        reason=f"{fired.name}: {fired.message}",
        checks=tuple(checks),
        level=part.number if part else None,
        quantity=part.quantity if part else _sized(inputs, inputs.position.quantity),
    )


def exit_shape(inputs: ExitInputs, verdict: ExitVerdict) -> OrderShape | None:
    """The order that carries out a verdict; None when there is nothing to sell, or no bid to price a limit with.

    A take-profit never asks for less than its own target; every other rule takes what it can get.
    """
    terms, quantity = _terms(inputs), verdict.quantity
    if terms is None or not quantity:
        return None
    if inputs.discount is None:
        return OrderShape(order_type=OrderType.MARKET, quantity=quantity)
    at_least = _target(inputs, verdict) if verdict.rule is ExitRule.TAKE_PROFIT else ZERO
    price = limit_price(terms, at_least=at_least)
    if price is None:
        return None
    return OrderShape(order_type=OrderType.LIMIT, time_in_force=TimeInForce.IOC, quantity=quantity, limit_price=price)


def exit_quantity(position: Position, instrument: Instrument) -> Decimal:
    """What can be sold: the held quantity rounded down to the lot (the rest is dust). May be zero."""
    return round_down(position.quantity, instrument.lot_size)


def _terms(inputs: ExitInputs) -> SaleTerms | None:
    if inputs.instrument is None:
        return None
    return SaleTerms(instrument=inputs.instrument, bid=inputs.bid, discount=inputs.discount)


def _sized(inputs: ExitInputs, wanted: Decimal) -> Decimal | None:
    """What of `wanted` can be sold now; None without the market's rules."""
    terms, held = _terms(inputs), inputs.position.quantity
    if terms is None:
        return None
    if inputs.free is not None:
        held = min(held, inputs.free)
    return sale_quantity(terms, held=held, wanted=wanted)


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


def _flatten() -> RiskCheck:
    return _rule(ExitRule.FLATTEN, fired=True, limit=None, value=None, message="asked to close everything")


def _stop_loss(inputs: ExitInputs) -> RiskCheck:
    position, bid = inputs.position, inputs.bid
    ratio = position.exit_plan.stop_loss
    if ratio is not None and position.quantity and position.fired_stop is ExitRule.STOP_LOSS:
        return _fired_before(ExitRule.STOP_LOSS, ratio, bid)
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


def _trailing_stop(inputs: ExitInputs) -> RiskCheck:
    position, bid = inputs.position, inputs.bid
    ratio = position.exit_plan.trailing_stop
    if ratio is not None and position.quantity and position.fired_stop is ExitRule.TRAILING_STOP:
        return _fired_before(ExitRule.TRAILING_STOP, ratio, bid)
    if ratio is None or not position.quantity or bid is None:
        return _absent(ExitRule.TRAILING_STOP, ratio)
    peak = bid if position.highest_bid is None else max(position.highest_bid, bid)
    gain = position.exit_plan.trailing_activation
    if gain is not None and not _reached(position, peak, gain):
        begins = plain(_price_at(position, gain))
        return _rule(
            ExitRule.TRAILING_STOP,
            fired=False,
            limit=begins,
            value=plain(peak),
            message=f"counts from a bid of {begins} on, the highest was {plain(peak)}",
        )
    floor = product(peak, total((ONE, ratio.copy_negate())))
    fired = bid <= floor
    return _rule(
        ExitRule.TRAILING_STOP,
        fired=fired,
        limit=plain(floor),
        value=plain(bid),
        message=f"bid {plain(bid)} {'fell to' if fired else 'is above'} {plain(floor)}, the highest was {plain(peak)}",
    )


def _take_profit(inputs: ExitInputs, due: _Due | None) -> RiskCheck:
    position, bid = inputs.position, inputs.bid
    plan = position.exit_plan
    if plan.take_profit_levels:
        return _take_profit_levels(inputs, due)
    ratio = plan.take_profit
    if ratio is None or not position.quantity or bid is None:
        return _absent(ExitRule.TAKE_PROFIT, ratio)
    fired, target = _reached(position, bid, ratio), plain(_price_at(position, ratio))
    return _rule(
        ExitRule.TAKE_PROFIT,
        fired=fired,
        limit=target,
        value=plain(bid),
        message=f"bid {plain(bid)} {'reached' if fired else 'is below'} {target}",
    )


def _take_profit_levels(inputs: ExitInputs, due: _Due | None) -> RiskCheck:
    position, bid, levels = inputs.position, inputs.bid, inputs.position.exit_plan.take_profit_levels
    if not position.quantity or bid is None:
        return _absent(ExitRule.TAKE_PROFIT, levels[0].at)
    number = due.number if due else next((n for n, _ in _unreached(position, bid)), len(levels))
    target = plain(_price_at(position, levels[number - 1].at))
    name = f"level {number} of {len(levels)} at {target}"
    if due:
        message = f"bid {plain(bid)} reached {name}: {plain(due.quantity)} of {plain(_bought(position))} are due"
    elif _reached(position, bid, levels[number - 1].at):
        message = f"bid {plain(bid)} reached {name}: nothing more to sell there"
    else:
        message = f"bid {plain(bid)} is below {name}"
    return _rule(ExitRule.TAKE_PROFIT, fired=due is not None, limit=target, value=plain(bid), message=message)


def _due_level(inputs: ExitInputs) -> _Due | None:
    """The highest level whose price is reached, with what it and those below it still ask for; None when that is
    nothing, or too small to be sold alone: then the next level sells it too."""
    position, bid = inputs.position, inputs.bid
    if bid is None or not position.quantity:
        return None
    levels = position.exit_plan.take_profit_levels
    reached = [number for number, level in enumerate(levels, 1) if _reached(position, bid, level.at)]
    if not reached:
        return None
    bought = _bought(position)
    sold = total((bought, position.quantity.copy_negate()))
    asked = product(total(level.share for level in levels[: reached[-1]]), bought)
    wanted = total((asked, sold.copy_negate()))
    quantity = _sized(inputs, wanted)
    if quantity is None:
        quantity = min(wanted, position.quantity)
    return _Due(reached[-1], quantity) if quantity > 0 else None


def _unreached(position: Position, bid: Decimal) -> list[tuple[int, TakeProfitLevel]]:
    levels = position.exit_plan.take_profit_levels
    return [(number, level) for number, level in enumerate(levels, 1) if not _reached(position, bid, level.at)]


def _bought(position: Position) -> Decimal:
    return max(position.bought, position.quantity)


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


def _reached(position: Position, price: Decimal, gain: Decimal) -> bool:
    """Whether a price is at least this gain above the entry: compared as products, so nothing is rounded."""
    return product(price, position.quantity) >= product(position.cost, total((ONE, gain)))


def _price_at(position: Position, gain: Decimal) -> Decimal:
    """The price of a gain, as it is shown."""
    return share(position.cost, total((ONE, gain)), position.quantity, step=_SHOWN_STEP)


def _target(inputs: ExitInputs, verdict: ExitVerdict) -> Decimal:
    """The price that a take-profit waited for, not below it by a rounding."""
    plan = inputs.position.exit_plan
    gain = plan.take_profit_levels[verdict.level - 1].at if verdict.level else plan.take_profit
    if gain is None:
        return ZERO
    price = _price_at(inputs.position, gain)
    return price if _reached(inputs.position, price, gain) else total((price, _SHOWN_STEP))


def _fired_before(rule: ExitRule, ratio: Decimal, bid: Decimal | None) -> RiskCheck:
    at = "nobody bids at present" if bid is None else f"the bid is {plain(bid)} now"
    return _rule(
        rule,
        fired=True,
        limit=plain(ratio),
        value=None if bid is None else plain(bid),
        message=f"fired before and stays so until everything is sold; {at}",
    )


def _absent(rule: ExitRule, ratio: Decimal | None) -> RiskCheck:
    message = "not configured" if ratio is None else "no price to compare with"
    return _rule(rule, fired=None, limit=None if ratio is None else plain(ratio), value=None, message=message)
