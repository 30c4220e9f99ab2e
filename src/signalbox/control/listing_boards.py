"""The race of the sources, and what was missed: why, what it would have cost, and what that would be worth."""

from collections.abc import Sequence
from decimal import Decimal
from statistics import median

from msgspec import Struct, structs

from signalbox.control.context import Control
from signalbox.domain.listing_records import MARKS_MIN, ListingOutcome
from signalbox.domain.money import ZERO, product, total
from signalbox.domain.signals import DetectionSource
from signalbox.ledger.queries import accounts, listing_records
from signalbox.ledger.queries.listing_records import RecordFilter, RecordRow


class SourceResult(Struct, frozen=True, kw_only=True):
    """How one source did over some listings: how many it saw, how many it saw first, and how far behind the first one
    it was in the median, in milliseconds (0 where it was first)."""

    source: DetectionSource
    seen: int
    won: int
    median_lag_ms: Decimal


class RaceBoard(Struct, frozen=True, kw_only=True):
    """The race of the sources: listing by listing, newest first, and summed up over these listings. `median_order_ms`:
    from detection to the order on the wire; `median_due_ms`: from the instant at which a scheduled one was due."""

    listings: list[RecordRow]
    sources: list[SourceResult]
    median_order_ms: Decimal | None
    median_due_ms: Decimal | None = None


async def race(control: Control, wanted: RecordFilter) -> RaceBoard:
    """Who saw which listing first, and what we made of it. Injected test listings are left out unless they are asked
    for; then nothing else is shown. Raises NotFoundError for an account that there is not."""
    rows = await _records(control, structs.replace(wanted, seen=True))
    return RaceBoard(
        listings=rows,
        sources=source_results(rows),
        median_order_ms=median_latency(rows, scheduled=False),
        median_due_ms=median_latency(rows, scheduled=True),
    )


def source_results(rows: Sequence[RecordRow]) -> list[SourceResult]:
    """Each source over these listings, the one with most wins first. Pure."""
    lags: dict[DetectionSource, list[Decimal]] = {}
    for row in rows:
        for sighting in row.sightings:
            lags.setdefault(sighting.source, []).append(sighting.lag_ms)
    won = [row.sightings[0].source for row in rows if row.sightings]
    found = [
        SourceResult(source=source, seen=len(all_lags), won=won.count(source), median_lag_ms=median(all_lags))
        for source, all_lags in lags.items()
    ]
    return sorted(found, key=lambda result: (-result.won, result.median_lag_ms, result.source))


def median_latency(rows: Sequence[RecordRow], *, scheduled: bool) -> Decimal | None:
    """From detection, or of scheduled orders from when they were due, to the wire. Pure."""
    latencies = [row.latency_ms for row in rows if row.latency_ms is not None and (row.due_at is not None) is scheduled]
    return median(latencies) if latencies else None


class Worth(Struct, frozen=True, kw_only=True):
    """What the quantity of the first book would have been worth so many minutes later, at the best bid."""

    minutes: int
    worth: Decimal


class MissedListing(Struct, frozen=True, kw_only=True):
    """A listing that was not traded. `average_price` is what the quote amount would have paid for one base unit on the
    first book, None when there was no book (yet)."""

    record: RecordRow
    average_price: Decimal | None
    worth: list[Worth]


class MissSum(Struct, frozen=True, kw_only=True):
    """Missed listings of which cost and worth are known: what all of them would have cost, and been worth."""

    minutes: int
    listings: int
    cost: Decimal
    worth: Decimal


class MissedBoard(Struct, frozen=True, kw_only=True):
    """Missed listings, newest first; how often each reason stood in the way; and what they sum up to."""

    listings: list[MissedListing]
    reasons: dict[str, int]
    sums: list[MissSum]


async def missed(control: Control, wanted: RecordFilter) -> MissedBoard:
    """What was not traded, why, what it would have cost and what that would be worth. Injected test listings are left
    out unless they are asked for. Raises NotFoundError for an account that there is not."""
    rows = await _records(control, structs.replace(wanted, outcome=ListingOutcome.MISSED))
    found = [missed_listing(row) for row in rows]
    reasons: dict[str, int] = {}
    for row in rows:
        why = row.reason_limit or row.reason_code or ""
        reasons[why] = reasons.get(why, 0) + 1
    return MissedBoard(
        listings=found,
        reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        sums=[made for minutes in MARKS_MIN if (made := _sum(found, minutes)) is not None],
    )


def missed_listing(row: RecordRow) -> MissedListing:
    """A record with what it would have brought. Pure."""
    quantity, spent = row.book_quantity, row.book_spent
    bids = zip(MARKS_MIN, (row.bid_after_1m, row.bid_after_5m, row.bid_after_15m), strict=True)
    return MissedListing(
        record=row,
        average_price=spent / quantity if quantity and spent is not None else None,
        worth=[
            Worth(minutes=minutes, worth=product(quantity, bid))
            for minutes, bid in bids
            if bid is not None and quantity
        ],
    )


def _sum(found: Sequence[MissedListing], minutes: int) -> MissSum | None:
    known = [
        (one.record.book_spent or ZERO, mark.worth) for one in found for mark in one.worth if mark.minutes == minutes
    ]
    if not known:
        return None
    return MissSum(
        minutes=minutes,
        listings=len(known),
        cost=total(cost for cost, _ in known),
        worth=total(worth for _, worth in known),
    )


async def _records(control: Control, wanted: RecordFilter) -> list[RecordRow]:
    async with control.sessions.read() as session:
        if wanted.account is not None:
            await accounts.account_by_label(session, wanted.account)
        return await listing_records.list_records(session, wanted)
