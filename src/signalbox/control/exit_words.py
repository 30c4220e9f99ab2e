"""What would sell a position, in plain words: its targets, its stops, and the time that is left."""

from datetime import datetime, timedelta
from decimal import Decimal

from signalbox.domain.money import ONE, plain
from signalbox.domain.positions import ExitPlan
from signalbox.ledger.queries.positions import PositionRow

_WHOLE = Decimal("0.999")
"""A level that has sold this part of its share is done: less than a lot is missing."""


def exit_text(plan: ExitPlan) -> str:
    """An exit plan in a few words."""
    parts = []
    if plan.take_profit is not None:
        parts.append(f"+{_percent(plan.take_profit)}")
    parts += [f"{_percent(level.share)} at +{_percent(level.at)}" for level in plan.take_profit_levels]
    if plan.stop_loss is not None:
        parts.append(f"-{_percent(plan.stop_loss)}")
    if plan.trailing_stop is not None:
        begins = f" (from +{_percent(plan.trailing_activation)})" if plan.trailing_activation is not None else ""
        parts.append(f"-{_percent(plan.trailing_stop)} off the highest{begins}")
    if plan.time_limit_s is not None:
        parts.append(f"{plan.time_limit_s:f} s")
    return " or ".join(parts) or "by hand"


def sold_when(position: PositionRow, now: datetime | None = None) -> list[str]:
    """What has to happen until it is sold, with the prices of today; empty when only an operator can sell it.

    With `now` the time that is left, else the time limit as it is.
    """
    plan, entry = position.exit_plan, position.average_entry_price
    found = []
    if position.fired_stop is not None:
        return [f"as soon as the exchange takes it: the {position.fired_stop.replace('_', ' ')} has fired"]
    if entry is not None:
        if plan.take_profit is not None:
            found.append(f"the bid reaches {_price(entry, plan.take_profit)} (+{_percent(plan.take_profit)})")
        found += _levels(position, entry)
        if plan.stop_loss is not None:
            found.append(f"it falls to {_price(entry, -plan.stop_loss)} (-{_percent(plan.stop_loss)})")
        if plan.trailing_stop is not None:
            found.append(_trailing(plan, plan.trailing_stop, entry, position.highest_bid))
    if plan.time_limit_s is not None:
        found.append(_time(plan.time_limit_s, position.opened_at, now))
    return found


def _levels(position: PositionRow, entry: Decimal) -> list[str]:
    """The levels that have something left to sell, each with how much."""
    bought = max(position.bought, position.quantity)
    sold, asked, found = bought - position.quantity, Decimal(0), []
    for level in position.exit_plan.take_profit_levels:
        asked += level.share * bought
        part = min(asked - sold, level.share * bought)
        if part > level.share * bought * (ONE - _WHOLE):
            price = _price(entry, level.at)
            found.append(f"{plain(part)} when the bid reaches {price} (+{_percent(level.at)})")
    return found


def _trailing(plan: ExitPlan, fraction: Decimal, entry: Decimal, highest: Decimal | None) -> str:
    gain = plan.trailing_activation
    if gain is not None and (highest is None or highest < entry * (ONE + gain)):
        return f"it reached {_price(entry, gain)} (+{_percent(gain)}) and falls {_percent(fraction)} from its highest"
    if highest is None:
        return f"it falls {_percent(fraction)} from its highest"
    floor = _six_digits(highest * (ONE - fraction))
    return f"it falls to {floor} ({_percent(fraction)} below the highest, {_six_digits(highest)})"


def _time(limit_s: Decimal, opened_at: datetime, now: datetime | None) -> str:
    if now is None:
        return f"{limit_s:f} s have passed"
    left_s = (opened_at + timedelta(seconds=float(limit_s)) - now).total_seconds()
    return f"{left_s:.0f} s have passed" if left_s > 0 else "now: its time is over"


def _price(entry: Decimal, gain: Decimal) -> str:
    return _six_digits(entry * (ONE + gain))


def _six_digits(price: Decimal) -> str:
    return plain(Decimal(f"{price:.6g}"))


def _percent(ratio: Decimal) -> str:
    return f"{ratio:%}"
