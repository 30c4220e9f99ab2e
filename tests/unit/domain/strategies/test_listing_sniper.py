"""The entry decision: every check recorded, and one conclusion."""

from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from tests.unit.domain.examples import configuration, entry_inputs, instrument, settings, signal, usage

from signalbox.domain.errors import InvariantError
from signalbox.domain.orders import Mode
from signalbox.domain.risk.checks import CheckVerdict, SkipCode
from signalbox.domain.risk.entry_rules import ENTRY_CHECKS
from signalbox.domain.signals import DetectionSource
from signalbox.domain.strategies.listing_sniper import decide_entry, entry_mode

LIVE_KEYS: dict[str, Any] = {
    "configuration": configuration(mode=Mode.LIVE),
    "settings": settings(mode=Mode.LIVE, auto_trade=True),
}


def test_a_good_entry_is_executed_with_every_check_recorded() -> None:
    verdict = decide_entry(entry_inputs())
    assert verdict.execute
    assert (verdict.skip_code, verdict.blocked_limit) == (None, None)
    assert len(verdict.checks) == len(ENTRY_CHECKS)


def test_all_checks_are_recorded_even_when_the_first_one_fails() -> None:
    verdict = decide_entry(entry_inputs(kill_switch=True, usage=usage(exposure=Decimal(10_000))))
    assert [check.name for check in verdict.checks] == [check(entry_inputs()).name for check in ENTRY_CHECKS]
    failed = [check.name for check in verdict.checks if check.verdict is CheckVerdict.FAILED]
    assert failed == ["kill_switch", "global_exposure_cap"]
    assert verdict.blocked_limit == "kill_switch"


def test_scenario_3_an_entry_over_a_limit_is_blocked_with_the_limits_name() -> None:
    verdict = decide_entry(entry_inputs(usage=usage(orders_last_hour=10)))
    assert not verdict.execute
    assert verdict.skip_code is SkipCode.SAFETY_CONSTRAINT
    assert verdict.blocked_limit == "max_trades_per_hour"
    assert verdict.reason.startswith("max_trades_per_hour: ")


def test_what_we_would_not_trade_anyway_is_no_blocked_order() -> None:
    verdict = decide_entry(entry_inputs(kill_switch=True, instrument=instrument(api_tradable=False)))
    assert verdict.skip_code is SkipCode.NOT_TRADABLE
    assert verdict.blocked_limit is None
    assert verdict.reason.startswith("tradable: ")


def test_s4b_a_test_listing_is_simulated_whatever_the_account_says() -> None:
    for source, mode in product(DetectionSource, Mode):
        live = mode is Mode.LIVE and source is not DetectionSource.TEST_INJECTION
        assert entry_mode(source, mode) is (Mode.LIVE if live else Mode.SIMULATION)


def test_g3_with_both_keys_an_entry_may_be_live() -> None:
    assert decide_entry(entry_inputs(mode=Mode.LIVE, **LIVE_KEYS)).execute


@pytest.mark.parametrize(
    "changes",
    [
        {"configuration": configuration()},
        {"settings": settings(mode=Mode.LIVE)},
        {"settings": settings(auto_trade=True)},
        {"signal": signal(source=DetectionSource.TEST_INJECTION)},
    ],
)
def test_g3_live_without_every_key_cannot_even_be_decided(changes: dict[str, Any]) -> None:
    with pytest.raises(InvariantError, match="without both keys"):
        decide_entry(entry_inputs(mode=Mode.LIVE, **{**LIVE_KEYS, **changes}))


def test_g3_simulation_is_always_allowed() -> None:
    assert decide_entry(entry_inputs(mode=Mode.SIMULATION, **LIVE_KEYS)).execute
