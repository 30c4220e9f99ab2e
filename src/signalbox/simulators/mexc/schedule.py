"""A seeded schedule of listings: announced, moved, cancelled, late, never open to the API, or a surprise."""

import random
from decimal import Decimal

from signalbox.simulators.market import Seeds
from signalbox.simulators.mexc.options import ListingOptions, ScheduleOptions

_ODD_NAMES = ("小龙", "狗头", "ROCK(ET)", "8")
_SYLLABLES = ("ZE", "KO", "MI", "RU", "TA", "VEX", "LUM", "ORB", "NYX", "PLO")


def seeded_listings(seeds: Seeds, options: ScheduleOptions) -> list[ListingOptions]:
    """The listings of one seed, in the order of their planned openings; times count from the start."""
    rng = seeds.source("schedule")
    names: set[str] = set()
    listings = []
    for number in range(options.count):
        name = _name(rng, names)
        jitter = rng.randrange(max(1, options.every_ms // 2))
        open_in_ms = options.first_in_ms + number * options.every_ms + jitter
        listings.append(_listing(rng, options, f"{name}USDT", open_in_ms))
    return sorted(listings, key=lambda listing: listing.open_in_ms)


def _listing(rng: random.Random, options: ScheduleOptions, symbol: str, open_in_ms: int) -> ListingOptions:
    price = Decimal(rng.randint(100, 99_999)).scaleb(-rng.randint(3, 7))
    surprise = _chance(rng, options.surprise_percent)
    moved = _chance(rng, options.move_percent)
    cancelled = _chance(rng, options.cancel_percent)
    late = _chance(rng, options.late_percent)
    hidden = _chance(rng, options.hidden_percent)
    never = _chance(rng, options.never_tradable_percent)
    late_ms, status_late_ms = rng.randrange(2_000), rng.randrange(60_000)
    shift_ms = rng.choice((-5_000, 15_000, 30_000, 120_000, 600_000))
    announce_in_ms = max(0, open_in_ms - options.announce_ahead_ms)
    middle = (announce_in_ms + open_in_ms) // 2
    moves: tuple[tuple[int, int | None], ...] = ()
    if not surprise and cancelled:
        moves = ((middle, None),)
    elif not surprise and moved:
        moves = ((middle, max(open_in_ms + shift_ms, middle)),)
    return ListingOptions(
        symbol=symbol,
        price=price,
        open_in_ms=open_in_ms,
        announced=not surprise,
        announce_in_ms=announce_in_ms,
        visible_before_open=not hidden,
        late_ms=late_ms if late else 0,
        status_late_ms=status_late_ms if late else 0,
        api_tradable=not never,
        moves=moves,
    )


def _chance(rng: random.Random, percent: int) -> bool:
    return rng.randrange(100) < percent


def _name(rng: random.Random, taken: set[str]) -> str:
    while True:
        if _chance(rng, 8):
            name = rng.choice(_ODD_NAMES)
        else:
            name = "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(1, 3)))
        if name in taken:
            name += str(rng.randint(2, 999))
        if name not in taken:
            taken.add(name)
            return name
