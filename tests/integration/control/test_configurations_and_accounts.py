"""Accounts and configurations: names, versions, rules, and their trace in system_events."""

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest

from signalbox.control import accounts, configurations, records
from signalbox.control.configurations import NewConfiguration, parse_reference
from signalbox.control.context import Control
from signalbox.domain.configuration import Environment
from signalbox.domain.errors import ConfigError, ConflictError, NotFoundError
from signalbox.domain.orders import Mode


async def test_a_new_account_is_safe_and_leaves_a_trace(control: Control) -> None:
    await accounts.create_account(control, label="main", environment=Environment.DEV)
    (row,) = await accounts.list_accounts(control)
    assert (row.label, row.mode, row.auto_trade, row.environment) == ("main", Mode.SIMULATION, False, Environment.DEV)
    (event,) = await records.list_events(control)
    assert (event.message, event.actor, event.category) == ("account main added", "ada", "config")


@pytest.mark.parametrize("label", ["", " ", "../x", "a b", "-x", "x" * 64, "naïve"])
async def test_a_bad_label_is_refused(control: Control, label: str) -> None:
    with pytest.raises(ConfigError, match="label must be"):
        await accounts.create_account(control, label=label)


@pytest.mark.parametrize(("other", "why"), [("main-1", "exists already"), ("MAIN.1", "would share")])
async def test_two_accounts_never_share_credentials(control: Control, other: str, why: str) -> None:
    await accounts.create_account(control, label="main-1")
    with pytest.raises(ConflictError, match=why):
        await accounts.create_account(control, label=other)


async def test_each_change_of_a_configuration_is_a_new_version(control: Control) -> None:
    first = await configurations.create_configuration(control, NewConfiguration(name="calm"))
    second = await configurations.create_configuration(
        control, NewConfiguration(name="calm", quote_amount=Decimal("12.50"))
    )
    assert (first.version, second.version) == (1, 2)
    assert await configurations.show_configuration(control, "calm") == second
    assert await configurations.show_configuration(control, "calm:1") == first
    assert await configurations.list_configurations(control) == [second]
    assert await configurations.list_configurations(control, all_versions=True) == [second, first]


async def test_versions_made_at_the_same_time_get_different_numbers(
    control: Control, acting_as: Callable[[str], Control]
) -> None:
    made = await asyncio.gather(
        *(
            configurations.create_configuration(acting_as(f"operator {n}"), NewConfiguration(name="busy"))
            for n in range(4)
        )
    )
    assert sorted(configuration.version for configuration in made) == [1, 2, 3, 4]
    assert len(await configurations.list_configurations(control, all_versions=True)) == 4


@pytest.mark.parametrize(
    ("new", "rule"),
    [
        (NewConfiguration(name="x", quote_amount=Decimal(0)), "quote_amount must be above 0, got 0"),
        (NewConfiguration(name="x", max_trades_per_hour=101), "max_trades_per_hour must be 1 to 100, got 101"),
        (NewConfiguration(name="x", recv_window=1001), "recv_window must be 1 to 1000 ms, got 1001"),
        (NewConfiguration(name="x", symbols=()), "symbols must name at least one pair"),
        (NewConfiguration(name=" "), "name must not be empty"),
        (NewConfiguration(name="a:b"), "name must not contain ':'"),
    ],
)
async def test_a_broken_rule_is_named_and_nothing_is_stored(control: Control, new: NewConfiguration, rule: str) -> None:
    with pytest.raises(ConfigError, match="must") as caught:
        await configurations.create_configuration(control, new)
    assert rule in str(caught.value)
    assert await configurations.list_configurations(control) == []
    assert await records.list_events(control) == []


async def test_an_absent_configuration_says_where_to_look(control: Control) -> None:
    with pytest.raises(NotFoundError, match=r"no configuration 'none:3'.*config list"):
        await configurations.show_configuration(control, "none:3")


@pytest.mark.parametrize("reference", ["x:", "x:0", "x:-1", "x:one", "x:²"])
def test_a_malformed_reference_is_refused(reference: str) -> None:
    with pytest.raises(ConfigError, match="NAME:VERSION"):
        parse_reference(reference)
