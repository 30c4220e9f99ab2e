"""Listings that are announced: when they open, what moved them, and whether we could trade them."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from signalbox.domain.instruments import Instrument


class ListingState(StrEnum):
    """`opened`: the market traded. `cancelled`: nobody announces it any more, or it never traded."""

    SCHEDULED = "scheduled"
    OPENED = "opened"
    CANCELLED = "cancelled"


class Eligibility(StrEnum):
    """Whether an announced listing could be traded, judged before it opens. `uncertain`: some fact is not known yet."""

    ELIGIBLE = "eligible"
    INELIGIBLE = "ineligible"
    UNCERTAIN = "uncertain"


class EligibilityReason(Struct, frozen=True, kw_only=True):
    """One fact that an entry depends on. `ok` None: it cannot be known yet. Amounts are decimal text in quote."""

    name: str
    ok: bool | None
    value: str | None
    limit: str | None
    message: str


class EligibilityVerdict(Struct, frozen=True, kw_only=True):
    """What is known of a listing before its second. It informs; the checks at the opening decide."""

    outcome: Eligibility
    reasons: tuple[EligibilityReason, ...]

    @property
    def main_reason(self) -> EligibilityReason | None:
        """The reason to show first: what rules it out, else what is not known, None when all is well."""
        against = [reason for reason in self.reasons if reason.ok is False]
        open_ = [reason for reason in self.reasons if reason.ok is None]
        return next(iter(against or open_), None)


class Move(Struct, frozen=True, kw_only=True):
    """A change of an announced opening. `new` None: taken back. `origin` is the source that said so."""

    at: datetime
    old: datetime
    new: datetime | None
    origin: str


class UpcomingListing(Struct, frozen=True, kw_only=True):
    """A market that is going to open. Times are UTC by the venue's clock, `first_announced_at` and a move's `at` too.

    `origins` are the sources that name this opening (calendar, exchange_info). `disputed` is what other sources say
    instead: such a time is followed as well, because a missed listing costs more than an attempt that is refused.
    """

    symbol: str
    opens_at: datetime
    origins: tuple[str, ...]
    first_announced_at: datetime
    moves: tuple[Move, ...] = ()
    state: ListingState = ListingState.SCHEDULED
    disputed: dict[str, datetime] = {}
    verdict: EligibilityVerdict | None = None


class ListingSchedule(Struct, frozen=True, kw_only=True):
    """What a feed knows of announced listings: those to come, and those that ended lately.

    `markets` are the rules of listings to come, as far as the venue shows them. `heard` are the sources that have
    answered: a listing that only another source announced may still be there.
    """

    listings: tuple[UpcomingListing, ...]
    markets: dict[str, Instrument]
    heard: frozenset[str]
