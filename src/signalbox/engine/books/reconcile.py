"""Reconciliation: our books beside the venue's, at the start and once a minute, and when a hint asks for it.

Every order of the account in the markets that matter is compared: ours with what we recorded, the others are written
down as external. Reads leave the reserve of the venue's request limit to orders; what does not fit into one round waits
for the next.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from signalbox.domain.backoff import backoff
from signalbox.domain.configuration import Account, live_allowed
from signalbox.domain.errors import (
    CredentialsRefused,
    LedgerUnavailable,
    VenueRefused,
    VenueThrottled,
    VenueUnavailable,
)
from signalbox.domain.ids import OrderId
from signalbox.domain.money import plain
from signalbox.domain.orders import Mode
from signalbox.domain.ports import Clock, EventSink, Ledger, OpenOrder, OrderVenue
from signalbox.domain.reconciliation import ClosedOrder, Difference, DifferenceKind, Reconciliation, WalletLine
from signalbox.domain.venue_records import AccountUpdate, BalanceUpdate, OrderUpdate, StreamOpened, VenueOrder
from signalbox.engine.asking import asked
from signalbox.engine.books.balances import Wallet
from signalbox.engine.books.hints import Hints
from signalbox.engine.books.late_fills import LateFills
from signalbox.engine.desk import Desk

ROUND_S = 60.0
"""Pause between rounds."""

HINT_GAP_S = 2.0
"""Looks at single markets that hints ask for are at least this far apart; twice as far after each failure in a row."""

HINTED_ROUND_S = 10.0
"""The same for whole rounds that hints ask for."""

RECENT = timedelta(minutes=10)
"""Orders closed within this time are compared in each round."""

AT_START = timedelta(hours=24)
"""The same for the first comparison of an engine."""

MOST_SYMBOLS = 15
MOST_SYMBOLS_AT_START = 30
"""Markets looked at in one round: each costs 13 of the venue's 500 units of weight per 10 s and account."""

HANGS_AFTER = timedelta(seconds=60)
"""An order this old that nobody follows, seen so in two rounds, hangs."""

CLOCK_SLACK = timedelta(seconds=60)
PATIENT_TRIES = 4
LONGEST_PATIENCE_S = 10.0
LIST_LIMIT_S = 20.0
"""Two reads, each of which may first wait for room in the request limit."""

FAILURES_TOLD = 3


class Look(Struct, frozen=True, kw_only=True):
    """What one look is about: these symbols only, or everything that is due (`symbols` None)."""

    symbols: frozenset[str] | None = None
    at_start: bool = False


