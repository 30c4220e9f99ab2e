"""Could we trade this listing? Judged before its second, from what is known until then.

A verdict informs people; the checks at the opening decide. What the venue has not told yet makes a listing uncertain,
never ineligible: before an opening, "not open to the API" may only mean that nobody trades yet (observed behaviour).
"""

from datetime import datetime

from signalbox.domain.configuration import BotConfiguration, OrderStyle, symbol_matches
from signalbox.domain.instruments import LONGEST_SYMBOL, Instrument, InstrumentStatus, TradableSymbols, is_symbol
from signalbox.domain.listings import Eligibility, EligibilityReason, EligibilityVerdict, UpcomingListing
from signalbox.domain.money import plain

_NOT_LISTED = "the venue's market list does not have it yet"


def judge(
    listing: UpcomingListing,
    instrument: Instrument | None,
    configuration: BotConfiguration,
    tradable: TradableSymbols,
    now: datetime,
) -> EligibilityVerdict:
    """Look at every fact that an entry depends on. `now` is the venue's time; the same facts give the same verdict."""
    reasons = (
        _symbol(listing.symbol),
        _symbol_allowed(listing.symbol, configuration),
        _quote_asset(listing.symbol, instrument, configuration),
        _status(listing, instrument, now),
        _api_tradable(listing, instrument, tradable, now),
        _key_pairs(listing.symbol, tradable),
        _market_orders(instrument, configuration),
        _min_notional(instrument, configuration),
    )
    answers = {reason.ok for reason in reasons}
    if False in answers:
        outcome = Eligibility.INELIGIBLE
    else:
        outcome = Eligibility.UNCERTAIN if None in answers else Eligibility.ELIGIBLE
    return EligibilityVerdict(outcome=outcome, reasons=reasons)


def _reason(name: str, *, ok: bool | None, value: str | None, limit: str | None, message: str) -> EligibilityReason:
    return EligibilityReason(name=name, ok=ok, value=value, limit=limit, message=message)


def _symbol(symbol: str) -> EligibilityReason:
    ok = is_symbol(symbol)
    message = "any letters and punctuation, no spaces" if ok else "no symbol that could be traded"
    return _reason("symbol", ok=ok, value=symbol, limit=f"1 to {LONGEST_SYMBOL} printable characters", message=message)


def _symbol_allowed(symbol: str, configuration: BotConfiguration) -> EligibilityReason:
    """The same rule as at the opening: one of the configured patterns, and none of the denied ones."""
    allow, deny = configuration.symbols, configuration.parameters.deny_symbols
    denied, matched = symbol_matches(symbol, deny), symbol_matches(symbol, allow)
    text = f"denied by {denied}" if denied else f"matches {matched}" if matched else "matches no allowed pattern"
    limit = " ".join((*allow, *(f"!{pattern}" for pattern in deny)))
    ok = matched is not None and denied is None
    return _reason("symbol_allowed", ok=ok, value=symbol, limit=limit, message=text)


def _quote_asset(symbol: str, instrument: Instrument | None, configuration: BotConfiguration) -> EligibilityReason:
    """The calendar does not tell the quote asset: until the market list does, it is an assumption."""
    allowed = configuration.parameters.quote_assets
    limit = " ".join(allowed)
    if instrument is not None:
        ok = instrument.quote in allowed
        return _reason(
            "quote_asset", ok=ok, value=instrument.quote, limit=limit, message=f"priced in {instrument.quote}"
        )
    assumed = next((asset for asset in allowed if symbol.endswith(asset)), None)
    message = f"{_NOT_LISTED}; {assumed} is assumed" if assumed else _NOT_LISTED
    return _reason("quote_asset", ok=None, value=assumed, limit=limit, message=message)


def _status(listing: UpcomingListing, instrument: Instrument | None, now: datetime) -> EligibilityReason:
    name, limit = "status", "announced or trading"
    if instrument is None:
        return _reason(name, ok=None, value=None, limit=limit, message=_NOT_LISTED)
    status = instrument.status
    if status in (InstrumentStatus.ANNOUNCED, InstrumentStatus.TRADING):
        return _reason(name, ok=True, value=status, limit=limit, message=status)
    if status is InstrumentStatus.PAUSED or now < listing.opens_at:
        return _reason(name, ok=None, value=status, limit=limit, message=f"{status} at present; it may still open")
    return _reason(name, ok=False, value=status, limit=limit, message=f"{status} after its opening")


