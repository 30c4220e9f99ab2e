"""What the engine needs from the outside world. Adapters implement these; `signalbox.app` chooses which."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct

from signalbox.domain.alerts import Alert
from signalbox.domain.configuration import Account, AccountSettings, Venue
from signalbox.domain.decisions import Intent, IntentResult
from signalbox.domain.ids import AccountId, DecisionId, PositionId, RunId, SignalId
from signalbox.domain.instruments import Instrument, TradableSymbols
from signalbox.domain.listing_records import (
    Conclusion,
    FirstBook,
    ListingFacts,
    ListingNote,
    MarketSeen,
    TradableProof,
    Unfinished,
    Watch,
)
from signalbox.domain.listings import ListingSchedule, UpcomingListing
from signalbox.domain.market import BookTicker, ClockReading, OrderBook
from signalbox.domain.orders import (
    Fill,
    Mode,
    Order,
    OrderEvidence,
    OrderResult,
    OrderStatus,
    Purpose,
    StageTimes,
    SubmitOutcome,
)
from signalbox.domain.positions import ExitPlan, Position
from signalbox.domain.reconciliation import ReconciliationLedger
from signalbox.domain.risk.capacity import Reservation
from signalbox.domain.runs import Run, RunStatus
from signalbox.domain.signals import DecidedListing, Sighting
from signalbox.domain.venue_records import AccountUpdate, Balance, VenueOrder


def nothing_to_do() -> None:
    """The answer of somebody who need not be told."""


class Clock(Protocol):
    """Time. `now` is UTC; `monotonic_ns` never goes back; `at` turns a monotonic reading into UTC."""

    def now(self) -> datetime: ...

    def monotonic_ns(self) -> int: ...

    def at(self, monotonic_ns: int) -> datetime: ...


class IdSource(Protocol):
    """Fresh identifiers, ordered by time (UUID version 7)."""

    def new_id(self) -> UUID: ...


class OrderVenue(Protocol):
    """Where an account's orders go: a live venue, or the paper venue."""

    @property
    def fill_model(self) -> str | None:
        """Name of the model that invents the fills, None when they are real."""

    def prepare(self, order: Order) -> None:
        """An order that is not durable yet is about to be sent: do now what can be done before. Sends nothing, keeps
        nothing for long, and need not be called. Never raises."""

    async def submit(self, order: Order, stages: StageTimes) -> SubmitOutcome:
        """Send one order, once. Fills in `stages.sent_at` and `acknowledged_at`. Never raises for what the venue or
        the network does: that is a SubmitOutcome."""

    async def find_order(self, order: Order) -> OrderEvidence:
        """What the venue knows under our client order id. Raises VenueUnavailable when it cannot be asked."""

    async def fills(self, order: Order, exchange_order_id: str) -> Sequence[Fill]:
        """The executions of an order that are visible now. Raises VenueUnavailable."""

    async def cancel(self, order: Order) -> None:
        """Ask the venue to cancel. An order that is not open any more is no error. Raises VenueUnavailable."""

    async def balances(self) -> Sequence[Balance]:
        """What the account holds; assets of which it has nothing are left out. Raises VenueUnavailable."""

    async def recent_orders(self, symbol: str, since: datetime) -> Sequence[VenueOrder]:
        """Every order of the account in one market that was placed since then or is still open, whoever sent it,
        oldest first. A fresh one may be missing for a moment. Raises VenueUnavailable."""

    async def watch(self, on_update: Callable[[AccountUpdate], None]) -> None:
        """Tell what changes in the account until cancelled; survives faults by itself and reports them. Updates are
        hints: they may come late, twice, in another order, or not at all."""

    async def tradable_symbols(self) -> TradableSymbols:
        """Which pairs the account's key may trade, as the venue says now. Raises VenueUnavailable or
        CredentialsRefused."""

    async def check_credentials(self) -> None:
        """Prove that the credentials may trade. Raises CredentialsRefused, ConfigError or VenueUnavailable."""

    async def warm(self) -> None:
        """Open the connection that the next order will use. Raises VenueUnavailable."""

    async def round_trip(self) -> timedelta:
        """The best of a few round trips over the connection that the next order will use. Raises VenueUnavailable."""

    def order_wait_s(self, purpose: Purpose, orders: int = 1) -> float:
        """Seconds until the venue's limits leave room for this many more orders, 0 when they may go now. Entries leave
        a part of the limit to exits, and both leave a part to cancels."""

    async def close(self) -> None: ...


