"""Verifies the chained streams of a ledger."""

from msgspec import Struct

from signalbox.app.database import OpenDatabase
from signalbox.ledger.chain import STREAMS, Progress, Verdict, verify
from signalbox.ledger.connecting import connect


class StreamResult(Struct, frozen=True, kw_only=True):
    """The verdict on one stream. `head` is the hash of its last proved row, hexadecimal."""

    stream: str
    ok: bool
    rows: int
    head: str
    fault_at: int | None = None
    fault: str | None = None


async def verify_ledger(database: OpenDatabase, progress: Progress | None = None) -> list[StreamResult]:
    """Check every stream from its first row on. Raises LedgerUnavailable. `progress` is told rows checked so far."""
    connection = await connect(database.current_url, "audit")
    try:
        return [_result(await verify(connection, stream, progress)) for stream in STREAMS]
    finally:
        await connection.close()


def _result(verdict: Verdict) -> StreamResult:
    return StreamResult(
        stream=verdict.stream,
        ok=verdict.ok,
        rows=verdict.rows,
        head=verdict.head.hash.hex(),
        fault_at=None if verdict.fault is None else verdict.fault.sequence,
        fault=None if verdict.fault is None else verdict.fault.what,
    )
