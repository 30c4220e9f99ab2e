"""The exchange information, decoded quickly: of two thousand markets hardly any changes between two answers.

A market whose bytes are those of an earlier answer is the market that it was, so only new bytes are decoded. What its
domain value depends on besides the bytes is the time, and only while it is closed: such markets are built each time.
"""

from datetime import datetime

import msgspec
from msgspec import Struct

from signalbox.domain.instruments import Instrument, InstrumentStatus
from signalbox.venues.mexc import parse, wire
from signalbox.venues.mexc.errors import UNDECODABLE, excerpt

_OPEN = (InstrumentStatus.TRADING, InstrumentStatus.OFFLINE)


class _Row(Struct, frozen=True, gc=False):
    """What some bytes mean: a market, or why they mean nothing. `info` is kept where the market depends on the time
    as well."""

    info: wire.SymbolInfo | None
    instrument: Instrument | None
    fault: str | None


class Catalogue:
    """All markets of the venue as its last answer had them."""

    def __init__(self) -> None:
        self._rows: dict[bytes, _Row] = {}
        self.decoded = 0
        """How many markets of the last answer had bytes that were not known."""

    def update(self, body: bytes, now: datetime) -> tuple[list[Instrument], list[str]]:
        """The markets of one answer, and descriptions of those that could not be understood: exactly what
        `parse.instruments` says. Raises MalformedAnswer."""
        before, rows = self._rows, {}
        found: list[Instrument] = []
        faults: list[str] = []
        self.decoded = 0
        for raw in parse.exchange_info(body):
            key = bytes(raw)
            row = before.get(key)
            if row is None:
                self.decoded += 1
                row = _read(raw, now)
            elif row.info is not None:
                row = _built(row.info, raw, now)
            rows[key] = row
            if row.instrument is not None:
                found.append(row.instrument)
            elif row.fault is not None:
                faults.append(row.fault)
        self._rows = rows
        return found, faults


def _read(raw: msgspec.Raw, now: datetime) -> _Row:
    try:
        info = parse.symbol_info(raw)
    except UNDECODABLE as error:
        return _Row(None, None, f"{error}: {excerpt(bytes(raw))}")
    return _built(info, raw, now)


def _built(info: wire.SymbolInfo, raw: msgspec.Raw, now: datetime) -> _Row:
    try:
        instrument = parse.instrument(info, now)
    except (ArithmeticError, ValueError) as error:
        return _Row(None, None, f"{error}: {excerpt(bytes(raw))}")
    return _Row(None if instrument.status in _OPEN else info, instrument, None)