class MarketData(Protocol):
    """Public data of a venue. Every method may raise VenueUnavailable. A read marked as `poll` may wait for a better
    time: it leaves a part of the venue's request limit to the others."""

    async def instruments(self) -> Sequence[Instrument]:
        """All markets with their rules, announced ones included."""

    async def instrument(self, symbol: str, *, poll: bool = False) -> Instrument | None:
        """One market, None when the venue does not know it (yet)."""

    async def book_ticker(self, symbol: str) -> BookTicker: ...

    async def order_book(self, symbol: str, depth: int, *, poll: bool = False) -> OrderBook: ...

    async def watch_ticker(self, symbol: str, on_ticker: Callable[[BookTicker], None]) -> None:
        """Tell the best prices of a market as they change, by a plain call, until cancelled. Survives faults by itself
        and reports them; after one the present prices are told anew. A market whose prices do not change may be silent.
        """

    async def close(self) -> None: ...


QUOTE_ASSETS = ("USDT",)
"""What listings are priced in unless a configuration says otherwise."""


class ListingFeed(Protocol):
    """The sources that can show a new listing of one venue."""

    async def known_symbols(self) -> frozenset[str]:
        """Every symbol that the venue shows now: these are not new. Raises VenueUnavailable."""

    async def run(
        self,
        on_sighting: Callable[[Sighting], None],
        *,
        intervals: "FeedIntervals",
        ahead: timedelta = timedelta(0),
        on_schedule: Callable[[], None] = nothing_to_do,
        quote_assets: Sequence[str] = QUOTE_ASSETS,
    ) -> None:
        """Watch all sources until cancelled. Survives faults of each source by itself and reports them.

        `quote_assets`: what an announced coin is assumed to be priced in, the first one first, while no source says.

        An announced listing is reported `ahead` before its opening by the venue's clock, as a CALENDAR sighting whose
        `listing_time` is the opening; again when it is moved after that. `on_schedule` is called, without waiting,
        whenever something that `schedule` tells has changed.
        """

    def upcoming(self) -> Sequence[UpcomingListing]:
        """The listings that are to open, earliest first; one that was reported stays until it trades or is taken
        back. Their verdicts are not judged here."""

    def schedule(self) -> ListingSchedule:
        """The same with what ended lately, the markets' rules, and which sources have answered so far."""

    def clock(self) -> ClockReading | None:
        """How far the venue's clock is from ours now, None while nobody has measured it."""

    def monotonic_ns_at(self, venue_instant: datetime) -> int:
        """The monotonic time at which the venue's clock will show this. A step of this machine's clock changes
        nothing about it."""


class FeedIntervals(Struct, frozen=True, kw_only=True):
    """How often the polled sources are asked, in seconds."""

    calendar_s: float = 5.0
    ticker_s: float = 1.0


ENGINE = "engine"
"""The component whose health also says `started_at` and `mexc_connected`: the ledger keeps them in system_status."""


class EventSink(Protocol):
    """Where things worth telling go: system_events, alerts, logs. Never blocks and never raises."""

    def event(self, level: str, category: str, message: str, **details: Any) -> None: ...

    def health(self, component: str, status: str, **details: Any) -> None: ...

    def alert(self, kind: str, subject: str, message: str, *, severity: str = "warning", **details: Any) -> None:
        """Ask an operator to look. One alert per kind and subject is open at a time; raising it again counts up.
        `severity`: info, warning or critical. It also becomes an event."""

    def resolve(self, kind: str, subject: str, reason: str) -> None:
        """The cause of an alert is gone. Without an open alert nothing happens."""


class IntentWriter(Protocol):
    """The hot path into the ledger."""

    async def commit(self, intent: Intent) -> IntentResult:
        """Make an intent durable. Raises LedgerUnavailable when that is not certain: ask `lookup` before the intent
        may be treated as not written."""

    def practise(self, intent: Intent) -> None:
        """Go through what precedes a commit, without asking the server for anything."""

    async def rehearse(self, intent: Intent) -> None:
        """Go through a commit without leaving anything behind, so that the first real one is fast. Raises
        LedgerUnavailable."""

    async def lookup(self, decision_id: DecisionId) -> bool:
        """True when the decision is in the ledger. Raises LedgerUnavailable."""


