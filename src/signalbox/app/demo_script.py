"""What happens in a demonstration: the bot's configuration, and the listings of its simulated exchange."""

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from signalbox.control.configurations import NewConfiguration
from signalbox.domain.configuration import ListingSniperParameters
from signalbox.domain.orders import Mode
from signalbox.domain.positions import ExitPlan


class PlannedListing(Struct, frozen=True, kw_only=True):
    """A listing that the demo lets happen. `announced` ones stand in the calendar first."""

    symbol: str
    price: Decimal
    open_in_ms: int
    announced: bool = True
    late_ms: int = 0
    path: str = "spike"
    depth_notional: Decimal = Decimal(400)


def demo_configuration() -> NewConfiguration:
    """Quick polls, a take-profit that a listing's first rise reaches, a trailing stop for one that turns before, and a
    short time limit."""
    return NewConfiguration(
        name="demo",
        mode=Mode.LIVE,
        quote_amount=Decimal(120),
        max_trades_per_hour=100,
        max_daily_spend=Decimal(20_000),
        parameters=ListingSniperParameters(
            calendar_interval_s=Decimal(1),
            ticker_interval_s=Decimal("0.5"),
            exit_plan=ExitPlan(
                take_profit=Decimal("0.08"),
                stop_loss=Decimal("0.25"),
                trailing_stop=Decimal("0.05"),
                trailing_activation=Decimal("0.04"),
                time_limit_s=Decimal(20),
            ),
        ),
    )


_SYLLABLES: Final = ("NO", "VA", "LU", "MEN", "ZE", "RI", "KO", "TA", "PI", "XO", "QUA", "SOL")


def listing_script(rng: random.Random) -> Iterator[PlannedListing]:
    """What happens, in order: announced with a thin book, a surprise, one that opens late, one that goes nowhere."""
    names: set[str] = set()
    kinds: list[dict[str, Any]] = [
        {"open_in_ms": 5_000, "depth_notional": Decimal(90)},
        {"open_in_ms": 0, "announced": False},
        {"open_in_ms": 8_000, "late_ms": 900},
        {"open_in_ms": 6_000, "path": "flat"},
    ]
    while True:
        for kind in kinds:
            name = "".join(rng.sample(_SYLLABLES, 2))
            while name in names:
                name += str(rng.randrange(10))
            names.add(name)
            price = Decimal(rng.randint(1_000, 9_999)).scaleb(-rng.randint(3, 6))
            yield PlannedListing(symbol=f"{name}USDT", price=price, **kind)
