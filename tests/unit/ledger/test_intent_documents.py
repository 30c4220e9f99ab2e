"""The journal's document of an intent: short, and nothing is lost."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from msgspec import structs
from tests.integration.ledger.world import ACCOUNT, entry, entry_inputs, exit_of, listing_signal, new_id
from tests.property.domain.generators import entry_inputs as any_entry_inputs
from tests.property.domain.generators import quick
from tests.unit.domain import examples

from signalbox.domain.configuration import AccountSettings
from signalbox.domain.decisions import Cause, Intent, explained
from signalbox.domain.ids import PositionId
from signalbox.domain.positions import ExitRule
from signalbox.domain.risk.checks import EntryInputs
from signalbox.domain.strategies.exits import ExitInputs
from signalbox.ledger.intent_documents import intent_document, intent_from

encode = msgspec.json.Encoder(decimal_format="string").encode


def decided_on(inputs: EntryInputs, **decision: Any) -> Intent:
    """An entry as the desk makes it: nobody has described its checks yet."""
    intent = entry(inputs.signal.symbol)
    told = {"cause": Cause(listing_signal_id=inputs.signal.id), "settings_snapshot": inputs.settings, "checks": ()}
    made = structs.replace(intent.decision, inputs=inputs, **{**told, **decision})
    return structs.replace(intent, decision=made, signal=inputs.signal)


@quick
@given(inputs=any_entry_inputs())
def test_an_entry_is_read_back_as_it_was(inputs: EntryInputs) -> None:
    intent = decided_on(inputs)
    found = intent_from(intent_document(intent))
    assert found == intent
    assert encode(found) == encode(intent)
    assert encode(explained(found.decision)) == encode(explained(intent.decision))


def test_nothing_is_written_twice() -> None:
    intent = decided_on(entry_inputs(listing_signal("ALPHAUSDT")))
    document = intent_document(intent)
    assert len(document) < 3500
    assert document.count('"max_slippage"') == document.count('"max_trade_usdt"') == document.count('"listed_at"') == 1


def test_a_change_of_settings_or_configuration_is_seen_by_the_next_intent() -> None:
    first = entry_inputs(listing_signal("ALPHAUSDT"))
    changed = structs.replace(
        first,
        configuration=structs.replace(first.configuration, version=2),
        settings=AccountSettings(account_id=ACCOUNT, version=2),
    )
    for inputs in (first, changed, first):
        assert intent_from(intent_document(decided_on(inputs))).decision.inputs == inputs


def test_settings_that_are_not_those_of_the_inputs_are_written_out() -> None:
    other = AccountSettings(account_id=ACCOUNT, version=9)
    intent = decided_on(entry_inputs(listing_signal("ALPHAUSDT")), settings_snapshot=other)
    assert intent_from(intent_document(intent)) == intent


def test_an_exit_is_read_back_as_it_was() -> None:
    position = examples.position()
    intent = exit_of(PositionId(new_id()), "ALPHAUSDT")
    inputs = ExitInputs(position=position, now=examples.NOW, bid=None)
    cause = Cause(exit_rule=ExitRule.TIME_LIMIT, position_id=position.id)
    sale = structs.replace(intent, decision=structs.replace(intent.decision, inputs=inputs, cause=cause))
    for whole in (intent, sale):
        assert intent_from(intent_document(whole)) == whole


def test_a_document_that_says_everything_is_read_too() -> None:
    """Versions before wrote the whole intent."""
    intent = entry("ALPHAUSDT")
    assert intent_from(encode(intent).decode()) == intent


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"decision": 7}', '{"decision": {"inputs": {}}, "fence": 1}'])
def test_anything_else_is_refused(document: str) -> None:
    with pytest.raises(msgspec.MsgspecError):
        intent_from(document)
