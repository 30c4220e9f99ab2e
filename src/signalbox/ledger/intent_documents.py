"""An intent as the journal keeps it: one JSON document with everything in it, and nothing twice.

The order waits for this document to be written, so it is short. What an entry's inputs hold already (the signal, the
settings) is left out where the intent repeats it. The configuration and the settings, which are the same for thousands
of intents, are encoded once. Checks are not in it: they follow from the inputs (`decisions.explained`).
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from signalbox.domain.decisions import Intent
from signalbox.domain.risk.checks import EntryInputs

_encode = msgspec.json.Encoder(decimal_format="string").encode
_IN_INPUTS = "see inputs"
_AS_JSON = Raw(_encode(_IN_INPUTS))


class _Encoded:
    """The JSON of the object that was asked for last. Frozen objects only; the next one is encoded anew."""

    __slots__ = ("_json", "_of")

    def __init__(self) -> None:
        self._of: Struct | None = None
        self._json = Raw()

    def __call__(self, of: Struct) -> Raw:
        if of is not self._of:
            self._of, self._json = of, Raw(_encode(of))
        return self._json


_configuration = _Encoded()
_settings = _Encoded()


def intent_document(intent: Intent) -> str:
    """The document of an intent. `intent_from` reads it back."""
    decision, inputs = intent.decision, intent.decision.inputs
    if not isinstance(inputs, EntryInputs):
        return _encode(intent).decode()
    encoded: dict[str, Any] = {
        "configuration": _configuration(inputs.configuration),
        "settings": _settings(inputs.settings),
    }
    changed: dict[str, Any] = {"inputs": structs.replace(inputs, **encoded)}
    if decision.settings_snapshot is inputs.settings:
        changed["settings_snapshot"] = _AS_JSON
    whole: dict[str, Any] = {"decision": structs.replace(decision, **changed)}
    if intent.signal is inputs.signal:
        whole["signal"] = _AS_JSON
    return _encode(structs.replace(intent, **whole)).decode()


def intent_from(document: str) -> Intent:
    """An intent as the journal kept it. Raises msgspec.MsgspecError when it is none."""
    whole = msgspec.json.decode(document, type=dict[str, Any])
    decision = whole.get("decision")
    inputs = decision.get("inputs") if isinstance(decision, dict) else None
    if isinstance(decision, dict) and isinstance(inputs, dict):
        if decision.get("settings_snapshot") == _IN_INPUTS:
            decision["settings_snapshot"] = inputs.get("settings")
        if whole.get("signal") == _IN_INPUTS:
            whole["signal"] = inputs.get("signal")
    return msgspec.convert(whole, Intent)
