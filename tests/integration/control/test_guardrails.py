"""Settings with history and author, and the kill switch that only an operator lifts."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from signalbox.control import accounts, guardrails, records
from signalbox.control.context import Control
from signalbox.control.guardrails import KillSwitchMode
from signalbox.domain.errors import ConfigError, ConflictError


@pytest.fixture
async def main(control: Control) -> Control:
    """An account called main."""
    await accounts.create_account(control, label="main")
    return control


async def test_a_change_makes_a_version_with_its_author_and_keeps_the_old_one(
    main: Control, acting_as: Callable[[str], Control], clock: Any
) -> None:
    clock.move(60)
    changed = await guardrails.change_settings(acting_as("grace"), "main", {"max_trade_usdt": Decimal(75)})
    assert (changed.settings.version, changed.updated_by, changed.updated_at) == (2, "grace", clock.now())
    shown = await guardrails.show_settings(main, "main")
    assert [(v.settings.version, v.settings.max_trade_usdt, v.updated_by) for v in shown.history] == [
        (2, Decimal(75), "grace"),
        (1, Decimal(50), "ada"),
    ]
    (event, *_) = await records.list_events(main)
    assert event.message == "settings of account main changed: max_trade_usdt"
    assert event.details["changes"] == {"max_trade_usdt": ["50", "75"]}


async def test_a_change_of_nothing_makes_no_version(main: Control) -> None:
    unchanged = await guardrails.change_settings(main, "main", {"max_trade_usdt": Decimal(50)})
    assert unchanged.settings.version == 1


async def test_unlimited_is_none(main: Control) -> None:
    changed = await guardrails.change_settings(main, "main", {"daily_loss_limit": None})
    assert changed.settings.daily_loss_limit is None


async def test_a_change_of_what_somebody_else_changed_is_refused(main: Control) -> None:
    await guardrails.change_settings(main, "main", {"auto_trade": True}, expected_version=1)
    with pytest.raises(ConflictError, match="at version 2, not 1"):
        await guardrails.change_settings(main, "main", {"auto_trade": False}, expected_version=1)


async def test_changes_at_the_same_time_never_overwrite_each_other(main: Control) -> None:
    results = await asyncio.gather(
        *(guardrails.change_settings(main, "main", {"max_trade_usdt": Decimal(n)}) for n in (60, 70, 80)),
        return_exceptions=True,
    )
    done = [result for result in results if not isinstance(result, BaseException)]
    assert all(isinstance(result, ConflictError) for result in results if isinstance(result, BaseException))
    shown = await guardrails.show_settings(main, "main")
    assert shown.current.settings.version == 1 + len(done)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"max_trade_usdt": Decimal(0)}, "max_trade_usdt must be above 0, got 0"),
        ({"max_position_usdt": Decimal(10)}, "max_position_usdt must be max_trade_usdt (50) or more, got 10"),
        ({"daily_loss_limit": Decimal(-1)}, "daily_loss_limit must be 0 or more, got -1"),
        ({"asset_exposure_caps": {"ABC": Decimal(-1)}}, "asset_exposure_caps.ABC must be a number, 0 or more, got -1"),
        ({"max_trades": 3}, "max_trades is not a setting; known: mode,"),
        ({"version": 9}, "version is not a setting"),
    ],
)
async def test_a_broken_rule_is_named(main: Control, changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await guardrails.change_settings(main, "main", changes)
    assert rule in str(caught.value)
    assert (await guardrails.show_settings(main, "main")).current.settings.version == 1


async def test_g2_the_kill_switch_goes_on_with_mode_reason_and_author(control: Control, clock: Any) -> None:
    status = await guardrails.kill_switch_on(control, mode=KillSwitchMode.CANCEL, reason=" odd fills ")
    assert (status.kill_switch, status.kill_switch_mode, status.kill_switch_reason) == (True, "cancel", "odd fills")
    assert (status.kill_switch_activated_by, status.kill_switch_activated_at) == ("ada", clock.now())
    (event, *_) = await records.list_events(control)
    assert (event.level, event.message) == ("warning", "kill switch on (cancel): odd fills")


async def test_g2_throwing_it_again_changes_the_mode_and_keeps_the_time(control: Control, clock: Any) -> None:
    first = await guardrails.kill_switch_on(control, mode=KillSwitchMode.BLOCK, reason="x")
    clock.move(5)
    second = await guardrails.kill_switch_on(control, mode=KillSwitchMode.FLATTEN, reason="worse")
    assert second.kill_switch_mode == "flatten"
    assert second.kill_switch_activated_at == first.kill_switch_activated_at


async def test_g2_lifting_tells_who_and_why(control: Control, acting_as: Callable[[str], Control]) -> None:
    await guardrails.kill_switch_on(control, mode=KillSwitchMode.BLOCK, reason="x")
    status = await guardrails.kill_switch_off(acting_as("grace"), reason="books agree")
    assert (status.kill_switch, status.kill_switch_deactivated_by) == (False, "grace")
    with pytest.raises(ConflictError, match="off already"):
        await guardrails.kill_switch_off(control, reason="again")


async def test_g2_a_reason_is_required(control: Control) -> None:
    with pytest.raises(ConfigError, match="reason must not be empty"):
        await guardrails.kill_switch_on(control, mode=KillSwitchMode.BLOCK, reason=" ")
