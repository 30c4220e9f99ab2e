"""What exit rules need after a restart: what was bought, and the highest bid since."""

import asyncio
from decimal import Decimal

from msgspec import structs
from tests.integration.ledger.conftest import Connection
from tests.integration.ledger.test_outcomes import committed, evidence, fill, filled, position_of
from tests.integration.ledger.world import ACCOUNT, NOW, exit_of

from signalbox.domain.decisions import Cause, IntentResult
from signalbox.domain.orders import Order
from signalbox.domain.positions import ExitPlan, ExitRule, Position
from signalbox.ledger import migrate
from signalbox.ledger.engine_ledger import EngineLedger


def _position(of: Order, **fields: object) -> Position:
    return position_of(of, exit_plan=ExitPlan(trailing_stop=Decimal("0.1")), bought=Decimal(16), **fields)


async def _finish(ledger: EngineLedger, of: Order, position: Position, *, fee_asset: str = "USDT") -> None:
    await ledger.record_result(
        of,
        evidence=evidence(),
        fills=[structs.replace(fill(number), fee_asset=fee_asset) for number in (1, 2)],
        result=filled(),
        position=position,
        spent=Decimal("20.02"),
        fill_model="book-walk-1",
    )


async def _open(ledger: EngineLedger) -> Position:
    (found,) = await ledger.open_positions(ACCOUNT)
    return found


async def test_a_position_is_read_back_with_its_plan_and_progress(ledger: EngineLedger) -> None:
    _, bought = await committed(ledger)
    position = _position(bought, highest_bid=Decimal("1.5"))
    await _finish(ledger, bought, position)
    assert await _open(ledger) == position


async def test_the_highest_bid_only_rises(ledger: EngineLedger, sql: Connection) -> None:
    _, bought = await committed(ledger)
    position = _position(bought)
    await _finish(ledger, bought, position)
    for bid, highest in (("1.4", "1.4"), ("1.3", "1.4"), ("1.6", "1.6"), ("1.6", "1.6")):
        await ledger.record_highest_bid(position.id, Decimal(bid))
        assert (await _open(ledger)).highest_bid == Decimal(highest)
    await sql.execute("UPDATE positions SET status = 'closed', closed_at = now()")
    await ledger.record_highest_bid(position.id, Decimal(9))
    assert await sql.fetchval("SELECT highest_bid FROM positions") == Decimal("1.6")


async def test_a_stop_that_fired_is_read_from_the_decision_that_was_to_sell(ledger: EngineLedger) -> None:
    _, bought = await committed(ledger)
    position = _position(bought)
    await _finish(ledger, bought, position)
    assert (await _open(ledger)).fired_stop is None
    for rule, fired in (
        (ExitRule.TAKE_PROFIT, None),
        (ExitRule.STOP_LOSS, ExitRule.STOP_LOSS),
        (ExitRule.FLATTEN, ExitRule.STOP_LOSS),
    ):
        intent = exit_of(position.id, position.symbol)
        decision = structs.replace(intent.decision, cause=Cause(exit_rule=rule, position_id=position.id))
        assert await ledger.commit(structs.replace(intent, decision=decision)) is IntentResult.INSERTED
        assert intent.order is not None
        await ledger.record_unsent(intent.order, at=NOW, code="STALE", reason="a test")
        assert (await _open(ledger)).fired_stop is fired
        history = await ledger.position_history(position.id)
        assert history is not None
        assert history.position.fired_stop is fired


async def test_an_older_state_of_a_position_does_not_lower_its_highest_bid(
    ledger: EngineLedger, sql: Connection
) -> None:
    _, bought = await committed(ledger)
    position = _position(bought)
    await _finish(ledger, bought, position)
    await ledger.record_highest_bid(position.id, Decimal("1.6"))
    _, again = await committed(ledger, "BETAUSDT")  # any later result that carries the position as it was before
    await ledger.record_result(
        again,
        evidence=evidence(),
        fills=[fill(3)],
        result=filled(),
        position=structs.replace(position, highest_bid=Decimal("1.5")),
        spent=None,
        fill_model="book-walk-1",
    )
    assert await sql.fetchval("SELECT highest_bid FROM positions") == Decimal("1.6")


async def test_older_positions_learn_from_their_fills_what_they_bought(
    ledger: EngineLedger, sql: Connection, world_url: str
) -> None:
    _, first = await committed(ledger)
    await _finish(ledger, first, _position(first))
    _, second = await committed(ledger, "BETAUSDT")
    await ledger.record_result(
        second,
        evidence=evidence(),
        fills=[structs.replace(fill(4, symbol="BETAUSDT"), fee_asset="BETA")],
        result=filled(),
        position=_position(second, quantity=Decimal("7.99")),
        spent=None,
        fill_model="book-walk-1",
    )
    await sql.execute("UPDATE positions SET quantity = 4 WHERE symbol = 'ALPHAUSDT'")  # the rest was sold
    await asyncio.to_thread(migrate.downgrade, world_url, "0007")
    await asyncio.to_thread(migrate.upgrade, world_url)
    rows = await sql.fetch("SELECT symbol, bought, highest_bid FROM positions ORDER BY symbol")
    assert [tuple(row) for row in rows] == [
        ("ALPHAUSDT", Decimal(16), None),
        ("BETAUSDT", Decimal("7.99"), None),
    ]
