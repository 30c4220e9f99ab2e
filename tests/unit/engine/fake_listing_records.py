# ruff: noqa: ARG002 - a fake takes all that its port takes
"""The listings' records in memory, as a part of the fake ledger."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct

from signalbox.domain.configuration import Venue
from signalbox.domain.decisions import explained
from signalbox.domain.ids import AccountId, SignalId, listing_signal_id
from signalbox.domain.listing_records import (
    MARKS_MIN,
    Conclusion,
    FirstBook,
    ListingFacts,
    ListingNote,
    ListingOutcome,
    MarketSeen,
    MissCode,
    OrderFacts,
    RaceEntry,
    TradableProof,
    Unfinished,
    Watch,
    mark_window,
    proof_of,
)
from signalbox.domain.risk.checks import CheckKind, CheckVerdict

Key = tuple[AccountId, SignalId]


class RecordRow(Struct, kw_only=True):
    """One listing of one account as the ledger has it."""

    symbol: str
    first_seen_at: datetime
    quote_amount: Decimal | None = None
    sightings: tuple[RaceEntry, ...] = ()
    conclusion: Conclusion = Conclusion(outcome=ListingOutcome.PENDING)
    proof: TradableProof | None = None
    api_tradable: bool | None = None
    book: FirstBook | None = None
    bids: dict[int, Decimal] = {}


class ListingRows(Struct, kw_only=True):
    """What survives a crash."""

    records: dict[Key, RecordRow] = {}
    symbols: dict[Venue, set[str]] = {}

    def of(self, symbol: str) -> RecordRow:
        """The only record of a symbol."""
        (found,) = [row for row in self.records.values() if row.symbol == symbol]
        return found


class FakeListingRecords:
    """The ListingLedger port; a mixin of FakeLedger."""

    db: Any

    async def _enter(self, method: str) -> Any:
        raise NotImplementedError

    async def _leave(self, fault: Any) -> None:
        raise NotImplementedError

    @property
    def _rows(self) -> ListingRows:
        rows: ListingRows = self.db.listing_rows
        return rows

    async def note_listing(self, note: ListingNote, *, at: datetime) -> None:
        fault = await self._enter("note_listing")
        first = note.sightings[0]
        row = self._rows.records.setdefault(
            (note.watch.account_id, note.listing_id),
            RecordRow(symbol=note.symbol, first_seen_at=first.seen_at, quote_amount=note.watch.quote_amount),
        )
        row.sightings, row.first_seen_at = note.sightings, min(row.first_seen_at, first.seen_at)
        row.proof = row.proof or proof_of(note.sightings)
        self._rows.symbols.setdefault(note.watch.venue, set()).add(note.symbol)
        await self._leave(fault)

    async def note_markets(self, watch: Watch, markets: Sequence[MarketSeen], *, at: datetime) -> Sequence[str]:
        fault = await self._enter("note_markets")
        is_first = watch.venue not in self._rows.symbols
        known = self._rows.symbols.setdefault(watch.venue, set())
        new = [market for market in markets if market.symbol not in known]
        known.update(market.symbol for market in markets)
        for market in () if is_first else new:
            listed_at = market.opens_at or at.replace(second=0, microsecond=0)
            self._rows.records[watch.account_id, listing_signal_id(market.symbol, listed_at)] = RecordRow(
                symbol=market.symbol,
                first_seen_at=at,
                quote_amount=watch.quote_amount,
                conclusion=Conclusion(outcome=ListingOutcome.MISSED, code=MissCode.NO_RUN, reason="nobody watched"),
            )
        await self._leave(fault)
        return [] if is_first else [market.symbol for market in new]

    async def adopt_listings(self, account_id: AccountId, *, since: datetime, at: datetime) -> int:
        fault = await self._enter("adopt_listings")
        lost = [
            intent
            for intent in self.db.decisions.values()
            if intent.signal is not None
            and intent.decision.account_id == account_id
            and intent.decision.decided_at >= since
            and (account_id, intent.signal.id) not in self._rows.records
        ]
        for intent in lost:
            self._rows.records[account_id, intent.signal.id] = RecordRow(
                symbol=intent.signal.symbol,
                first_seen_at=intent.signal.detected_at,
                quote_amount=intent.decision.inputs.configuration.quote_amount,
            )
        await self._leave(fault)
        return len(lost)

    async def listing_facts(
        self, account_id: AccountId, *, also: Sequence[SignalId] = (), at: datetime
    ) -> Sequence[ListingFacts]:
        await self._enter("listing_facts")
        facts = [self._facts(key, row) for key, row in self._rows.records.items() if key[0] == account_id]
        return [
            one
            for one in facts
            if one.outcome is ListingOutcome.PENDING
            or one.listing_id in also
            or (one.outcome is ListingOutcome.MISSED and any(order.bought for order in one.orders))
        ]

    def _facts(self, key: Key, row: RecordRow) -> ListingFacts:
        account_id, listing_id = key
        facts = ListingFacts(
            account_id=account_id, listing_id=listing_id, symbol=row.symbol, outcome=row.conclusion.outcome
        )
        for intent in self.db.decisions.values():
            decision = intent.decision
            if decision.cause.listing_signal_id != listing_id or decision.account_id != account_id:
                continue
            failed = [
                check.name
                for check in explained(decision).checks
                if check.verdict is CheckVerdict.FAILED and check.kind is CheckKind.LIMIT
            ]
            return ListingFacts(
                account_id=account_id,
                listing_id=listing_id,
                symbol=row.symbol,
                outcome=row.conclusion.outcome,
                decision_id=decision.id,
                verdict=decision.verdict,
                decision_reason=decision.reason,
                skip_code=decision.skip_code,
                failed_limit=failed[0] if failed else None,
                api_tradable=row.api_tradable,
                orders=tuple(
                    OrderFacts(
                        status=order.status,
                        bought=order.result is not None and order.result.executed_quantity > 0,
                        error_code=order.code,
                        error_reason=order.reason,
                    )
                    for order in self.db.orders.values()
                    if order.order.decision_id == decision.id
                ),
            )
        return facts

    async def conclude_listing(
        self, account_id: AccountId, listing_id: SignalId, conclusion: Conclusion, *, at: datetime
    ) -> None:
        fault = await self._enter("conclude_listing")
        row = self._rows.records[account_id, listing_id]
        if row.conclusion.outcome is not ListingOutcome.TRADED:
            row.conclusion = conclusion
        await self._leave(fault)

    async def note_market(
        self,
        account_id: AccountId,
        listing_id: SignalId,
        *,
        api_tradable: bool,
        proof: TradableProof | None,
        at: datetime,
    ) -> None:
        fault = await self._enter("note_market")
        row = self._rows.records[account_id, listing_id]
        row.api_tradable, row.proof = api_tradable, row.proof or proof
        await self._leave(fault)

    async def note_first_book(
        self, account_id: AccountId, listing_id: SignalId, book: FirstBook, *, at: datetime
    ) -> None:
        fault = await self._enter("note_first_book")
        row = self._rows.records[account_id, listing_id]
        row.book = row.book or book
        await self._leave(fault)

    async def note_bid(
        self, account_id: AccountId, listing_id: SignalId, minutes: int, bid: Decimal, *, at: datetime
    ) -> None:
        fault = await self._enter("note_bid")
        row = self._rows.records[account_id, listing_id]
        row.bids = {minutes: bid, **row.bids}
        await self._leave(fault)

    async def unfinished_listings(self, account_id: AccountId, *, at: datetime) -> Sequence[Unfinished]:
        await self._enter("unfinished_listings")
        found = []
        for (owner, listing_id), row in self._rows.records.items():
            if owner != account_id or row.quote_amount is None or row.first_seen_at < at - timedelta(minutes=45):
                continue
            missing = [minutes for minutes in MARKS_MIN if minutes not in row.bids]
            if row.book is not None:
                missing = [minutes for minutes in missing if at <= mark_window(row.book.read_at, minutes)[1]]
            if missing:
                found.append(
                    Unfinished(
                        account_id=owner,
                        listing_id=listing_id,
                        symbol=row.symbol,
                        first_seen_at=row.first_seen_at,
                        quote_amount=row.quote_amount,
                        book_read_at=row.book.read_at if row.book else None,
                        missing_min=tuple(missing),
                    )
                )
        return found
