"""Runs: a start needs all it needs, at most one is active, a stop has three modes, each command has an author."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from signalbox.control import accounts, configurations, guardrails, records, runs
from signalbox.control.configurations import NewConfiguration
from signalbox.control.context import Control
from signalbox.domain.errors import ConfigError, ConflictError, NotFoundError
from signalbox.domain.orders import Mode
from signalbox.domain.runs import RunStatus, StopMode
from signalbox.ledger.queries.runs import RunRow
from signalbox.ledger.sessions import WriteSession


@pytest.fixture
async def ready(control: Control) -> Control:
    """An account and a configuration that asks for live orders."""
    await accounts.create_account(control, label="main")
    await configurations.create_configuration(control, NewConfiguration(name="calm", mode=Mode.LIVE))
    return control


async def start(control: Control) -> RunRow:
    return await runs.start_bot(control, account_label="main", configuration_reference="calm")


async def write(control: Control, sql: str, *arguments: Any) -> None:
    """What an engine would write."""
    async with control.sessions.write() as session:
        assert type(session) is WriteSession
        await session.execute(sql, *arguments)


async def test_scenario_1_a_start_makes_a_starting_run_with_the_operators_name(ready: Control) -> None:
    run = await start(ready)
    assert (run.status, run.operator_id, run.configuration, run.version) == (RunStatus.STARTING, "ada", "calm", 1)
    (event, *_) = await records.list_events(ready)
    assert event.message == "start of calm:1 on account main asked for"
    assert event.details == {"account": "main", "mode": "simulation", "run_id": str(run.id)}


async def test_a_second_start_is_refused_with_what_to_do(ready: Control) -> None:
    await start(ready)
    with pytest.raises(ConflictError, match=r"active run already \(calm:1, starting\).*signalbox run stop main"):
        await start(ready)


async def test_two_starts_at_once_make_one_run(ready: Control) -> None:
    results = await asyncio.gather(start(ready), start(ready), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["ConflictError", "RunRow"]


async def test_unknown_names_say_where_to_look(ready: Control) -> None:
    with pytest.raises(NotFoundError, match=r"no account 'other'.*account list"):
        await runs.start_bot(ready, account_label="other", configuration_reference="calm")
    with pytest.raises(NotFoundError, match="no configuration 'wild'"):
        await runs.start_bot(ready, account_label="main", configuration_reference="wild")


async def test_g4_live_without_credentials_is_refused_and_nothing_is_stored(ready: Control) -> None:
    await guardrails.change_settings(ready, "main", {"mode": Mode.LIVE, "auto_trade": True})
    with pytest.raises(ConfigError, match="has no API key"):
        await start(ready)
    assert (await runs.overview(ready)).runs == []


async def test_g3_one_key_alone_starts_in_simulation_without_credentials(ready: Control) -> None:
    await guardrails.change_settings(ready, "main", {"mode": Mode.LIVE})
    await start(ready)
    assert not await runs.live_orders_possible(ready)


async def test_g3_live_needs_both_keys_and_credentials(ready: Control, credentials: Any) -> None:
    await guardrails.change_settings(ready, "main", {"mode": Mode.LIVE, "auto_trade": True})
    credentials.labels.add("main")
    assert not await runs.live_orders_possible(ready)
    await start(ready)
    assert await runs.live_orders_possible(ready)


async def test_a_stop_asks_for_stopping_and_can_ask_for_more(ready: Control) -> None:
    await start(ready)
    first = await runs.stop_bot(ready, account_label="main")
    assert (first.status, first.stop_mode) == (RunStatus.STOPPING, StopMode.ENTRIES)
    again = await runs.stop_bot(ready, account_label="main")
    assert again == first
    more = await runs.stop_bot(ready, account_label="main", mode=StopMode.FLATTEN)
    assert more.stop_mode is StopMode.FLATTEN
    less = await runs.stop_bot(ready, account_label="main", mode=StopMode.CANCEL)
    assert less.stop_mode is StopMode.FLATTEN
    asked = [event.message for event in await records.list_events(ready) if event.message.startswith("stop")]
    assert asked == [
        "stop (flatten) of calm:1 on account main asked for",
        "stop (entries) of calm:1 on account main asked for",
    ]


async def test_a_stop_without_a_run_says_so(ready: Control) -> None:
    with pytest.raises(NotFoundError, match="no active run"):
        await runs.stop_bot(ready, account_label="main")


async def test_after_the_end_of_a_run_the_next_one_may_start(ready: Control, clock: Any) -> None:
    run = await start(ready)
    await runs.stop_bot(ready, account_label="main")
    clock.move(1)
    await write(ready, "UPDATE bot_runs SET status = 'stopped', stopped_at = $2 WHERE id = $1", run.id, clock.now())
    assert (await start(ready)).id != run.id


async def test_the_overview_tells_whether_an_engine_is_alive(ready: Control, clock: Any) -> None:
    assert not (await runs.overview(ready)).engine_is_alive
    await write(
        ready,
        "INSERT INTO bot_health (component_name, status, last_event_at, updated_at)"
        " VALUES ('engine', 'running', $1, $1)",
        clock.now(),
    )
    assert (await runs.overview(ready)).engine_is_alive
    clock.move((2 * runs.HEARTBEAT_ALLOWED + timedelta(seconds=1)).total_seconds())
    assert not (await runs.overview(ready)).engine_is_alive