class Reconciler:
    """Compares one account's live books with its venue's.

    `compared`: the first comparison is done, and no order that we had given up was open at the venue any more.
    `on_hanging` is handed orders that nobody follows; `is_carried` knows the client order ids of orders on their way.
    """

    def __init__(
        self,
        account: Account,
        desk: Desk,
        ledger: Ledger,
        venues: Mapping[Mode, OrderVenue],
        *,
        late_fills: LateFills,
        wallet: Wallet,
        hints: Hints,
        clock: Clock,
        journal: EventSink,
        on_hanging: Callable[[Sequence[OpenOrder]], object],
        is_carried: Callable[[str], bool],
    ) -> None:
        self.compared = False
        self._is_carried = is_carried
        self._account = account
        self._desk = desk
        self._ledger = ledger
        self._venues = venues
        self._late_fills = late_fills
        self._wallet = wallet
        self._hints = hints
        self._clock = clock
        self._journal = journal
        self._on_hanging = on_hanging
        self._component = f"reconciliation:{account.label}"
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._hinted: dict[str, None] = {}
        self._whole_asked = False
        self._looked_ns = self._whole_ns = clock.monotonic_ns()
        self._unchecked: dict[str, None] = {}
        self._last_look: dict[str, datetime] = {}
        self._suspects: set[OrderId] = set()
        self._failures = 0
        self._has_history = False

    @property
    def concerned(self) -> bool:
        """Whether there is live business to compare: without it nothing is asked, so that simulation needs no key."""
        if Mode.LIVE not in self._venues:
            return False
        holds_live = any(position.mode is Mode.LIVE for position in self._desk.positions.values())
        return self._has_history or holds_live or live_allowed(self._desk.settings)

    async def start(self) -> None:
        """Compare until the first comparison is done. Refused credentials end the attempts: no live run starts with
        them, and `run` goes on trying."""
        since = self._clock.now() - AT_START
        delays = backoff(first_s=0.5, longest_s=10.0)
        while not self.compared:
            try:
                self._has_history = bool(await self._ledger.closed_orders(self._account.id, since))
                if not self.concerned:
                    return
                async with self._turn:
                    if not self.compared:
                        await self._look(Look(at_start=True))
                if not self.compared:
                    await asyncio.sleep(next(delays))
            except CredentialsRefused as error:
                self._failed(str(error))
                return
            except (VenueUnavailable, VenueRefused, LedgerUnavailable) as error:
                self._failed(str(error))
                await asyncio.sleep(next(delays))

    async def run(self) -> None:
        """Compare once a minute, and when hints ask for it, until cancelled."""
        while True:
            look = await self._next_look()
            if not self.concerned:
                self._whole_ns = self._clock.monotonic_ns()
                continue
            try:
                async with self._turn:
                    await self._look(look)
            except (VenueUnavailable, VenueRefused, LedgerUnavailable) as error:
                self._failed(str(error))

    async def watch(self) -> None:
        """Listen to the venue's private stream, from the first live business on, until cancelled."""
        while not self.concerned:  # noqa: ASYNC110 - settings are reloaded by polling as well
            await asyncio.sleep(HINT_GAP_S)
        await self._venues[Mode.LIVE].watch(self.on_update)

    def on_update(self, update: AccountUpdate) -> None:
        """A hint of the private stream. Whoever follows the order asks at once; about others we look ourselves."""
        match update:
            case OrderUpdate():
                if self._is_followed(update):
                    return
                self._hinted[update.symbol] = None
            case BalanceUpdate(by_order=by_order):
                if by_order:
                    return
                self._whole_asked = True
            case StreamOpened():
                self._whole_asked = True
        self._wake.set()

    def _is_followed(self, update: OrderUpdate) -> bool:
        """Tell whoever follows the order; an order whose send is not answered yet has nobody to tell."""
        name = update.client_order_id
        return self._hints.tell(update) or (name is not None and self._is_carried(name))

    async def _next_look(self) -> Look:
        while True:
            now_ns = self._clock.monotonic_ns()
            since_look_s, since_whole_s = (now_ns - self._looked_ns) / 1e9, (now_ns - self._whole_ns) / 1e9
            whole_in_s = (HINTED_ROUND_S if self._whole_asked else ROUND_S) - since_whole_s
            hinted_in_s = min(ROUND_S, HINT_GAP_S * 2 ** min(self._failures, 6)) - since_look_s
            if whole_in_s <= 0:
                return Look()
            if self._hinted and hinted_in_s <= 0:
                return Look(symbols=frozenset(list(self._hinted)[:MOST_SYMBOLS]))
            wait_s = min(whole_in_s, hinted_in_s) if self._hinted else whole_in_s
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    async def _look(self, look: Look) -> None:
        """One comparison. Raises VenueUnavailable or VenueRefused when the venue could not be asked for all of it."""
        started, whole = self._clock.now(), look.symbols is None
        self._looked_ns = self._clock.monotonic_ns()
        if whole:
            self._whole_ns, self._whole_asked = self._looked_ns, False
        closed = await self._closed(look, started)
        by_symbol: defaultdict[str, list[ClosedOrder]] = defaultdict(list)
        for order in closed:
            by_symbol[order.order.symbol].append(order)
        symbols = self._symbols(look, by_symbol)
        found, failed = await self._compare(symbols, by_symbol, started)
        lines: list[WalletLine] = []
        if whole:
            more_lines, more_found = await self._wallet.look()
            lines, found = more_lines, [*found, *more_found, *await self._hanging()]
        checked = sum(len(by_symbol[symbol]) for symbol in symbols)
        await self._record(started, checked, found, lines, whole=whole)
        self._turn_over(symbols, failed, started)
        if failed:
            raise VenueUnavailable(next(iter(failed.values())))
        self._done(found, whole=whole)
        if whole:
            self._hint_moved(by_symbol)

    async def _closed(self, look: Look, started: datetime) -> Sequence[ClosedOrder]:
        far = look.at_start or look.symbols is not None or bool(self._unchecked) or not self.compared
        return await self._ledger.closed_orders(self._account.id, started - (AT_START if far else RECENT))

    def _symbols(self, look: Look, by_symbol: dict[str, list[ClosedOrder]]) -> list[str]:
        """Which markets to look at now: hinted ones and those with recent orders or a position, of these the ones that
        waited longest; then older ones."""
        if look.symbols is not None:
            return sorted(look.symbols)
        newest = sorted(by_symbol, key=lambda symbol: by_symbol[symbol][-1].completed_at, reverse=True)
        if not self.compared:
            self._unchecked = dict.fromkeys(newest)
        recent = self._clock.now() - RECENT
        fresh = [symbol for symbol in newest if by_symbol[symbol][-1].completed_at >= recent]
        held = [p.symbol for p in self._desk.positions.values() if p.mode is Mode.LIVE]
        pressing = list(dict.fromkeys([*self._hinted, *fresh, *held]))
        if self.compared:
            never = datetime.min.replace(tzinfo=UTC)
            pressing.sort(key=lambda symbol: self._last_look.get(symbol, never))
        wanted = dict.fromkeys([*pressing, *self._unchecked])
        return list(wanted)[: MOST_SYMBOLS_AT_START if look.at_start else MOST_SYMBOLS]

    async def _compare(
        self, symbols: Sequence[str], by_symbol: dict[str, list[ClosedOrder]], started: datetime
    ) -> tuple[list[Difference], dict[str, str]]:
        """Differences, and the markets of which something could not be asked, with the reason."""
        found: list[Difference] = []
        failed: dict[str, str] = {}
        pairs: list[tuple[ClosedOrder, VenueOrder | None]] = []
        for symbol in symbols:
            closed = by_symbol.get(symbol, [])
            since = min((c.order.created_at for c in closed), default=started - RECENT)
            try:
                listed = await self._listed(symbol, since - CLOCK_SLACK)
            except CredentialsRefused:
                raise
            except (VenueUnavailable, VenueRefused) as error:
                failed[symbol] = str(error)
                continue
            found += await self._external(listed)
            by_id = {order.client_order_id: order for order in listed}
            pairs += [(order, by_id.get(order.order.client_order_id)) for order in closed]
        async with asyncio.TaskGroup() as tasks:
            for order, seen in pairs:
                tasks.create_task(self._compare_one(order, seen, found, failed))
        return found, failed

    async def _listed(self, symbol: str, since: datetime) -> Sequence[VenueOrder]:
        """The account's orders in a market. Waits a little when the request limit is used up: the next round would
        begin with the same markets again."""
        for _ in range(PATIENT_TRIES):
            question = self._venues[Mode.LIVE].recent_orders(symbol, since)
            try:
                return await asked(question, what=f"the orders in {symbol}", within_s=LIST_LIMIT_S)
            except VenueThrottled as error:
                pause_s = error.retry_after_s or LONGEST_PATIENCE_S
                if pause_s > LONGEST_PATIENCE_S:
                    raise
                await asyncio.sleep(pause_s)
        raise VenueThrottled(f"the orders in {symbol} were not listed: the request limit is used up")

    async def _compare_one(
        self, closed: ClosedOrder, listed: VenueOrder | None, found: list[Difference], failed: dict[str, str]
    ) -> None:
        try:
            difference = await self._late_fills.compare(closed, listed)
        except (VenueUnavailable, VenueRefused) as error:
            failed[closed.order.symbol] = str(error)
            return
        if difference is not None:
            found.append(difference)

    async def _external(self, listed: Sequence[VenueOrder]) -> list[Difference]:
        """Write down orders that are not ours; told once each. An order is in our ledger before it is sent."""
        names = [order.client_order_id for order in listed if order.client_order_id is not None]
        own = await self._ledger.own_client_order_ids(self._account.id, names) if names else frozenset()
        foreign = [order for order in listed if order.client_order_id not in own]
        if not foreign:
            return []
        new = await self._ledger.record_external_orders(self._account.id, foreign, self._clock.now())
        return [self._tell_external(order) for order in new]

    def _tell_external(self, order: VenueOrder) -> Difference:
        told = (
            f"{order.symbol}: {order.kind} {order.side} order {order.exchange_order_id} is not ours"
            f" ({order.status}, {plain(order.evidence.executed_quantity)} of {plain(order.quantity)} executed)"
        )
        self._journal.alert(
            "external_order",
            f"{self._account.label} {order.symbol}",
            told,
            exchange_order_id=order.exchange_order_id,
            client_order_id=order.client_order_id,
        )
        return Difference(
            kind=DifferenceKind.EXTERNAL_ORDER,
            subject=order.symbol,
            message=told,
            settled=True,
            details={"exchange_order_id": order.exchange_order_id},
        )

    async def _hanging(self) -> list[Difference]:
        """Orders without an end that nobody follows: hand them to recovery."""
        now = self._clock.now()
        orphans = [
            open_order
            for open_order in await self._ledger.open_orders(self._account.id)
            if now - open_order.meant_for > HANGS_AFTER
            and not self._hints.follows(open_order.order.id)
            and not self._is_carried(open_order.order.client_order_id)
        ]
        hanging = [orphan for orphan in orphans if orphan.order.id in self._suspects]
        self._suspects = {orphan.order.id for orphan in orphans} - {orphan.order.id for orphan in hanging}
        if hanging:
            self._on_hanging(hanging)
        return [
            Difference(
                kind=DifferenceKind.HANGING,
                subject=orphan.order.symbol,
                message=f"{orphan.status} since {orphan.order.created_at.isoformat()}, followed by nobody: taken up",
                settled=False,
                details={"order_id": str(orphan.order.id)},
            )
            for orphan in hanging
        ]

    def _hint_moved(self, traded: Iterable[str]) -> None:
        """Something was traded or moved without us, or before the venue shows it: look at the markets of that asset
        once more."""
        moved = self._wallet.moved
        ours = [symbol for symbol in traded if any(symbol.startswith(asset) for asset in moved)]
        others = [i.symbol for i in self._desk.instruments.values() if i.base in moved]
        self._hinted.update(dict.fromkeys([*ours, *others][:MOST_SYMBOLS]))

    async def _record(
        self, started: datetime, checked: int, found: Iterable[Difference], lines: Sequence[WalletLine], *, whole: bool
    ) -> None:
        done = Reconciliation(
            account_id=self._account.id,
            started_at=started,
            finished_at=self._clock.now(),
            orders_checked=checked,
            differences=tuple(found),
        )
        if whole or done.differences:
            await self._ledger.record_reconciliation(done, lines)

    def _turn_over(self, symbols: Sequence[str], failed: Mapping[str, str], at: datetime) -> None:
        """These markets had their turn: one that could not be looked at waits behind the others, and keeps nobody from
        being done."""
        for symbol in symbols:
            for queue in (self._hinted, self._unchecked):
                if symbol in queue:
                    del queue[symbol]
                    if symbol in failed:
                        queue[symbol] = None
        oldest = at - AT_START
        kept = {symbol: looked for symbol, looked in self._last_look.items() if looked > oldest}
        self._last_look = kept | dict.fromkeys(symbols, at)

    def _done(self, found: Sequence[Difference], *, whole: bool) -> None:
        self._failures = 0
        if not whole:
            return
        self.compared = self.compared or not any(d.kind is DifferenceKind.STILL_OPEN for d in found)
        left = [d for d in found if not d.settled and d.kind is not DifferenceKind.POSITION_MISMATCH]
        label = self._account.label
        if left:
            told = f"the books of {label} differ from the venue's: {left[0].subject}: {left[0].message}"
            self._journal.alert("reconciliation", label, told, differences=len(left))
        else:
            self._journal.resolve("reconciliation", label, "the books agree with the venue's")
        status = "degraded" if any(not difference.settled for difference in found) else "running"
        self._journal.health(self._component, status, differences=len(found), compared_at=self._clock.now())

    def _failed(self, reason: str) -> None:
        self._failures += 1
        label = self._account.label
        self._journal.health(self._component, "degraded", reason=reason)
        if self._failures == FAILURES_TOLD:
            told = f"the books of {label} could not be compared with the venue's: {reason}"
            self._journal.alert("reconciliation", label, told)
