"""Prove that a chained stream is as it was written, without trusting what wrote it.

Row n carries hash(n) = sha256(hash(n - 1) || canonical(n)), starting from 32 zero bytes. canonical is the netstrings
of the row's columns in the order below, as their text forms (`<bytes>:<utf-8>,`, or `-,` for NULL). The verifier reads
these text forms and the stored hashes; it never parses or writes a value itself.

What a chain alone cannot show: the loss of the newest rows together with the head, or a chain that was rebuilt as a
whole. `Verdict.head` is what to keep outside the database for that.
"""

import hashlib
from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from msgspec import Struct

from signalbox.domain.errors import ConfigError
from signalbox.ledger.connecting import Connection

GENESIS = bytes(32)
ROWS_PER_FETCH = 1000


class Stream(Struct, frozen=True):
    """A chained table: its name, and the SQL text forms of its canonical columns, in order."""

    name: str
    columns: tuple[str, ...]


def _time(column: str) -> str:
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


TRADE_LOGS = Stream(
    "trade_logs",
    (
        "id::text",
        "order_id::text",
        "revision::text",
        "exchange_response::text",
        "fill_quantity::text",
        "fill_price::text",
        "fees::text",
        "fills::text",
        _time("logged_at"),
        "position_snapshot::text",
    ),
)
SYSTEM_EVENTS = Stream(
    "system_events",
    ("id::text", _time('"timestamp"'), "level", "category", "message", "details::text", "actor"),
)
STREAMS = (TRADE_LOGS, SYSTEM_EVENTS)


class ChainRow(Struct, frozen=True):
    """One row as the verifier sees it."""

    sequence: int
    previous_hash: bytes
    hash: bytes
    fields: tuple[str | None, ...]


class Head(Struct, frozen=True):
    """The end of a stream: the number of its last row (0 when empty) and that row's hash."""

    sequence: int
    hash: bytes


class Fault(Struct, frozen=True):
    """The first thing that is wrong, at which sequence number."""

    sequence: int
    what: str


class Verdict(Struct, frozen=True):
    """The result for one stream. `head` is the last row that was proved."""

    stream: str
    rows: int
    head: Head
    fault: Fault | None = None

    @property
    def ok(self) -> bool:
        """True when nothing is wrong."""
        return self.fault is None


class Progress(Protocol):
    """Told how many rows were checked so far."""

    def __call__(self, stream: str, rows: int) -> None: ...


def canonical(fields: Iterable[str | None]) -> bytes:
    """The canonical bytes of a row's text forms."""
    return b"".join(b"-," if field is None else _netstring(field.encode()) for field in fields)


def row_hash(previous_hash: bytes, fields: Iterable[str | None]) -> bytes:
    """The hash that a row must carry after the row with `previous_hash`."""
    return hashlib.sha256(previous_hash + canonical(fields)).digest()


def next_fault(head: Head, row: ChainRow) -> Fault | None:
    """What is wrong with a row that should follow `head`, if anything."""
    if row.sequence != head.sequence + 1:
        missing = f"rows {head.sequence + 1} to {row.sequence - 1} are missing"
        return Fault(head.sequence + 1, missing if row.sequence > head.sequence else "a sequence number occurs twice")
    if row.previous_hash != head.hash:
        return Fault(row.sequence, "the row does not follow the row before it: one was changed, moved or inserted")
    if row.hash != row_hash(head.hash, row.fields):
        return Fault(row.sequence, "the row's contents do not match its hash: it was changed")
    return None


async def verify(connection: Connection, stream: Stream, progress: Progress | None = None) -> Verdict:
    """Check a whole stream in one snapshot, in constant memory, against the stored head."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        head = Head(0, GENESIS)
        async for row in _rows(connection, stream):
            fault = next_fault(head, row)
            if fault is not None:
                return Verdict(stream.name, head.sequence, head, fault)
            head = Head(row.sequence, row.hash)
            if progress is not None and row.sequence % ROWS_PER_FETCH == 0:
                progress(stream.name, row.sequence)
        return Verdict(stream.name, head.sequence, head, await _head_fault(connection, stream, head))


def stream_named(name: str) -> Stream:
    """The stream of this name. Raises ConfigError."""
    for stream in STREAMS:
        if stream.name == name:
            return stream
    raise ConfigError(f"There is no chained stream {name!r}; there are {', '.join(s.name for s in STREAMS)}.")


def _netstring(text: bytes) -> bytes:
    return b"%d:%s," % (len(text), text)


async def _rows(connection: Connection, stream: Stream) -> AsyncIterator[ChainRow]:
    # Names and expressions are the constants above. DateStyle and the like do not matter: the forms are explicit.
    query = (
        f"SELECT sequence, previous_hash, hash, {', '.join(stream.columns)} FROM {stream.name} ORDER BY sequence, id"  # noqa: S608
    )
    async for row in connection.cursor(query, prefetch=ROWS_PER_FETCH):
        sequence, previous_hash, stored_hash, *fields = row
        yield ChainRow(sequence, previous_hash, stored_hash, tuple(fields))


async def _head_fault(connection: Connection, stream: Stream, head: Head) -> Fault | None:
    stored = await connection.fetchrow("SELECT sequence, hash FROM chain_heads WHERE stream = $1", stream.name)
    if stored is None:
        return Fault(head.sequence, "the stored head of the stream is missing")
    if stored["sequence"] > head.sequence:
        return Fault(head.sequence + 1, f"rows {head.sequence + 1} to {stored['sequence']} are missing at the end")
    if (stored["sequence"], stored["hash"]) != (head.sequence, head.hash):
        return Fault(head.sequence, "the stored head does not match the last row")
    return None
