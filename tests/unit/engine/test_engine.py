"""The life of runs, accounts and engines."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from msgspec import structs
from tests.unit.domain import examples
from tests.unit.engine.bench import ACCOUNT
from tests.unit.engine.fakes import accepted, refused, unknown
from tests.unit.engine.virtual_time import virtual_time
from tests.unit.engine.world import START_LIMIT, STOP_LIMIT, World, world

from signalbox.domain.errors import CredentialsRefused, InvariantError, VenueUnavailable
from signalbox.domain.orders import Mode, OrderStatus, Purpose, RefusalKind
from signalbox.domain.positions import ExitPlan
from signalbox.domain.runs import RunStatus, StopMode
from signalbox.domain.signals import DetectionSource
from signalbox.engine.account import AccountClosed

FILLED, SUBMITTED, FAILED = OrderStatus.FILLED, OrderStatus.SUBMITTED, OrderStatus.FAILED


async def _bought(w: World, symbol: str = "NEWUSDT") -> None:
    filled = w.orders().count(FILLED)
    w.feed.show(symbol)
    await w.until(lambda: w.orders().count(FILLED) == filled + 1 and not w.held)


async def _sent(w: World, symbol: str = "NEWUSDT") -> None:
    """A listing whose order is at the venue."""
    w.venue.arrived.clear()
    w.feed.show(symbol)
    await w.venue.arrived.wait()


@virtual_time
async def test_scenario_1_a_run_starts_within_two_seconds() -> None:
    async with world() as w:
        w.process()
        run_id = w.ask_for_run()
        assert await w.until(lambda: w.status(run_id) is RunStatus.RUNNING) < START_LIMIT
        beat = w.run_row(run_id).last_heartbeat
        await w.until(lambda: w.run_row(run_id).last_heartbeat != beat, within=timedelta(seconds=3))


@virtual_time
async def test_scenario_2_a_listing_is_bought_and_sold_again() -> None:
    async with world() as w:
        w.process()
        await w.running()
        await _bought(w)
        w.market.prices["NEWUSDT"] = Decimal("0.7")
        await w.until(lambda: all(p.closed_at for p in w.db.positions.values()), within=timedelta(seconds=5))
        assert w.orders(Purpose.EXIT) == [FILLED]
        assert w.venue.holdings() == {}


@virtual_time
async def test_scenario_3_the_hourly_limit_blocks_the_next_trade() -> None:
    async with world() as w:
        w.process()
        await w.running(examples.configuration(max_trades_per_hour=1))
        await _bought(w)
        w.feed.show("MOREUSDT")
        await w.until(lambda: OrderStatus.REJECTED in w.orders())
        assert [row.code for row in w.db.orders_of(Purpose.ENTRY)] == [None, "SAFETY_CONSTRAINT"]
        assert len(w.venue.sent) == 1


@virtual_time
async def test_scenario_5_a_run_of_a_crashed_engine_is_failed_with_the_reason_at_the_next_start() -> None:
    async with world() as w:
        first = w.process("one")
        run_id = await w.running()
        await first.kill()
        assert w.status(run_id) is RunStatus.RUNNING
        w.process("two")
        await w.until(lambda: w.status(run_id) is RunStatus.FAILED)
        assert "the engine ended while this run was running" in (w.run_row(run_id).error_message or "")
        again = w.ask_for_run(number=2)
        assert await w.until(lambda: w.status(again) is RunStatus.RUNNING) < START_LIMIT


@virtual_time
async def test_a_start_without_credentials_fails_with_what_is_missing() -> None:
    async with world(mode=Mode.LIVE, auto_trade=True) as w:
        w.process()
        run_id = w.ask_for_run(examples.configuration(mode=Mode.LIVE))
        await w.until(lambda: w.status(run_id) is RunStatus.FAILED, within=START_LIMIT)
        assert "MEXC_API_KEY is missing" in (w.run_row(run_id).error_message or "")
        again = w.ask_for_run(number=2)
        await w.until(lambda: w.status(again) is RunStatus.RUNNING, within=START_LIMIT)


@virtual_time
async def test_a_start_with_refused_credentials_fails_with_the_venues_words() -> None:
    async with world(live=True, mode=Mode.LIVE, auto_trade=True) as w:
        w.venue.credentials_error = CredentialsRefused("signature not valid", code="700002")
        w.process()
        run_id = w.ask_for_run(examples.configuration(mode=Mode.LIVE))
        await w.until(lambda: w.status(run_id) is RunStatus.FAILED, within=START_LIMIT)
        assert "signature not valid" in (w.run_row(run_id).error_message or "")


@virtual_time
async def test_a_start_that_hangs_fails_instead_of_starting_for_ever() -> None:
    async with world() as w:
        w.feed.hangs = True
        w.process()
        run_id = w.ask_for_run()
        await w.until(lambda: w.status(run_id) is RunStatus.FAILED)
        assert "no answer within 15 s" in (w.run_row(run_id).error_message or "")


@virtual_time
async def test_a_run_that_is_stopped_while_it_starts_is_stopped_and_not_failed() -> None:
    async with world() as w:
        w.feed.hangs = True
        process = w.process()
        run_id = w.ask_for_run()
        await w.until(lambda: w.run_row(run_id).last_heartbeat is not None)
        assert await w.stopped(run_id) < STOP_LIMIT
        assert not process.account.desk.run_active


@virtual_time
async def test_a_run_that_is_stopped_in_the_instant_it_becomes_running_is_stopped() -> None:
    async with world() as w:
        process = w.process()
        gate = process.ledger.hold("set_run_status")
        run_id = w.ask_for_run()
        await process.ledger.called["set_run_status"].wait()
        w.db.request_stop(run_id, StopMode.ENTRIES)
        gate.set()
        await w.until(lambda: w.status(run_id) is RunStatus.STOPPED, within=STOP_LIMIT)
        assert not process.account.desk.run_active


@virtual_time
async def test_a_run_is_started_once_however_often_it_is_notified() -> None:
    async with world() as w:
        process = w.process()
        run_id = w.ask_for_run()
        for _ in range(20):
            w.db.notify("runs")
        await w.until(lambda: w.status(run_id) is RunStatus.RUNNING)
        await w.feed.running.wait()
        w.db.notify("runs")
        await asyncio.sleep(5)
        assert process.ledger.calls.count("decided_listings") == 1
        assert w.venues.opened == 1


@pytest.mark.parametrize("mode", StopMode)
@virtual_time
async def test_no_order_leaves_after_a_stop_and_flatten_sells(mode: StopMode) -> None:
    async with world() as w:
        w.process()
        run_id = await w.running()
        await _bought(w)
        assert await w.stopped(run_id, mode) < STOP_LIMIT
        entries = len([o for o in w.venue.sent if o.purpose is Purpose.ENTRY])
        w.feed.show("MOREUSDT")
        await asyncio.sleep(5)
        assert len([o for o in w.venue.sent if o.purpose is Purpose.ENTRY]) == entries == 1
        assert (w.venue.holdings() == {}) == (mode is StopMode.FLATTEN)


@pytest.mark.parametrize("mode", [StopMode.ENTRIES, StopMode.CANCEL])
@virtual_time
async def test_a_stop_is_visible_while_an_orders_outcome_is_unknown(mode: StopMode) -> None:
    async with world() as w:
        w.process()
        run_id = await w.running()
        w.venue.answers = [unknown(taken=True)]
        w.venue.find_error = VenueUnavailable("503")
        w.venue.cancel_hangs = True
        await _sent(w)
        assert await w.stopped(run_id, mode) < STOP_LIMIT
        assert w.orders() == [SUBMITTED]
        assert w.held == Decimal("25.05")
        w.venue.find_error = None
        await w.until(lambda: w.orders() == [FILLED] and not w.held)


@virtual_time
async def test_flatten_also_sells_a_position_that_appears_after_it_began() -> None:
    async with world() as w:
        process = w.process()
        run_id = await w.running()
        w.venue.answers = [unknown(taken=True)]
        w.venue.find_error = VenueUnavailable("503")
        await _sent(w)
        assert await w.stopped(run_id, StopMode.FLATTEN) < STOP_LIMIT
        w.venue.find_error = None
        await w.until(lambda: w.orders(Purpose.EXIT) == [FILLED], within=timedelta(seconds=10))
        assert w.venue.holdings() == {}
        await w.running(number=2)  # and a later run is not flattened
        await _bought(w, "LATERUSDT")
        await asyncio.sleep(10)
        assert list(w.venue.holdings()) == ["LATERUSDT"]
        assert len(process.account.desk.positions) == 1


@virtual_time
async def test_a_flatten_that_cannot_sell_ends_the_stop_and_goes_on_trying() -> None:
    async with world() as w:
        w.process()
        run_id = await w.running()
        await _bought(w)
        w.venue.answers = [refused(RefusalKind.TERMINAL) for _ in range(6)]
        assert await w.stopped(run_id, StopMode.FLATTEN) < timedelta(seconds=35)
        await w.until(lambda: w.told("not flat after 30 s"))
        await w.until(lambda: FILLED in w.orders(Purpose.EXIT))


@pytest.mark.parametrize("switch", ["block", "cancel", "flatten", "freeze"])
@virtual_time
async def test_the_kill_switch_stops_entries_at_once(switch: str) -> None:
    async with world() as w:
        w.process()
        await w.running()
        await _bought(w)
        w.db.set_kill_switch(switch)
        await asyncio.sleep(0.1)
        w.feed.show("MOREUSDT")
        await asyncio.sleep(5)
        assert [row.code for row in w.db.orders_of(Purpose.ENTRY)] == [None, "SAFETY_CONSTRAINT"]
        assert (w.venue.holdings() == {}) == (switch == "flatten")


@virtual_time
async def test_freeze_stops_exits_too_until_it_is_lifted() -> None:
    async with world() as w:
        w.process()
        await w.running()
        await _bought(w)
        w.db.set_kill_switch("freeze")
        w.market.prices["NEWUSDT"] = Decimal(1)
        await asyncio.sleep(20)
        assert w.orders(Purpose.EXIT) == []
        w.db.set_kill_switch(None)
        await w.until(lambda: w.orders(Purpose.EXIT) == [FILLED], within=timedelta(seconds=3))


@virtual_time
async def test_a_kill_switch_that_is_tightened_cancels_what_is_in_flight() -> None:
    async with world() as w:
        w.process()
        await w.running()
        w.venue.answers = [accepted(open_for=timedelta(seconds=60))]
        await _sent(w)
        w.db.set_kill_switch("block")
        await asyncio.sleep(2)
        assert w.venue.cancelled == []
        w.db.set_kill_switch("cancel")
        await asyncio.sleep(2)
        assert [order.symbol for order in w.venue.cancelled] == ["NEWUSDT"]


@virtual_time
async def test_a_kill_switch_whose_notification_was_lost_is_seen_by_the_next_tick() -> None:
    async with world() as w:
        process = w.process()
        await w.running()
        w.db.system = structs.replace(w.db.system, kill_switch=True)
        await asyncio.sleep(1.5)
        assert process.account.desk.kill_switch


@virtual_time
async def test_settings_whose_notification_was_lost_are_taken_over() -> None:
    async with world() as w:
        process = w.process()
        await w.running()
        w.db.settings[ACCOUNT.id] = examples.settings(version=2, max_trade_usdt=Decimal(5))
        await asyncio.sleep(1.5)
        assert process.account.desk.settings.version == 2
        w.feed.show("NEWUSDT")
        await w.until(lambda: w.orders() == [OrderStatus.REJECTED])


@virtual_time
async def test_an_injected_test_listing_is_traded_in_simulation_and_hides_no_real_one() -> None:
    async with world(live=True, mode=Mode.LIVE, auto_trade=True) as w:
        w.process()
        await w.running(examples.configuration(mode=Mode.LIVE))
        injected = w.feed.sighting(
            "NEWUSDT", source=DetectionSource.TEST_INJECTION, listing_time=w.clock.now(), received_ns=0
        )
        w.db.injected.append(injected)
        await w.until(lambda: w.orders() == [FILLED])
        w.feed.show("NEWUSDT", seen_at=w.clock.now() + timedelta(minutes=1))
        await w.until(lambda: w.orders() == [FILLED, FILLED])
        assert [order.mode for order in w.venue.sent] == [Mode.SIMULATION, Mode.LIVE]
        (first, _) = w.db.decisions.values()
        assert first.stages.received_at is not None
        assert first.stages.received_at >= injected.seen_at


@virtual_time
async def test_shutdown_stops_the_runs_and_gives_everything_back() -> None:
    async with world() as w:
        process = w.process()
        run_id = await w.running()
        await process.shut_down()
        assert w.status(run_id) is RunStatus.STOPPED
        assert w.db.owners == {}
        assert w.venue.closed
        assert w.market.closed
        assert w.told("engine stopped")


@pytest.mark.parametrize("moment", ["idle", "order in flight", "stopping", "starting", "opening", "broken"])
@virtual_time
async def test_shutdown_ends_in_bounded_time_while_the_ledger_is_away(moment: str) -> None:
    async with world() as w:
        process = w.process()
        if moment == "opening":
            w.venues.hangs = True
            w.ask_for_run()
            await asyncio.sleep(1)
        elif moment == "starting":
            w.feed.hangs = True
            w.ask_for_run()
            await asyncio.sleep(1)
        else:
            await w.running()
            if moment == "order in flight":
                await _sent(w)
        process.ledger.away = True
        if moment == "stopping":
            (run_id,) = w.db.runs
            w.db.request_stop(run_id, StopMode.ENTRIES)
            process.engine._runs.takes_care_of(w.run_row(run_id))
            await asyncio.sleep(5)
        if moment == "broken":
            process.account._spawn(_break())
            await asyncio.sleep(5)
        began = w.clock.now()
        await process.shut_down()
        assert w.clock.now() - began < timedelta(seconds=20)


async def _break() -> None:
    await asyncio.sleep(0)
    raise ValueError("a fault nobody thought of")


@virtual_time
async def test_a_fault_in_an_account_fails_its_run_and_the_account_is_opened_anew() -> None:
    async with world() as w:
        process = w.process()
        run_id = await w.running()
        await _bought(w)
        broken = process.account
        broken._spawn(_break())
        await w.until(lambda: w.status(run_id) is RunStatus.FAILED)
        assert "a fault nobody thought of" in (w.run_row(run_id).error_message or "")
        await w.running(number=2)
        assert process.account is not broken
        assert [p.symbol for p in process.account.desk.positions.values()] == ["NEWUSDT"]


@virtual_time
async def test_while_a_run_is_live_the_venues_time_is_measured_every_minute() -> None:
    async with world(live=True, mode=Mode.LIVE, auto_trade=True) as w:
        w.process()
        run_id = await w.running(examples.configuration(mode=Mode.LIVE))
        w.venue.warm_error = VenueUnavailable("no connection")
        await w.until(lambda: w.db.health.get("order_connection", ("", {}))[0] == "degraded", timedelta(seconds=62))
        w.venue.warm_error = None
        await w.until(lambda: w.db.health["order_connection"][0] == "running", timedelta(seconds=62))
        assert w.status(run_id) is RunStatus.RUNNING
        gaps = [after - before for before, after in pairwise(w.venue.warmed)]
        assert len(gaps) == 2
        assert max(gaps) < timedelta(seconds=62)


@virtual_time
async def test_what_the_ledger_refuses_in_a_tick_does_not_end_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as w:
        process = w.process()
        run_id = await w.running()

        async def refuse() -> list[Any]:
            raise InvariantError("a stored document is not what it should be")

        with monkeypatch.context() as broken:
            broken.setattr(process.ledger, "accounts_with_open_business", refuse)
            await w.until(lambda: w.db.health["ledger"][0] == "error")
            await _bought(w)
        await w.until(lambda: w.db.health["ledger"][0] == "running")
        assert w.status(run_id) is RunStatus.RUNNING


@virtual_time
async def test_an_account_whose_runs_cannot_be_read_when_it_breaks_does_not_end_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world() as w:
        process = w.process()
        run_id = await w.running()

        async def refuse() -> list[Any]:
            raise InvariantError("a stored run is not what it should be")

        with monkeypatch.context() as broken:
            broken.setattr(process.ledger, "runs_to_act_on", refuse)
            process.account._spawn(_break())
            await w.until(lambda: w.told("could not be ended"))
        await w.until(lambda: w.status(run_id) is RunStatus.FAILED)
        await w.running(number=2)


@virtual_time
async def test_a_run_whose_end_the_ledger_refuses_does_not_end_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as w:
        process = w.process()
        run_id = await w.running()

        async def refuse(*_: Any, **__: Any) -> None:
            raise InvariantError("the ledger refuses this row")

        with monkeypatch.context() as broken:
            broken.setattr(process.ledger, "set_run_status", refuse)
            w.db.request_stop(run_id, StopMode.ENTRIES)
            await w.until(lambda: w.told("the ledger refuses this row"))
        assert not process.task.done()
        w.db.runs.pop(run_id)
        await w.running(number=2)


@virtual_time
async def test_an_account_that_cannot_be_opened_fails_each_start_but_is_told_once() -> None:
    async with world() as w:
        w.process()
        await w.running()
        await _bought(w)
        w.venues.error = VenueUnavailable("no route to host")
        for process in w._processes:
            await process.kill()
        w.process("two")
        await asyncio.sleep(120)
        told = [event for event in w.db.events if "no route to host" in event["message"]]
        assert len([event for event in told if event["message"].startswith("account")]) == 1
        run_id = w.ask_for_run(number=2)
        await w.until(lambda: w.status(run_id) is RunStatus.FAILED, within=timedelta(seconds=5))
        w.venues.error = None
        run_id = w.ask_for_run(number=3)
        await w.until(lambda: w.status(run_id) is RunStatus.RUNNING, within=timedelta(seconds=5))


@virtual_time
async def test_a_second_engine_stands_by_and_takes_over() -> None:
    async with world() as w:
        first = w.process("one")
        run_id = await w.running()
        await _bought(w)
        w.process("two")
        await asyncio.sleep(10)
        assert w.status(run_id) is RunStatus.RUNNING
        assert w.db.owners[ACCOUNT.id] is first.ledger
        await first.kill()
        await w.until(lambda: w.status(run_id) is RunStatus.FAILED, within=timedelta(seconds=10))
        w.market.prices["NEWUSDT"] = Decimal(1)
        await w.until(lambda: w.orders(Purpose.EXIT) == [FILLED])
        assert w.venue.holdings() == {}


@virtual_time
async def test_an_engine_that_lost_its_account_stops_acting_and_does_not_touch_the_new_owners_run() -> None:
    async with world() as w:
        first = w.process("one")
        old = await w.running()
        first.ledger.drop_locks()
        second = w.process("two")
        await w.until(lambda: w.status(old) is RunStatus.FAILED, within=timedelta(seconds=10))
        new = w.ask_for_run(number=2)
        await w.until(lambda: w.status(new) is RunStatus.RUNNING)
        await asyncio.sleep(10)
        assert w.db.owners[ACCOUNT.id] is second.ledger
        await _bought(w)
        await asyncio.sleep(10)
        assert w.status(new) is RunStatus.RUNNING
        assert len(w.venue.sent) == 1
        assert first.engine._runs.alive == []


@virtual_time
async def test_a_fenced_out_engine_stands_by_when_it_next_tries_to_trade() -> None:
    async with world() as w:
        first = w.process("one")
        run_id = await w.running()
        w.db.fences[ACCOUNT.id] += 1
        w.feed.show("NEWUSDT")
        await w.until(lambda: w.told("another engine took over"))
        assert w.venue.sent == []
        assert w.db.decisions == {}
        assert run_id not in first.engine._runs.alive


@virtual_time
async def test_a_restart_sells_what_is_held_without_any_run() -> None:
    async with world() as w:
        first = w.process("one")
        plan = ExitPlan(time_limit_s=Decimal(60))
        await w.running(examples.configuration(parameters={"exit_plan": plan}))
        await _bought(w)
        await first.kill()
        w.process("two")
        await w.until(lambda: w.orders(Purpose.EXIT) == [FILLED], within=timedelta(seconds=65))
        assert w.db.positions
        assert all(p.closed_at for p in w.db.positions.values())


@virtual_time
async def test_a_stop_that_a_crash_interrupted_is_carried_through_by_the_next_engine() -> None:
    async with world() as w:
        first = w.process("one")
        run_id = await w.running()
        await _bought(w)
        w.venue.answers = [refused(RefusalKind.TERMINAL)]
        w.db.request_stop(run_id, StopMode.FLATTEN)
        await w.until(lambda: OrderStatus.REJECTED in w.orders(Purpose.EXIT))
        await first.kill()
        w.process("two")
        await w.until(lambda: w.status(run_id) is RunStatus.STOPPED)
        assert w.venue.holdings() == {}


@virtual_time
async def test_while_the_ledger_is_away_nothing_is_sent_and_all_recovers_by_itself() -> None:
    async with world() as w:
        process = w.process()
        run_id = await w.running()
        process.ledger.away = True
        w.feed.show("NEWUSDT")
        await asyncio.sleep(30)
        assert w.venue.sent == []
        process.ledger.away = False
        await w.until(lambda: w.db.health["ledger"][0] == "running", within=timedelta(seconds=40))
        await _bought(w, "MOREUSDT")
        assert w.status(run_id) is RunStatus.RUNNING
        assert len(w.venue.sent) == 1


@virtual_time
async def test_flatten_also_sells_what_a_recovered_entry_turns_out_to_have_bought() -> None:
    async with world() as w:
        first = w.process("one")
        run_id = await w.running()
        w.venue.answers = [unknown(taken=True)]
        w.venue.find_error = VenueUnavailable("503")
        await _sent(w)
        await w.until(lambda: w.orders() == [SUBMITTED])
        await first.kill()
        w.db.request_stop(run_id, StopMode.FLATTEN)
        w.process("two")
        await w.until(lambda: w.status(run_id) is RunStatus.STOPPED, within=STOP_LIMIT)
        w.venue.find_error = None
        await w.until(lambda: w.orders(Purpose.EXIT) == [FILLED], within=timedelta(seconds=10))


@virtual_time
async def test_a_run_that_somebody_else_ended_is_let_go() -> None:
    async with world() as w:
        process = w.process()
        run_id = await w.running()
        w.db.runs[run_id] = structs.replace(w.run_row(run_id), status=RunStatus.FAILED)
        await w.until(lambda: w.told("ended by somebody else"), within=timedelta(seconds=3))
        assert not process.account.desk.run_active
        assert not w.feed.running.is_set()


@virtual_time
async def test_of_two_reloads_that_cross_the_older_settings_do_not_win() -> None:
    async with world() as w:
        process = w.process()
        await w.running()
        w.db.settings[ACCOUNT.id] = examples.settings(version=3, max_trade_usdt=Decimal(5))
        await process.account.reload_settings()
        w.db.settings[ACCOUNT.id] = examples.settings(version=2)
        await process.account.reload_settings()
        assert process.account.desk.settings.version == 3


@virtual_time
async def test_a_run_whose_account_breaks_while_it_starts_fails_and_leaves_no_task_behind() -> None:
    async with world() as w:
        process = w.process()
        gate = process.ledger.hold("set_run_status")
        run_id = w.ask_for_run()
        await process.ledger.called["set_run_status"].wait()
        broken = process.account
        broken._spawn(_break())
        await asyncio.sleep(0.5)
        with pytest.raises(AccountClosed):
            await broken.start_run(w.run_row(run_id))
        gate.set()
        await w.until(lambda: w.status(run_id) is RunStatus.FAILED)
        assert not w.feed.running.is_set()
        await w.running(number=2)


@virtual_time
async def test_a_run_that_was_stopped_before_its_account_failed_to_open_is_stopped_and_not_failed() -> None:
    async with world() as w:
        w.venues.error = VenueUnavailable("no route to host")
        run_id = w.ask_for_run()
        w.db.request_stop(run_id, StopMode.ENTRIES)
        w.process()
        await w.until(lambda: w.status(run_id) in {RunStatus.STOPPED, RunStatus.FAILED})
        assert w.status(run_id) is RunStatus.STOPPED


@virtual_time
async def test_a_stop_of_a_run_that_never_started_needs_no_venue() -> None:
    async with world() as w:
        w.venues.hangs = True
        w.process()
        run_id = w.ask_for_run()
        assert await w.stopped(run_id) < STOP_LIMIT
