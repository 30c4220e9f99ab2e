"""The rules of an entry. Each is a question with a yes or no, and a description of what it saw.

The question is all that an order waits for, and what concerns the account alone can be asked ahead. The description,
made of the same inputs, is composed for the record: at once when an entry is refused, after the send when it is not.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct

from signalbox.domain.configuration import begins_with_limit, symbol_matches
from signalbox.domain.instruments import InstrumentStatus
from signalbox.domain.money import ONE, ZERO, plain, plus, total
from signalbox.domain.order_shapes import first_shape
from signalbox.domain.orders import Mode
from signalbox.domain.risk.checks import CheckKind, CheckVerdict, EntryInputs, RiskCheck, SkipCode


class Told(NamedTuple):
    """What a person reads: the limit, the value it was compared with, and a sentence."""

    limit: str | None
    value: str | None
    message: str


class EntryRule(Struct, frozen=True):
    """One rule. `holds`: True, False, or None where the rule has nothing to say.

    `own`: a constraint of the configuration, which its `safety_enabled` switches off; the account's never are.
    """

    name: str
    code: SkipCode
    holds: Callable[[EntryInputs], bool | None]
    tell: Callable[[EntryInputs], Told]
    own: bool = False

    def __call__(self, i: EntryInputs) -> RiskCheck:
        """The check as it is recorded."""
        ok = self.holds(i)
        verdict = CheckVerdict.NOT_APPLICABLE if ok is None else CheckVerdict.PASSED if ok else CheckVerdict.FAILED
        limit, value, message = self.tell(i)
        if verdict is CheckVerdict.FAILED and self.own and not i.configuration.safety_enabled:
            verdict, message = CheckVerdict.NOT_ENFORCED, message + "; not enforced, because safety_enabled is off"
        kind = CheckKind.LIMIT if self.code is SkipCode.SAFETY_CONSTRAINT else CheckKind.ELIGIBILITY
        return RiskCheck(
            name=self.name, kind=kind, verdict=verdict, limit=limit, value=value, code=self.code, message=message
        )


def _rule(
    name: str, code: SkipCode, holds: Callable[[EntryInputs], bool | None]
) -> Callable[[Callable[[EntryInputs], Told]], EntryRule]:
    """Make the description below it a rule."""

    def made(tell: Callable[[EntryInputs], Told]) -> EntryRule:
        return EntryRule(name, code, holds, tell)

    return made


class _Amounts(NamedTuple):
    """What is used already, what the entry asks for, and the limit for both (None: unlimited)."""

    used: Decimal
    more: Decimal
    limit: Decimal | None


def _limit(
    name: str,
    what: str | Callable[[EntryInputs], str],
    amounts: Callable[[EntryInputs], _Amounts],
    *,
    own: bool = False,
) -> EntryRule:
    """A rule by which used + more ≤ limit."""

    def holds(i: EntryInputs) -> bool | None:
        used, more, limit = amounts(i)
        return None if limit is None else plus(used, more) <= limit

    def tell(i: EntryInputs) -> Told:
        used, more, limit = amounts(i)
        subject = what if isinstance(what, str) else what(i)
        message = f"{subject}: {plain(used)} used + {plain(more)} asked"
        bound = None if limit is None else plain(limit)
        return Told(bound, plain(plus(used, more)), message + (f" of {bound}" if bound else ", no limit set"))

    return EntryRule(name, SkipCode.SAFETY_CONSTRAINT, holds, tell, own)


@_rule("kill_switch", SkipCode.SAFETY_CONSTRAINT, lambda i: not i.kill_switch)
def kill_switch(i: EntryInputs) -> Told:
    """No entry while the kill switch is on."""
    state = "on" if i.kill_switch else "off"
    return Told("off", state, f"the kill switch is {state}")


@_rule(
    "credentials",
    SkipCode.SAFETY_CONSTRAINT,
    lambda i: None if i.mode is Mode.SIMULATION else not i.credentials_refused,
)
def credentials(i: EntryInputs) -> Told:
    """No live entry while the venue refuses the account's credentials."""
    state = "refused" if i.credentials_refused else "not refused"
    simulated = i.mode is Mode.SIMULATION
    return Told("not refused", state, "simulation signs nothing" if simulated else f"the venue's word on them: {state}")


@_rule("run_active", SkipCode.RUN_NOT_ACTIVE, lambda i: i.run_active)
def run_active(i: EntryInputs) -> Told:
    """Entries only while the run is running: none after a stop was asked for."""
    value = "running" if i.run_active else "not running"
    return Told("running", value, f"the run is {value}")


@_rule("freshness", SkipCode.STALE, lambda i: i.now <= i.signal.freshness_deadline)
def freshness(i: EntryInputs) -> Told:
    """The signal must not be older than its freshness deadline."""
    late_ms = (i.now - i.signal.freshness_deadline).total_seconds() * 1000
    side = "after" if late_ms > 0 else "before"
    message = f"{abs(late_ms):.0f} ms {side} the freshness deadline"
    return Told(i.signal.freshness_deadline.isoformat(), i.now.isoformat(), message)


