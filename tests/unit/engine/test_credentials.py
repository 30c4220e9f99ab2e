"""The gate: refused credentials block entries at once, are told once, and open again as soon as they are proven."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from tests.unit.domain import examples
from tests.unit.engine.bench import ACCOUNT, Bench
from tests.unit.engine.fake_ledger import Fault
from tests.unit.engine.fakes import FakeFeed
from tests.unit.engine.virtual_time import virtual_time

from signalbox.domain.decisions import Verdict
from signalbox.domain.errors import ConfigError, CredentialsRefused, VenueUnavailable
from signalbox.domain.orders import Mode, Purpose
from signalbox.domain.ports import OrderVenue
from signalbox.engine.account import AccountVenues
from signalbox.engine.credentials import AGAIN_S, EVERY_S, LOOK_S, CredentialGate
from signalbox.engine.parts import ProvenKeys

REFUSED = CredentialsRefused("700002 the secret does not belong to the API key", code="700002")
LIVE = {"mode": Mode.LIVE, "auto_trade": True}


class FakeKeys:
    """LiveKeys whose secret the test rotates."""

    def __init__(self, orders: OrderVenue) -> None:
        self.orders = orders
        self.error: Exception | None = None
        self.remark: str | None = None
        self.is_changed = False
        self.hangs = False
        self.proofs: list[float] = []
        self.tell: Callable[[str], None] | None = None

    def changed(self) -> bool:
        return self.is_changed

    def when_refused(self, tell: Callable[[str], None]) -> None:
        self.tell = tell

    async def prove(self) -> ProvenKeys:
        self.proofs.append(asyncio.get_running_loop().time())
        self.is_changed = False
        await asyncio.sleep(0.01)
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return ProvenKeys(orders=self.orders, remark=self.remark)


class World:
    """A desk with its gate."""

    def __init__(self, *, live: bool = True, has_orders: bool = True) -> None:
        self.bench = Bench(live=has_orders, **(LIVE if live else {}))
        self.keys = FakeKeys(self.bench.venue)
        orders: dict[Mode, OrderVenue] = {Mode.SIMULATION: self.bench.venue}
        if has_orders:
            orders[Mode.LIVE] = self.bench.venue
        self.venues = AccountVenues(
            market=self.bench.market,
            feed=FakeFeed(self.bench.clock),
            orders=orders,
            live_refusal="no key",
            keys=self.keys,
        )
        self.gate = CredentialGate(
            self.bench.desk, self.bench.ledger, self.venues, clock=self.bench.clock, journal=self.bench.journal
        )

    def refuse(self, reason: str = "700002 signature") -> None:
        """The venue refuses a request."""
        assert self.keys.tell is not None
        self.keys.tell(reason)

    @property
    def blocks(self) -> bool:
        """Whether a live entry would be blocked by the credentials."""
        intent = self.bench.decide(examples.configuration(mode=Mode.LIVE), f"N{len(self.keys.proofs)}USDT")
        if intent.reservation is not None:
            self.bench.desk.end_reservation(Mode.LIVE, intent.decision.id, intent.reservation.amount * 0)
        return intent.decision.verdict is Verdict.SKIP and intent.blocked_limit == "credentials"

    @property
    def validation(self) -> tuple[bool, str | None] | None:
        return self.bench.db.validations.get(ACCOUNT.id)


@asynccontextmanager
async def kept(world: World) -> AsyncIterator[None]:
    """The gate at work."""
    keeping = asyncio.create_task(world.gate.keep())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


@virtual_time
async def test_g4_a_refusal_blocks_entries_at_once_and_is_told_once() -> None:
    world = World()
    intent = world.bench.decide(examples.configuration(mode=Mode.LIVE))
    assert intent.order is not None
    world.refuse()
    assert world.blocks
    world.refuse()
    world.refuse("700006 address")
    assert world.bench.journal.raised == [("credentials", "main")]
    severity, message = world.bench.journal.alerts["credentials", "main"]
    assert severity == "critical"
    assert "700002 signature" in message
    assert "signalbox account validate main" in message
    assert world.bench.journal.states["credentials:main"] == "degraded"


@virtual_time
async def test_g4_orders_on_their_way_to_the_wire_stop_and_exits_do_not() -> None:
    world = World()
    intent = world.bench.decide(examples.configuration(mode=Mode.LIVE))
    assert intent.order is not None
    assert world.bench.desk.refusal(intent.order) is None
    world.refuse()
    assert world.bench.desk.refusal(intent.order) == "credentials"
    exit_order = examples.order(purpose=Purpose.EXIT, mode=Mode.LIVE)
    assert world.bench.desk.refusal(exit_order) is None


@virtual_time
async def test_simulation_does_not_care() -> None:
    world = World(live=False)
    world.refuse()
    intent = world.bench.decide(examples.configuration())
    assert intent.order is not None
    assert world.bench.desk.refusal(intent.order) is None


@virtual_time
async def test_the_refusal_is_written_beside_the_account_also_when_the_ledger_was_away() -> None:
    world = World()
    world.bench.ledger.fail("record_validation", Fault.NOT_DONE)
    async with kept(world):
        world.refuse("700006 address")
        await asyncio.sleep(3 * LOOK_S)
        assert world.validation == (False, "700006 address")


@virtual_time
async def test_asking_proves_at_once_and_opens_the_gate() -> None:
    world = World()
    async with kept(world):
        world.refuse()
        world.gate.ask()
        await asyncio.sleep(0.1)
        assert not world.blocks
        assert world.validation == (True, None)
        assert world.bench.journal.alerts == {}
        assert world.bench.journal.states["credentials:main"] == "running"
        assert world.bench.journal.told("the credentials work again")


@virtual_time
async def test_asking_answers_also_when_they_are_refused_or_cannot_be_checked() -> None:
    world = World()
    async with kept(world):
        world.keys.error = REFUSED
        world.gate.ask()
        await asyncio.sleep(0.1)
        assert world.blocks
        assert world.validation == (False, str(REFUSED))
        world.keys.error = VenueUnavailable("no route")
        world.gate.ask()
        await asyncio.sleep(0.1)
        assert world.blocks
        assert world.validation == (False, "could not be checked: no route")


@virtual_time
async def test_a_check_that_hangs_is_cut_off_and_proves_nothing() -> None:
    world = World()
    async with kept(world):
        world.keys.hangs = True
        world.gate.ask()
        await asyncio.sleep(20)
        assert not world.blocks
        assert world.validation is not None
        assert "could not be checked: no answer within 15 s" in str(world.validation[1])


@virtual_time
async def test_a_changed_secret_is_proven_within_seconds() -> None:
    world = World()
    async with kept(world):
        world.refuse()
        world.keys.is_changed = True
        await asyncio.sleep(LOOK_S + 1)
        assert not world.blocks
        assert len(world.keys.proofs) == 1


@virtual_time
async def test_they_are_proven_now_and_then_and_refused_ones_more_often() -> None:
    world = World()
    async with kept(world):
        await asyncio.sleep(3 * EVERY_S + 10)
        assert len(world.keys.proofs) == 3
        world.keys.error = REFUSED
        world.keys.proofs.clear()
        world.refuse()
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(EVERY_S * 4)
        waits = [b - a for a, b in zip([began, *world.keys.proofs], world.keys.proofs, strict=False)]
        expected = [AGAIN_S, 2 * AGAIN_S, 4 * AGAIN_S, EVERY_S]
        assert waits[:4] == [pytest.approx(wait, abs=2 * LOOK_S) for wait in expected]


@virtual_time
async def test_an_account_that_only_simulates_is_never_asked_about() -> None:
    world = World(live=False)
    async with kept(world):
        world.keys.is_changed = True
        await asyncio.sleep(2 * EVERY_S)
        assert world.keys.proofs == []


@virtual_time
async def test_credentials_that_come_later_make_live_orders_possible() -> None:
    world = World(has_orders=False)
    world.keys.error = ConfigError("Account 'main' has no API secret")
    with pytest.raises(ConfigError, match="no API secret"):
        await world.gate.prove()
    assert world.bench.journal.alerts == {}, "the one who starts a run is told, and nothing else is at stake"
    world.keys.error = None
    await world.gate.prove()
    assert world.venues.orders[Mode.LIVE] is world.bench.venue


@virtual_time
async def test_a_bad_new_secret_is_told_while_the_one_before_still_works() -> None:
    world = World()
    world.keys.remark = "the stored credentials are not used"
    await world.gate.prove()
    assert not world.blocks
    assert world.bench.journal.alerts["credentials", "main"][0] == "warning"
    assert world.validation == (True, "the stored credentials are not used")
    world.keys.remark = None
    await world.gate.prove()
    assert world.bench.journal.alerts == {}
