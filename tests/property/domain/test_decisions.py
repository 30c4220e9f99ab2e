"""An entry decision depends on its inputs alone, and survives being stored: replay rests on both."""

from typing import Any

import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st
from tests.property.domain.generators import (
    amounts,
    any_exit_plans,
    entry_inputs,
    instants,
    positive,
    quick,
    ratios,
    steps,
)
from tests.unit.domain.examples import instrument, position

from signalbox.domain.orders import Mode
from signalbox.domain.risk.checks import CheckKind, CheckVerdict, EntryInputs, SkipCode
from signalbox.domain.risk.entry_rules import ENTRY_CHECKS, account_agrees
from signalbox.domain.signals import DetectionSource
from signalbox.domain.strategies.exits import ExitInputs, decide_exit, exit_shape
from signalbox.domain.strategies.listing_sniper import EntryVerdict, decide_at_once, decide_entry

encode = msgspec.json.Encoder(decimal_format="string").encode


def _as_jsonb_keeps_it(text: bytes) -> bytes:
    """PostgreSQL's JSONB sorts the keys of each object by length, then by bytes."""

    def sort(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: sort(value[key]) for key in sorted(value, key=lambda key: (len(key.encode()), key.encode()))}
        return [sort(item) for item in value] if isinstance(value, list) else value

    return encode(sort(msgspec.json.decode(text)))


@quick
@given(inputs=entry_inputs())
def test_the_same_inputs_give_the_same_decision_and_stay_as_they_are(inputs: EntryInputs) -> None:
    before = encode(inputs)
    first, second = decide_entry(inputs), decide_entry(inputs)
    event(f"skip: {first.skip_code}")
    assert first == second
    assert encode(inputs) == before


@settings(quick, max_examples=300)
@given(inputs=entry_inputs())
def test_what_is_decided_at_once_is_what_the_checks_say(inputs: EntryInputs) -> None:
    full, at_once = decide_entry(inputs), decide_at_once(inputs)
    assert at_once == (msgspec.structs.replace(full, checks=()) if full.execute else full)


@settings(quick, max_examples=300)
@given(inputs=entry_inputs(), other=entry_inputs())
def test_what_the_account_says_has_nothing_to_do_with_the_listing(inputs: EntryInputs, other: EntryInputs) -> None:
    listing = {name: getattr(other, name) for name in ("signal", "instrument", "reference_price", "now")}
    elsewhere = msgspec.structs.replace(inputs, **listing, mode=inputs.mode)
    assert account_agrees(elsewhere) == account_agrees(inputs)
    if elsewhere.mode is not Mode.LIVE or elsewhere.signal.detection_source is not DetectionSource.TEST_INJECTION:
        agreed = account_agrees(inputs)
        assert decide_at_once(elsewhere, account_agreed=agreed) == decide_at_once(elsewhere)


@quick
@given(inputs=entry_inputs())
def test_stored_inputs_give_the_same_decision(inputs: EntryInputs) -> None:
    stored = msgspec.json.decode(_as_jsonb_keeps_it(encode(inputs)), type=EntryInputs)
    assert stored == inputs
    assert decide_entry(stored) == decide_entry(inputs)
    assert encode(decide_entry(stored)) == encode(decide_entry(inputs))


@quick
@given(inputs=entry_inputs())
def test_a_stored_verdict_is_read_back_as_it_was(inputs: EntryInputs) -> None:
    verdict = decide_entry(inputs)
    assert msgspec.json.decode(_as_jsonb_keeps_it(encode(verdict)), type=EntryVerdict) == verdict


@settings(quick, max_examples=150)
@given(inputs=entry_inputs())
def test_every_check_is_recorded_and_the_conclusion_follows_from_them(inputs: EntryInputs) -> None:
    verdict = decide_entry(inputs)
    assert [check.name for check in verdict.checks] == [check(inputs).name for check in ENTRY_CHECKS]
    failed = [check for check in verdict.checks if check.verdict is CheckVerdict.FAILED]
    assert verdict.execute == (not failed)
    limits_only = bool(failed) and all(check.kind is CheckKind.LIMIT for check in failed)
    assert (verdict.blocked_limit is not None) == limits_only == (verdict.skip_code is SkipCode.SAFETY_CONSTRAINT)
    if failed:
        assert verdict.reason.split(":")[0] in {check.name for check in failed}
    if inputs.signal.detection_source is DetectionSource.TEST_INJECTION:
        assert inputs.mode is Mode.SIMULATION


@quick
@given(
    plan=any_exit_plans(),
    quantity=amounts(places=8),
    sold=amounts(places=8),
    cost=amounts(places=8),
    peak=st.none() | positive(),
    bid=st.none() | positive(),
    instants=st.tuples(instants(), instants()),
    market=st.none() | st.builds(instrument, lot_size=steps(), tick_size=steps(), sell_band=st.none() | ratios()),
    way=st.tuples(st.none() | amounts(places=8), st.booleans(), st.none() | ratios()),
)
def test_a_stored_exit_gives_the_same_decision_and_order(
    *, plan: Any, quantity: Any, sold: Any, cost: Any, peak: Any, bid: Any, instants: Any, market: Any, way: Any
) -> None:
    held = position(
        plan=plan, quantity=quantity, cost=cost if quantity else quantity, bought=quantity + sold, highest_bid=peak
    )
    (opened_at, now), (free, flatten, discount) = instants, way
    inputs = ExitInputs(
        position=msgspec.structs.replace(held, opened_at=opened_at),
        now=now,
        bid=bid,
        instrument=market,
        free=free,
        flatten=flatten,
        discount=discount,
    )
    stored = msgspec.json.decode(_as_jsonb_keeps_it(encode(inputs)), type=ExitInputs)
    assert stored == inputs
    verdict = decide_exit(inputs)
    assert decide_exit(stored) == verdict
    if verdict is not None:
        assert exit_shape(stored, verdict) == exit_shape(inputs, verdict)
