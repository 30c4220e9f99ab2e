"""Turns a listing's script into a pair with its timetable."""

from decimal import Decimal

from signalbox.simulators.market import Seeds
from signalbox.simulators.mexc.established import coin_id
from signalbox.simulators.mexc.instruments import Rules, Timetable
from signalbox.simulators.mexc.options import ListingOptions
from signalbox.simulators.mexc.pairs import Pair, price_process

SIGNIFICANT_DIGITS = 5


def listing_pair(seeds: Seeds, listing: ListingOptions, base_ms: int, step_ms: int) -> Pair:
    """The pair of one listing; its times count from `base_ms`. Raises ValueError for a symbol without its quote."""
    if not listing.symbol.endswith(listing.quote) or listing.symbol == listing.quote:
        raise ValueError(f"symbol {listing.symbol!r} must be a base asset followed by the quote {listing.quote!r}")
    base = listing.symbol.removesuffix(listing.quote)
    rules = Rules(
        symbol=listing.symbol,
        base=base,
        quote=listing.quote,
        full_name=f"{base} Coin",
        coin_id=coin_id(base),
        quantity_scale=listing.quantity_scale,
        price_scale=price_scale(listing.price) if listing.price_scale is None else listing.price_scale,
        min_notional=listing.min_notional,
        percent_price=listing.percent_price,
        maker_rate=listing.maker_rate,
        taker_rate=listing.taker_rate,
        market_band=listing.market_band,
        pre_open_code=listing.pre_open_code,
        open_price=listing.price,
        opening_cap=listing.opening_cap,
        opening_cap_ms=listing.opening_cap_ms,
        buy_only_ms=listing.buy_only_ms,
    )
    return Pair(
        rules,
        _timetable(listing, base_ms),
        price_process(seeds, listing.symbol, listing.price, listing.path, step_ms),
        seeds,
        fresh=True,
        depth_notional=listing.depth_notional,
    )


def price_scale(price: Decimal) -> int:
    """Decimals that give a price about five significant digits: 0.5 -> 5, 0.00012 -> 8."""
    return max(0, SIGNIFICANT_DIGITS - 1 - price.adjusted())


def _timetable(listing: ListingOptions, base_ms: int) -> Timetable:
    published = base_ms + listing.open_in_ms
    opens_at = published + listing.late_ms
    announced_at = base_ms + listing.announce_in_ms
    early = listing.announced and listing.visible_before_open
    return Timetable(
        opens_at_ms=opens_at,
        published_open_ms=published,
        open_time_in_info=listing.publish_first_open_time,
        calendar_from_ms=announced_at if listing.announced else None,
        visible_from_ms=min(announced_at, opens_at) if early else opens_at,
        status_online_at_ms=opens_at + listing.status_late_ms,
        api_from_ms=opens_at + listing.api_tradable_after_ms if listing.api_tradable else None,
        moves=[(base_ms + at, None if new is None else base_ms + new) for at, new in sorted(listing.moves)],
    )