class CapacityHistory(Struct, frozen=True, kw_only=True):
    """What the ledger knows of the entries of an account in one mode, for the limits."""

    entries: list[datetime]
    spent: dict[date, Decimal]
    realised: dict[date, Decimal]
    held: list[Reservation]


class OpenOrder(Struct, frozen=True, kw_only=True):
    """An order whose outcome is not in the ledger yet, as recovery finds it. `exit_plan` is an entry's, read from the
    configuration in its decision's inputs."""

    order: Order
    status: OrderStatus
    exchange_order_id: str | None
    exit_plan: ExitPlan | None = None
    due_at: datetime | None = None

    @property
    def meant_for(self) -> datetime:
        """When it was to be sent: windows count from here."""
        return max(self.order.created_at, self.due_at or self.order.created_at)


class SystemState(Struct, frozen=True, kw_only=True):
    """The switches that apply to everybody. `kill_switch_mode`: block, cancel, flatten or freeze."""

    kill_switch: bool
    kill_switch_mode: str


class ListingLedger(Protocol):
    """The record of every listing that appeared, traded or not. Nothing here is on an order's way; every write may be
    repeated."""

    async def note_listing(self, note: ListingNote, *, at: datetime) -> None:
        """A listing with everybody who saw it so far. What is known already is kept where it is earlier."""

    async def note_markets(self, watch: Watch, markets: Sequence[MarketSeen], *, at: datetime) -> Sequence[str]:
        """The venue's list at the start of a run. Symbols that appeared while no bot was watching get a record that
        says so, and are returned; the first list of a venue is only learnt."""

    async def adopt_listings(self, account_id: AccountId, *, since: datetime, at: datetime) -> int:
        """Records for listings that were decided on, or announced and taken back, since then but have none; how many
        there were."""

    async def listing_facts(
        self, account_id: AccountId, *, also: Sequence[SignalId] = (), at: datetime
    ) -> Sequence[ListingFacts]:
        """What the ledger has on listings without an outcome, on those that were missed and yet bought, and on the
        ones named."""

    async def conclude_listing(
        self, account_id: AccountId, listing_id: SignalId, conclusion: Conclusion, *, at: datetime
    ) -> None:
        """What became of a listing. What was traded stays so."""

    async def note_market(
        self,
        account_id: AccountId,
        listing_id: SignalId,
        *,
        api_tradable: bool,
        proof: TradableProof | None,
        at: datetime,
    ) -> None:
        """What the venue's rules say of a listing now. A proof counts when there was none before."""

    async def note_first_book(
        self, account_id: AccountId, listing_id: SignalId, book: FirstBook, *, at: datetime
    ) -> None:
        """What the quote amount would have bought. Only the first one counts."""

    async def note_bid(
        self, account_id: AccountId, listing_id: SignalId, minutes: int, bid: Decimal, *, at: datetime
    ) -> None:
        """The best bid so many minutes after the first book. Only the first one counts."""

    async def unfinished_listings(self, account_id: AccountId, *, at: datetime) -> Sequence[Unfinished]:
        """Real listings of which a look back is still to come at that instant."""


