"""Risk checks: one small function per rule. Each answers with its limit, the value it saw and a verdict.

All checks are always run and recorded, also after one has failed, so that "why did it not trade?" has a full answer.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from signalbox.domain.configuration import AccountSettings, BotConfiguration, begins_with_limit, symbol_matches
from signalbox.domain.instruments import Instrument, InstrumentStatus
from signalbox.domain.money import ZERO, plain, total
from signalbox.domain.order_shapes import first_shape
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


def _check(
    name: str, code: SkipCode, *, ok: bool | None, limit: str | None, value: str | None, message: str
) -> RiskCheck:
    verdict = CheckVerdict.NOT_APPLICABLE if ok is None else CheckVerdict.PASSED if ok else CheckVerdict.FAILED
    kind = CheckKind.LIMIT if code is SkipCode.SAFETY_CONSTRAINT else CheckKind.ELIGIBILITY
    return RiskCheck(name=name, kind=kind, verdict=verdict, limit=limit, value=value, code=code, message=message)


def _limit(name: str, *, used: Decimal, more: Decimal, limit: Decimal | None, what: str) -> RiskCheck:
    """used + more ≤ limit; an absent limit is not applicable."""
    asked = total((used, more))
    return _check(
        name,
        SkipCode.SAFETY_CONSTRAINT,
        ok=None if limit is None else asked <= limit,
        limit=None if limit is None else plain(limit),
        value=plain(asked),
        message=f"{what}: {plain(used)} used + {plain(more)} asked"
        + (", no limit set" if limit is None else f" of {plain(limit)}"),
    )


def kill_switch(i: EntryInputs) -> RiskCheck:
    """No entry while the kill switch is on."""
    state = "on" if i.kill_switch else "off"
    return _check(
        "kill_switch",
        SkipCode.SAFETY_CONSTRAINT,
        ok=not i.kill_switch,
        limit="off",
        value=state,
        message=f"the kill switch is {state}",
    )


def credentials(i: EntryInputs) -> RiskCheck:
    """No live entry while the venue refuses the account's credentials."""
    state = "refused" if i.credentials_refused else "not refused"
    return _check(
        "credentials",
        SkipCode.SAFETY_CONSTRAINT,
        ok=None if i.mode is Mode.SIMULATION else not i.credentials_refused,
        limit="not refused",
        value=state,
        message="simulation signs nothing" if i.mode is Mode.SIMULATION else f"the venue's word on them: {state}",
    )


def run_active(i: EntryInputs) -> RiskCheck:
    """Entries only while the run is running: none after a stop was asked for."""
    value = "running" if i.run_active else "not running"
    return _check(
        "run_active",
        SkipCode.RUN_NOT_ACTIVE,
        ok=i.run_active,
        limit="running",
        value=value,
        message=f"the run is {value}",
    )


def freshness(i: EntryInputs) -> RiskCheck:
    """The signal must not be older than its freshness deadline."""
    late_ms = (i.now - i.signal.freshness_deadline).total_seconds() * 1000
    return _check(
        "freshness",
        SkipCode.STALE,
        ok=late_ms <= 0,
        limit=i.signal.freshness_deadline.isoformat(),
        value=i.now.isoformat(),
        message=f"{abs(late_ms):.0f} ms {'after' if late_ms > 0 else 'before'} the freshness deadline",
    )


def symbol_allowed(i: EntryInputs) -> RiskCheck:
    """The symbol must match one of the configuration's pairs or patterns, and none of the denied ones."""
    allow, deny = i.configuration.symbols, i.configuration.parameters.deny_symbols
    denied = symbol_matches(i.signal.symbol, deny)
    matched = symbol_matches(i.signal.symbol, allow)
    text = f"denied by {denied}" if denied else f"matches {matched}" if matched else "matches no allowed pattern"
    return _check(
        "symbol_allowed",
        SkipCode.SYMBOL_NOT_ALLOWED,
        ok=matched is not None and denied is None,
        limit=" ".join((*allow, *(f"!{pattern}" for pattern in deny))),
        value=i.signal.symbol,
        message=f"{i.signal.symbol} {text}",
    )


