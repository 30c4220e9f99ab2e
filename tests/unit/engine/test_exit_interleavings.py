"""Random prices, answers and faults: nothing is sold twice, decisions can be replayed, and in the end it is sold."""

import asyncio
import random
from decimal import Decimal

import pytest
from tests.unit.domain.examples import levels
from tests.unit.engine.fake_ledger import Fault
from tests.unit.engine.fakes import Answer, accepted, refused, unknown
from tests.unit.engine.holding import Held, holding
from tests.unit.engine.virtual_time import virtual_time

from signalbox.domain.errors import VenueUnavailable
from signalbox.domain.orders import Mode, RefusalKind
from signalbox.domain.positions import ExitPlan

PLAN = ExitPlan(
    take_profit_levels=levels(("0.1", "0.4"), ("0.3", "0.3")),
    stop_loss=Decimal("0.2"),
    trailing_stop=Decimal("0.15"),
    trailing_activation=Decimal("0.1"),
    time_limit_s=Decimal(120),
)
_WRITES = ("commit", "lookup", "record_submission", "record_result", "record_unsent", "record_highest_bid")


def _answer(rng: random.Random) -> Answer:
    part = str(rng.choice((0, 0, "0.3", "0.7", 1)))
    return rng.choice(
        (
            accepted(part),
            accepted(part),
            unknown(taken=True, filled=Decimal(part)),
            unknown(taken=False),
            refused(rng.choice(list(RefusalKind)), retry_after_s=rng.choice((None, 3.0))),
        )
    )


async def _disturb(held: Held, rng: random.Random) -> None:
    """A minute in which anything may happen."""
    bench = held.bench
    for _ in range(60):
        await asyncio.sleep(rng.uniform(0, 2))
        if rng.random() < 0.8:
            held.push(rng.choice((None, str(Decimal(rng.randint(30, 90)) / 100))))
        bench.venue.answers = [_answer(rng) for _ in range(3)]
        bench.market.error = VenueUnavailable("503") if rng.random() < 0.2 else None
        bench.venue.find_error = VenueUnavailable("503") if rng.random() < 0.2 else None
        if rng.random() < 0.2:
            bench.ledger.fail(rng.choice(_WRITES), rng.choice(list(Fault)))
        bench.ledger.away = rng.random() < 0.1


@pytest.mark.parametrize("seed", range(25))
def test_nothing_is_sold_twice_and_in_the_end_everything_is_sold(seed: int) -> None:
    _run(seed)


@virtual_time
async def _run(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - reproducible, nothing secret
    async with holding(PLAN) as held:
        bench = held.bench
        await _disturb(held, rng)
        bench.ledger.away = False
        bench.market.error = bench.venue.find_error = None
        bench.venue.answers = []
        held.push("100")  # whatever is left is enough for the venue now
        bench.exits.flatten()
        await held.closed(300)
        assert bench.venue.holdings() == {}
        assert bench.desk.positions == {}
        assert bench.usage(Mode.SIMULATION).exposure == 0
        assert held.alerts() == {}