class Ledger(IntentWriter, ListingLedger, ReconciliationLedger, Protocol):
    """Everything that the engine writes to and reads from the ledger. Each method is one transaction and raises
    LedgerUnavailable when the ledger cannot be reached."""

    async def own(self, account_id: AccountId, holder: str) -> int:
        """Take exclusive ownership of an account: the fence number to act under. Held while the process lives.
        Raises ConflictError when another live engine holds it."""

    async def disown(self, account_id: AccountId) -> None: ...

    async def account(self, account_id: AccountId) -> Account: ...

    async def settings(self, account_id: AccountId) -> AccountSettings: ...

    async def system_state(self) -> SystemState: ...

    async def record_validation(
        self, account_id: AccountId, *, at: datetime, valid: bool, error: str | None = None
    ) -> None:
        """How a check of an account's credentials ended. `valid` without an error clears the last one."""

    async def validations_asked(self) -> Sequence[AccountId]:
        """Accounts whose credentials an operator wants to have checked, and that were not checked since."""

    async def accounts_with_open_business(self) -> Sequence[AccountId]:
        """Accounts that have an open position or an order without a final outcome."""

    async def runs_to_act_on(self) -> Sequence[Run]:
        """Runs that are starting, running or stopping."""

    async def set_run_status(
        self,
        run_id: RunId,
        new: RunStatus,
        *,
        at: datetime,
        error_message: str | None = None,
        fence: int | None = None,
    ) -> None:
        """Move a run on. With a fence number only while it is the account's: raises FencedOut when another engine has
        taken the account over."""

    async def heartbeat(self, run_ids: Sequence[RunId], at: datetime) -> None: ...

    async def capacity_history(self, account_id: AccountId, mode: Mode, now: datetime) -> CapacityHistory: ...

    async def open_positions(self, account_id: AccountId) -> Sequence[Position]: ...

    async def record_highest_bid(self, position_id: PositionId, bid: Decimal) -> None:
        """Keep the best price seen of an open position, for its trailing stop. A lower one changes nothing."""

    async def open_orders(self, account_id: AccountId) -> Sequence[OpenOrder]: ...

    async def decided_listings(self, account_id: AccountId, since: datetime) -> Sequence[DecidedListing]:
        """Listings that this account decided on since then, the oldest decision first: they are not new after a
        restart. Injected test listings are left out."""

    async def pending_test_listings(self, since: datetime) -> Sequence[Sighting]:
        """Injected test listings that no signal exists for yet."""

    async def add_evidence(self, signal_id: SignalId, sighting: Sighting) -> None: ...

    async def record_submission(
        self, order: Order, outcome: SubmitOutcome, stages: StageTimes, *, latency_ms: Decimal | None
    ) -> None:
        """The outcome of a send: accepted and unknown make the order submitted, a refusal makes it rejected (with its
        trade log entry). Repeating it changes nothing."""

    async def record_unsent(self, order: Order, *, at: datetime, code: str, reason: str) -> None:
        """pending → failed: the order surely never left."""

    async def record_result(
        self,
        order: Order,
        *,
        evidence: OrderEvidence,
        fills: Sequence[Fill],
        result: OrderResult,
        position: Position | None,
        spent: Decimal | None,
        fill_model: str | None,
    ) -> None:
        """How an order ended, in one transaction: order, fills, position, trade log entry and, when `spent` is given,
        the settled reservation of its decision (None keeps it held for a further attempt). Repeating it changes
        nothing. A `pending` order passes through submitted first (recovery finds such orders)."""

    async def settle_reservation(self, decision_id: DecisionId, *, spent: Decimal, at: datetime) -> None:
        """End a reservation: settled with what was spent, released when that is zero. Repeating it changes nothing."""

    async def follow_up(self, order: Order, fence: int) -> IntentResult:
        """Make a further attempt of an already recorded decision durable before it is sent."""

    async def record_schedule(self, account_id: AccountId, schedule: ListingSchedule, *, at: datetime) -> None:
        """Bring the stored schedule up to date. Repeating it changes nothing.

        A stored listing that the schedule does not name ends, once every source that announced it has been heard:
        as opened when its time has come, else as cancelled.
        """

    async def record_clock(self, venue: Venue, reading: ClockReading) -> None:
        """Keep one measurement of a venue's clock. Repeating it changes nothing."""

    async def record_event(
        self, *, at: datetime, level: str, category: str, message: str, details: dict[str, Any], actor: str
    ) -> None: ...

    async def record_health(self, component: str, status: str, at: datetime, details: dict[str, Any]) -> None: ...

    async def raise_alert(self, alert: Alert, *, actor: str) -> None:
        """Open an alert, or count up the open one of the same kind and subject, and tell it as an event. Repeating
        the same raise changes nothing."""

    async def resolve_alert(self, kind: str, subject: str, *, reason: str, at: datetime, actor: str) -> None:
        """End the open alert of this kind and subject, if there is one, and tell it as an event."""

    def changes(self) -> AsyncIterator[str]:
        """Topics that other processes notified: runs, settings, kill_switch, listings, accounts. Yields `reconnected`
        after the connection was lost, because notifications may have been missed."""
