"""The whole story of one listing: announced, moved, judged, seen by whom, decided, sent, sold; or why it was missed."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from signalbox.control.context import Control
from signalbox.control.listing_boards import MissedListing, missed_listing
from signalbox.control.stories import Step, StepKind, facts_of, story
from signalbox.domain.errors import NotFoundError
from signalbox.domain.money import plain
from signalbox.ledger.queries import listing_records, listings
from signalbox.ledger.queries.listing_records import RecordRow, ScheduleRow
from signalbox.ledger.queries.trades import DecisionRow, TradeRow
from signalbox.ledger.sessions import ReadSession


class EventKind(StrEnum):
    """The stations of a listing, in the order in which they follow each other. Those from `decided` on are the steps of
    its trade."""

    ANNOUNCED = "announced"
    MOVED = "moved"
    CANCELLED = "cancelled"
    OPENS = "opens"
    SEEN = "seen"
    TRADES = "trades"
    DECIDED = "decided"
    SENT = "sent"
    BOUGHT = "bought"
    REFUSED = "refused"
    HELD = "held"
    SOLD = "sold"
    RESULT = "result"


class ListingEvent(Struct, frozen=True, kw_only=True):
    """One station, explained. `at` is None while it lasts."""

    kind: str
    at: datetime | None
    text: str


class ListingStory(Struct, frozen=True, kw_only=True):
    """A listing of one account from its announcement to its end. `hindsight` says what it would have cost and been
    worth; `earlier` are other listings of the symbol, the same one of other accounts among them, newest first."""

    record: RecordRow
    schedule: ScheduleRow | None
    events: list[ListingEvent]
    hindsight: MissedListing
    decision: DecisionRow | None
    orders: list[TradeRow]
    earlier: list[RecordRow]


async def listing_story(control: Control, text: str) -> ListingStory:
    """The newest listing of a symbol (in any case), or the one with this id (its beginning or end is enough), or with
    this number in `listings list`. Raises NotFoundError."""
    async with control.sessions.read() as session:
        wanted = text.strip()
        found = await listing_records.find_records(session, wanted)
        if not found:
            found = await listing_records.find_records(session, wanted.upper())
        if not found:
            raise NotFoundError(
                f"There is no record of a listing {text!r}: 'signalbox listings race' and 'signalbox listings missed'"
                " show all, 'signalbox listings upcoming' what is announced."
            )
        return await _story(session, found[0], found[1:], control.clock.now())


async def _story(session: ReadSession, record: RecordRow, earlier: Sequence[RecordRow], now: datetime) -> ListingStory:
    schedule = await listing_records.schedule_row(session, record)
    signal = await listings.signal_row(session, record.listing_id)
    facts = None if signal is None else await facts_of(session, signal, record.account)
    steps = [] if facts is None else story(facts, now).steps
    return ListingStory(
        record=record,
        schedule=schedule,
        events=timeline(record, schedule, steps),
        hindsight=missed_listing(record),
        decision=None if facts is None else facts.decision,
        orders=[] if facts is None else [*facts.entries, *facts.exits],
        earlier=list(earlier),
    )


def timeline(record: RecordRow, schedule: ScheduleRow | None, steps: Sequence[Step]) -> list[ListingEvent]:
    """Everything that is known of a listing in the order in which it happened; what lasts comes last. Pure."""
    events = [*_announced(schedule), *_opening(record), *_seen(record), *_steps(steps)]
    dated = sorted((e for e in events if e.at is not None), key=lambda e: (e.at, _ORDER.get(e.kind, len(_ORDER))))
    return dated + [e for e in events if e.at is None]


_ORDER: dict[str, int] = {kind.value: place for place, kind in enumerate(EventKind)}


def _announced(schedule: ScheduleRow | None) -> Iterator[ListingEvent]:
    if schedule is None:
        return
    first = schedule.moves[0].old if schedule.moves else schedule.opens_at
    text = f"by {' and '.join(schedule.origins)}, to open at {_utc(first)}"
    if schedule.disputed:
        others = ", ".join(f"{origin} says {_utc(at)}" for origin, at in sorted(schedule.disputed.items()))
        text += f" ({others})"
    yield ListingEvent(kind=EventKind.ANNOUNCED, at=schedule.first_announced_at, text=text)
    for move in schedule.moves:
        if move.new is None:
            text = f"{move.origin} took it back; it was to open at {_utc(move.old)}"
            yield ListingEvent(kind=EventKind.CANCELLED, at=move.at, text=text)
        else:
            text = f"{move.origin} moved it from {_utc(move.old)} to {_utc(move.new)}"
            yield ListingEvent(kind=EventKind.MOVED, at=move.at, text=text)


def _opening(record: RecordRow) -> Iterator[ListingEvent]:
    if record.opens_at is not None and record.reason_code != "CANCELLED":
        yield ListingEvent(
            kind=EventKind.OPENS, at=record.opens_at, text="its opening as the venue gives it, by the venue's clock"
        )
    if record.tradable_at is not None and record.tradable_by is not None:
        yield ListingEvent(kind=EventKind.TRADES, at=record.tradable_at, text=_PROOFS[record.tradable_by])


_PROOFS = {
    "ticker_diff": "first proof that it trades: its price in the list of prices",
    "websocket": "first proof that it trades: a pushed price",
    "market_rules": "first proof that it trades: the venue's rules say so",
    "order": "first proof that it trades: the venue took an order",
}


def _seen(record: RecordRow) -> Iterator[ListingEvent]:
    for place, sighting in enumerate(record.sightings):
        text = f"first by {sighting.source}" if not place else f"by {sighting.source}, {sighting.lag_ms:.1f} ms later"
        if sighting.price is not None:
            text += f", at a price of {plain(sighting.price)}"
        yield ListingEvent(kind=EventKind.SEEN, at=sighting.seen_at, text=text)
    if not record.sightings and record.reason_code != "CANCELLED":
        text = "in the venue's list when a run started"
        yield ListingEvent(kind=EventKind.SEEN, at=record.first_seen_at, text=text)


def _steps(steps: Sequence[Step]) -> Iterator[ListingEvent]:
    for step in steps:
        if step.kind is not StepKind.DETECTED:
            yield ListingEvent(kind=step.kind.value, at=step.at, text=step.text)


def _utc(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