def quote_asset(i: EntryInputs) -> RiskCheck:
    """The pair must be priced in one of the configured quote assets (limits are counted in it)."""
    allowed = i.configuration.parameters.quote_assets
    known = i.instrument.quote if i.instrument else None
    guess = next((asset for asset in allowed if i.signal.symbol.endswith(asset)), None)
    value = known or guess
    return _check(
        "quote_asset",
        SkipCode.QUOTE_NOT_ALLOWED,
        ok=value in allowed,
        limit=" ".join(allowed),
        value=value,
        message=f"priced in {value or 'an asset that is not allowed'}",
    )


def tradable(i: EntryInputs) -> RiskCheck:
    """What the venue has told us of the market must not rule it out. A market that is not known yet passes."""
    if i.instrument is None:
        return _check(
            "tradable",
            SkipCode.NOT_TRADABLE,
            ok=None,
            limit="open to API trading",
            value=None,
            message="the venue's market list does not have it yet; the venue decides",
        )
    ok = i.instrument.api_tradable and i.instrument.status is not InstrumentStatus.OFFLINE
    value = f"{i.instrument.status}, {'open' if i.instrument.api_tradable else 'closed'} to API trading"
    return _check("tradable", SkipCode.NOT_TRADABLE, ok=ok, limit="open to API trading", value=value, message=value)


def duplicate(i: EntryInputs) -> RiskCheck:
    """One entry per symbol at a time: none while it is held or an order is in flight."""
    held = i.signal.symbol in i.usage.symbols
    return _check(
        "duplicate",
        SkipCode.DUPLICATE,
        ok=not held,
        limit="none open",
        value="open" if held else "none open",
        message="already held or in flight" if held else "neither held nor in flight",
    )


def min_notional(i: EntryInputs) -> RiskCheck:
    """The order must reach the venue's minimum, when it is known."""
    market = not begins_with_limit(i.configuration.parameters)
    least = None if i.instrument is None else i.instrument.min_notional_market if market else i.instrument.min_notional
    spend = i.configuration.quote_amount
    return _check(
        "min_notional",
        SkipCode.BELOW_MIN_NOTIONAL,
        ok=None if least is None else spend >= least,
        limit=None if least is None else plain(least),
        value=plain(spend),
        message="the venue's minimum is not known yet" if least is None else f"minimum {plain(least)}",
    )


def price_sanity(i: EntryInputs) -> RiskCheck:
    """The reference price must not be above the configuration's highest price."""
    most, price = i.configuration.parameters.max_price, i.reference_price
    return _check(
        "price_sanity",
        SkipCode.PRICE_TOO_HIGH,
        ok=None if most is None or price is None else price <= most,
        limit=None if most is None else plain(most),
        value=None if price is None else plain(price),
        message="no highest price is configured" if most is None else f"highest price {plain(most)}",
    )


def priceable(i: EntryInputs) -> RiskCheck:
    """A limit entry needs the market's price and lot rules, a price to start from, and a size above zero."""
    c = i.configuration
    needed = begins_with_limit(c.parameters)
    shape = first_shape(c, instrument=i.instrument, price=i.reference_price)
    found = (
        f"{plain(shape.quantity)} at {plain(shape.limit_price)}"
        if shape and shape.quantity and shape.limit_price
        else None
    )
    return _check(
        "priceable",
        SkipCode.NO_PRICE,
        ok=shape is not None if needed else None,
        limit="a limit price and a quantity",
        value=found,
        message="not needed for a market order" if not needed else found or "no price or market rules to size it with",
    )


def max_trade(i: EntryInputs) -> RiskCheck:
    """One order may not spend more than the account allows."""
    return _limit(
        "max_trade_usdt",
        used=ZERO,
        more=i.configuration.quote_amount,
        limit=i.settings.max_trade_usdt,
        what="spend of one order",
    )


def max_position(i: EntryInputs) -> RiskCheck:
    """A position, with what is reserved for it, may not grow above the account's bound."""
    used = i.usage.exposure_by_symbol.get(i.signal.symbol, ZERO)
    return _limit(
        "max_position_usdt", used=used, more=i.amount, limit=i.settings.max_position_usdt, what="size of the position"
    )


