"""What is announced, as the engines' feeds wrote it, and how far the venues' clocks were from ours."""

from datetime import datetime, timedelta

from msgspec import Struct

from signalbox.domain.configuration import Venue
from signalbox.domain.listings import Eligibility, EligibilityReason, EligibilityVerdict, ListingState, Move
from signalbox.ledger.sessions import ReadSession


class ScheduledRow(Struct, frozen=True, kw_only=True):
    """One announced listing of one account. Its opening is by the venue's clock."""

    account: str
    venue: Venue
    symbol: str
    opens_at: datetime
    state: ListingState
    origins: tuple[str, ...]
    disputed: dict[str, datetime]
    moves: tuple[Move, ...]
    verdict: Eligibility | None
    reasons: tuple[EligibilityReason, ...]
    first_announced_at: datetime
    updated_at: datetime

    @property
    def main_reason(self) -> str | None:
        """What to say first about the verdict, None when nothing is against it."""
        if self.verdict is None:
            return None
        reason = EligibilityVerdict(outcome=self.verdict, reasons=self.reasons).main_reason
        return reason.message if reason else None


class ClockRow(Struct, frozen=True, kw_only=True):
    """One measurement: the venue's clock minus ours, and how wrong that can be."""

    venue: Venue
    measured_at: datetime
    offset_us: int
    error_us: int
    samples: int

    @property
    def offset(self) -> timedelta:
        """As a duration."""
        return timedelta(microseconds=self.offset_us)


async def scheduled(session: ReadSession, *, account: str | None, ended: bool, limit: int) -> list[ScheduledRow]:
    """The listings to come, earliest first; with `ended` those that opened or were cancelled, latest first."""
    return await session.rows(
        ScheduledRow,
        """
        SELECT a.label AS account, a.venue, s.symbol, s.opens_at, s.state, s.origins, s.disputed, s.moves, s.verdict,
               s.reasons, s.first_announced_at, s.updated_at
        FROM listing_schedule AS s JOIN accounts AS a ON a.id = s.account_id
        WHERE (s.state = 'scheduled') = NOT $2::boolean AND ($1::text IS NULL OR a.label = $1)
        ORDER BY CASE WHEN $2 THEN NULL ELSE s.opens_at END, CASE WHEN $2 THEN s.opens_at END DESC,
                 s.symbol, a.label, s.id
        LIMIT $3
        """,
        account,
        ended,
        limit,
    )


async def is_watched(session: ReadSession, *, account: str | None, alive_since: datetime) -> bool:
    """Whether a run looks for announcements: it is running, and was heard of since then."""
    return await session.value(
        bool,
        """
        SELECT EXISTS (
            SELECT FROM bot_runs AS r JOIN accounts AS a ON a.id = r.account_id
            WHERE r.status = 'running' AND r.last_heartbeat >= $2 AND ($1::text IS NULL OR a.label = $1)
        )
        """,
        account,
        alive_since,
    )


async def newest_clock(session: ReadSession, venue: Venue) -> ClockRow | None:
    """The last measurement of a venue's clock, None when there is none."""
    return await session.row(
        ClockRow,
        """
        SELECT venue, measured_at, offset_us, error_us, samples FROM clock_offsets
        WHERE venue = $1 ORDER BY measured_at DESC LIMIT 1
        """,
        venue,
    )