def _symbol_is_allowed(i: EntryInputs) -> bool:
    symbol, configuration = i.signal.symbol, i.configuration
    matched = symbol_matches(symbol, configuration.symbols)
    return matched is not None and symbol_matches(symbol, configuration.parameters.deny_symbols) is None


@_rule("symbol_allowed", SkipCode.SYMBOL_NOT_ALLOWED, _symbol_is_allowed)
def symbol_allowed(i: EntryInputs) -> Told:
    """The symbol must match one of the configuration's pairs or patterns, and none of the denied ones."""
    allow, deny = i.configuration.symbols, i.configuration.parameters.deny_symbols
    denied = symbol_matches(i.signal.symbol, deny)
    matched = symbol_matches(i.signal.symbol, allow)
    text = f"denied by {denied}" if denied else f"matches {matched}" if matched else "matches no allowed pattern"
    limit = " ".join((*allow, *(f"!{pattern}" for pattern in deny)))
    return Told(limit, i.signal.symbol, f"{i.signal.symbol} {text}")


def _quote(i: EntryInputs) -> str | None:
    """The asset that the pair is priced in: as the venue says, else by its spelling."""
    if i.instrument is not None and i.instrument.quote:
        return i.instrument.quote
    return _quote_in_symbol(i)


def _quote_in_symbol(i: EntryInputs) -> str | None:
    symbol = i.signal.symbol
    return next((asset for asset in i.configuration.parameters.quote_assets if symbol.endswith(asset)), None)


@_rule("quote_asset", SkipCode.QUOTE_NOT_ALLOWED, lambda i: _quote(i) in i.configuration.parameters.quote_assets)
def quote_asset(i: EntryInputs) -> Told:
    """The pair must be priced in one of the configured quote assets (limits are counted in it)."""
    value = _quote(i)
    allowed = " ".join(i.configuration.parameters.quote_assets)
    return Told(allowed, value, f"priced in {value or 'an asset that is not allowed'}")


def _is_tradable(i: EntryInputs) -> bool | None:
    market = i.instrument
    return None if market is None else market.api_tradable and market.status is not InstrumentStatus.OFFLINE


@_rule("tradable", SkipCode.NOT_TRADABLE, _is_tradable)
def tradable(i: EntryInputs) -> Told:
    """What the venue has told us of the market must not rule it out. A market that is not known yet passes."""
    if i.instrument is None:
        return Told("open to API trading", None, "the venue's market list does not have it yet; the venue decides")
    value = f"{i.instrument.status}, {'open' if i.instrument.api_tradable else 'closed'} to API trading"
    return Told("open to API trading", value, value)


@_rule("duplicate", SkipCode.DUPLICATE, lambda i: i.signal.symbol not in i.usage.symbols)
def duplicate(i: EntryInputs) -> Told:
    """One entry per symbol at a time: none while it is held or an order is in flight."""
    held = i.signal.symbol in i.usage.symbols
    message = "already held or in flight" if held else "neither held nor in flight"
    return Told("none open", "open" if held else "none open", message)


def _least(i: EntryInputs) -> Decimal | None:
    """The venue's minimum for the first order, None while it is not known."""
    if i.instrument is None:
        return None
    by_limit = begins_with_limit(i.configuration.parameters)
    return i.instrument.min_notional if by_limit else i.instrument.min_notional_market


def _reaches_the_minimum(i: EntryInputs) -> bool | None:
    least = _least(i)
    return None if least is None else i.configuration.quote_amount >= least


@_rule("min_notional", SkipCode.BELOW_MIN_NOTIONAL, _reaches_the_minimum)
def min_notional(i: EntryInputs) -> Told:
    """The order must reach the venue's minimum, when it is known."""
    least, spend = _least(i), plain(i.configuration.quote_amount)
    if least is None:
        return Told(None, spend, "the venue's minimum is not known yet")
    return Told(plain(least), spend, f"minimum {plain(least)}")


def _price_is_sane(i: EntryInputs) -> bool | None:
    most, price = i.configuration.parameters.max_price, i.reference_price
    return None if most is None or price is None else price <= most


@_rule("price_sanity", SkipCode.PRICE_TOO_HIGH, _price_is_sane)
def price_sanity(i: EntryInputs) -> Told:
    """The reference price must not be above the configuration's highest price."""
    most, price = i.configuration.parameters.max_price, i.reference_price
    value = None if price is None else plain(price)
    if most is None:
        return Told(None, value, "no highest price is configured")
    return Told(plain(most), value, f"highest price {plain(most)}")


def _can_be_priced(i: EntryInputs) -> bool | None:
    if not begins_with_limit(i.configuration.parameters):
        return None
    return first_shape(i.configuration, instrument=i.instrument, price=i.reference_price) is not None


@_rule("priceable", SkipCode.NO_PRICE, _can_be_priced)
def priceable(i: EntryInputs) -> Told:
    """A limit entry needs the market's price and lot rules, a price to start from, and a size above zero."""
    shape = first_shape(i.configuration, instrument=i.instrument, price=i.reference_price)
    found = None
    if shape and shape.quantity and shape.limit_price:
        found = f"{plain(shape.quantity)} at {plain(shape.limit_price)}"
    needed = begins_with_limit(i.configuration.parameters)
    message = found or "no price or market rules to size it with" if needed else "not needed for a market order"
    return Told("a limit price and a quantity", found, message)