def asset_exposure(i: EntryInputs) -> RiskCheck:
    """Exposure to one base asset, over all pairs of it in the configured quote assets, against its own cap."""
    quotes = i.configuration.parameters.quote_assets
    quote = next((asset for asset in quotes if i.signal.symbol.endswith(asset)), "")
    base = i.instrument.base if i.instrument else i.signal.symbol.removesuffix(quote)
    pairs = {i.signal.symbol, *(base + asset for asset in quotes)}
    used = total(amount for symbol, amount in i.usage.exposure_by_symbol.items() if symbol in pairs)
    return _limit(
        "asset_exposure_cap",
        used=used,
        more=i.amount,
        limit=i.settings.asset_exposure_caps.get(base),
        what=f"exposure to {base}",
    )


def global_exposure(i: EntryInputs) -> RiskCheck:
    """Exposure over all positions and reservations of the account."""
    return _limit(
        "global_exposure_cap",
        used=i.usage.exposure,
        more=i.amount,
        limit=i.settings.global_exposure_cap,
        what="exposure of the account",
    )


def daily_loss(i: EntryInputs) -> RiskCheck:
    """Entries stop when today's (UTC) booked loss has reached the limit."""
    limit, loss = i.settings.daily_loss_limit, max(ZERO, i.usage.realised_today.copy_negate())
    return _check(
        "daily_loss_limit",
        SkipCode.SAFETY_CONSTRAINT,
        ok=None if limit is None else loss < limit or limit == loss == ZERO,
        limit=None if limit is None else plain(limit),
        value=plain(loss),
        message=f"booked loss today (UTC): {plain(loss)}",
    )


def daily_spend(i: EntryInputs) -> RiskCheck:
    """What was spent and is reserved today (UTC) against the configuration's cap."""
    check = _limit(
        "max_daily_spend",
        used=i.usage.spent_today,
        more=i.amount,
        limit=i.configuration.max_daily_spend,
        what="spend today (UTC)",
    )
    return _own_constraint(i, check)


def orders_per_hour(i: EntryInputs) -> RiskCheck:
    """Entries of the last 60 minutes against the configuration's cap."""
    check = _limit(
        "max_trades_per_hour",
        used=Decimal(i.usage.orders_last_hour),
        more=Decimal(1),
        limit=Decimal(i.configuration.max_trades_per_hour),
        what="trades in the last hour",
    )
    return _own_constraint(i, check)


def concurrent_listings(i: EntryInputs) -> RiskCheck:
    """Listings held or in flight at the same time against the configuration's cap."""
    check = _limit(
        "max_concurrent_listings",
        used=Decimal(len(i.usage.symbols)),
        more=Decimal(1),
        limit=Decimal(i.configuration.parameters.max_concurrent_listings),
        what="listings at the same time",
    )
    return _own_constraint(i, check)


def _own_constraint(i: EntryInputs, check: RiskCheck) -> RiskCheck:
    """The configuration's own constraints can be switched off by its `safety_enabled`; the account's never."""
    if i.configuration.safety_enabled or check.verdict is not CheckVerdict.FAILED:
        return check
    return RiskCheck(
        name=check.name,
        kind=check.kind,
        verdict=CheckVerdict.NOT_ENFORCED,
        limit=check.limit,
        value=check.value,
        code=check.code,
        message=check.message + "; not enforced, because safety_enabled is off",
    )


ENTRY_CHECKS: tuple[Callable[[EntryInputs], RiskCheck], ...] = (
    kill_switch,
    credentials,
    run_active,
    freshness,
    symbol_allowed,
    quote_asset,
    tradable,
    duplicate,
    min_notional,
    price_sanity,
    priceable,
    max_trade,
    max_position,
    asset_exposure,
    global_exposure,
    daily_loss,
    daily_spend,
    orders_per_hour,
    concurrent_listings,
)
"""Every rule of an entry, in the order in which a person would ask. All of them run."""