def _api_tradable(
    listing: UpcomingListing, instrument: Instrument | None, tradable: TradableSymbols, now: datetime
) -> EligibilityReason:
    """Two witnesses: the market's own flag, and the list of pairs that are open to any key."""
    name, limit = "api_tradable", "open to API trading"
    is_listed = None if tradable.default is None else listing.symbol in tradable.default
    if instrument is None:
        known = "the list of API pairs has it" if is_listed else _NOT_LISTED
        return _reason(name, ok=True if is_listed else None, value=None, limit=limit, message=known)
    value = f"{'open' if instrument.api_flag else 'closed'} at present"
    has_opened = now >= listing.opens_at
    if instrument.api_flag and instrument.api_tradable:
        gap = "; the list of API pairs does not have it" if has_opened and is_listed is False else ""
        return _reason(name, ok=True, value=value, limit=limit, message=f"open to API trading{gap}")
    if is_listed:
        message = "the market list says closed, the list of API pairs says open"
        return _reason(name, ok=None, value=value, limit=limit, message=message)
    if not has_opened:
        message = "closed to API trading before its opening; that may change with it"
        return _reason(name, ok=None, value=value, limit=limit, message=message)
    message = "closed to API trading: at most the venue's website trades it"
    return _reason(name, ok=False, value=value, limit=limit, message=message)


def _key_pairs(symbol: str, tradable: TradableSymbols) -> EligibilityReason:
    """A key that is bound to a list of pairs can never buy a new one."""
    name, limit = "key_pairs", "the key is not bound to other pairs"
    if not tradable.has_key:
        return _reason(name, ok=True, value=None, limit=limit, message="simulation needs no key")
    own = tradable.own or frozenset()
    if symbol in own:
        return _reason(name, ok=True, value=f"{len(own)} pairs", limit=limit, message="the key may trade it")
    if tradable.is_bound is None:
        return _reason(name, ok=None, value=None, limit=limit, message="the key's pairs are not known")
    if not tradable.is_bound:
        return _reason(name, ok=True, value=f"{len(own)} pairs", limit=limit, message="the key is not bound to pairs")
    message = f"the API key is bound to {len(own)} other pairs: unbind it in the exchange's API management"
    return _reason(name, ok=False, value=f"{len(own)} pairs", limit=limit, message=message)


def _market_orders(instrument: Instrument | None, configuration: BotConfiguration) -> EligibilityReason:
    """What the order style needs. Only the style market cannot do without market orders."""
    name, style = "market_orders", configuration.parameters.order_style
    if style is OrderStyle.IOC_LIMIT:
        return _reason(name, ok=True, value=None, limit=None, message="not needed: it is bought with a limit order")
    if instrument is None:
        ok = None if style is OrderStyle.MARKET else True
        return _reason(name, ok=ok, value=None, limit="on", message=_NOT_LISTED)
    value = "on" if instrument.market_orders else "off"
    if instrument.market_orders:
        return _reason(name, ok=True, value=value, limit="on", message="market orders are on")
    if style is OrderStyle.MARKET_THEN_IOC:
        message = "market orders are off: it is going to be bought with a limit order"
        return _reason(name, ok=True, value=value, limit="on", message=message)
    message = f"market orders are off, and the order style is {style}: choose {OrderStyle.MARKET_THEN_IOC}"
    return _reason(name, ok=False, value=value, limit="on", message=message)


def _min_notional(instrument: Instrument | None, configuration: BotConfiguration) -> EligibilityReason:
    """The order must reach the venue's minimum for the kind of order that will be sent."""
    spend = plain(configuration.quote_amount)
    if instrument is None:
        return _reason("min_notional", ok=None, value=spend, limit=None, message=_NOT_LISTED)
    style = configuration.parameters.order_style
    by_limit = style is OrderStyle.IOC_LIMIT or not instrument.market_orders
    least = instrument.min_notional if by_limit else instrument.min_notional_market
    ok = configuration.quote_amount >= least
    message = f"the venue's minimum is {plain(least)} {instrument.quote}"
    return _reason("min_notional", ok=ok, value=spend, limit=plain(least), message=message)