def _trade(i: EntryInputs) -> _Amounts:
    return _Amounts(ZERO, i.configuration.quote_amount, i.settings.max_trade_usdt)


max_trade = _limit("max_trade_usdt", "spend of one order", _trade)
"""One order may not spend more than the account allows."""


def _position(i: EntryInputs) -> _Amounts:
    used = i.usage.exposure_by_symbol.get(i.signal.symbol, ZERO)
    return _Amounts(used, i.amount, i.settings.max_position_usdt)


max_position = _limit("max_position_usdt", "size of the position", _position)
"""A position, with what is reserved for it, may not grow above the account's bound."""


def _base(i: EntryInputs) -> str:
    """The asset that would be bought."""
    return i.instrument.base if i.instrument else i.signal.symbol.removesuffix(_quote_in_symbol(i) or "")


def _asset(i: EntryInputs) -> _Amounts:
    caps = i.settings.asset_exposure_caps
    base, held = _base(i), i.usage.exposure_by_symbol
    pairs = {i.signal.symbol, *(base + quote for quote in i.configuration.parameters.quote_assets)}
    return _Amounts(total(held[symbol] for symbol in pairs if symbol in held), i.amount, caps.get(base))


asset_exposure = _limit("asset_exposure_cap", lambda i: f"exposure to {_base(i)}", _asset)
"""Exposure to one base asset, over all pairs of it in the configured quote assets, against its own cap."""


def _account(i: EntryInputs) -> _Amounts:
    return _Amounts(i.usage.exposure, i.amount, i.settings.global_exposure_cap)


global_exposure = _limit("global_exposure_cap", "exposure of the account", _account)
"""Exposure over all positions and reservations of the account."""


def _loss(i: EntryInputs) -> Decimal:
    """Today's booked loss, zero or more."""
    return max(ZERO, i.usage.realised_today.copy_negate())


def _loss_is_bearable(i: EntryInputs) -> bool | None:
    limit, loss = i.settings.daily_loss_limit, _loss(i)
    return None if limit is None else loss < limit or limit == loss == ZERO


@_rule("daily_loss_limit", SkipCode.SAFETY_CONSTRAINT, _loss_is_bearable)
def daily_loss(i: EntryInputs) -> Told:
    """Entries stop when today's (UTC) booked loss has reached the limit."""
    limit, loss = i.settings.daily_loss_limit, plain(_loss(i))
    return Told(None if limit is None else plain(limit), loss, f"booked loss today (UTC): {loss}")


def _spend(i: EntryInputs) -> _Amounts:
    return _Amounts(i.usage.spent_today, i.amount, i.configuration.max_daily_spend)


daily_spend = _limit("max_daily_spend", "spend today (UTC)", _spend, own=True)
"""What was spent and is reserved today (UTC) against the configuration's cap."""


def _trades(i: EntryInputs) -> _Amounts:
    return _Amounts(Decimal(i.usage.orders_last_hour), ONE, Decimal(i.configuration.max_trades_per_hour))


orders_per_hour = _limit("max_trades_per_hour", "trades in the last hour", _trades, own=True)
"""Entries of the last 60 minutes against the configuration's cap."""


def _listings(i: EntryInputs) -> _Amounts:
    most = i.configuration.parameters.max_concurrent_listings
    return _Amounts(Decimal(len(i.usage.symbols)), ONE, Decimal(most))


concurrent_listings = _limit("max_concurrent_listings", "listings at the same time", _listings, own=True)
"""Listings held or in flight at the same time against the configuration's cap."""


ENTRY_CHECKS: tuple[EntryRule, ...] = (
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
"""Every rule of an entry, in the order in which a person would ask. All of them are recorded."""


_OF_ACCOUNT = (
    kill_switch,
    credentials,
    run_active,
    max_trade,
    global_exposure,
    daily_loss,
    daily_spend,
    orders_per_hour,
    concurrent_listings,
)
_OF_LISTING = tuple(rule for rule in ENTRY_CHECKS if rule not in _OF_ACCOUNT)


def described(i: EntryInputs) -> tuple[RiskCheck, ...]:
    """Every check of an entry, as it is recorded."""
    return tuple(rule(i) for rule in ENTRY_CHECKS)


def account_agrees(i: EntryInputs) -> bool:
    """Whether none of the rules stops the entry that look at the account alone, whatever is listed and when."""
    return not _stopped(i, _OF_ACCOUNT)


def listing_agrees(i: EntryInputs) -> bool:
    """Whether none of the others does. When both agree, no check would be recorded as failed."""
    return not _stopped(i, _OF_LISTING)


def _stopped(i: EntryInputs, rules: tuple[EntryRule, ...]) -> bool:
    return any(rule.holds(i) is False and (i.configuration.safety_enabled or not rule.own) for rule in rules)
