"""The wallet beside the books: do our positions really lie there, and what moved that no order of ours explains?"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal

from signalbox.domain.configuration import Account
from signalbox.domain.errors import VenueRefused, VenueUnavailable
from signalbox.domain.money import ZERO, plain, total
from signalbox.domain.orders import Mode, Side
from signalbox.domain.ports import EventSink, Ledger, MarketData, OrderVenue
from signalbox.domain.reconciliation import Difference, DifferenceKind, Flows, WalletLine
from signalbox.domain.venue_records import Balance
from signalbox.engine.asking import asked
from signalbox.engine.desk import Desk

LOOKS = 3
"""How often a look is repeated when an order was settled in the middle of it."""

NOISE = Decimal("0.00000001")
"""Movements up to this are rounding."""

_QUOTES = ("USDT", "USDC", "USD1", "BTC", "ETH", "EUR")
"""Quote assets to read a symbol by that the venue does not know any more."""


class Wallet:
    """Looks at the wallet of one account."""

    def __init__(
        self,
        account: Account,
        desk: Desk,
        ledger: Ledger,
        venues: Mapping[Mode, OrderVenue],
        market: MarketData,
        *,
        journal: EventSink,
    ) -> None:
        self._account = account
        self._desk = desk
        self._ledger = ledger
        self._venues = venues
        self._market = market
        self._journal = journal
        self._assets: dict[str, tuple[str, str]] = {}
        self._fits: dict[str, bool] = {}
        self.moved: frozenset[str] = frozenset()
        """Assets that moved without us at the last look."""

    async def look(self) -> tuple[list[WalletLine], list[Difference]]:
        """Compare. The assets of symbols with an order in flight are left out until it is settled: the wallet may be
        ahead of the books. Raises VenueUnavailable, VenueRefused or LedgerUnavailable."""
        for _ in range(LOOKS):
            flows = await self._ledger.live_flows(self._account.id)
            balances = await asked(self._venues[Mode.LIVE].balances(), what="the balances")
            if flows == await self._ledger.live_flows(self._account.id):
                return await self._compare(flows, balances)
        return [], []

    async def _compare(self, flows: Flows, balances: Sequence[Balance]) -> tuple[list[WalletLine], list[Difference]]:
        await self._learn_pairs({flow.symbol for flow in flows.markets} | flows.held.keys() | flows.busy)
        before = {line.balance.asset: line for line in await self._ledger.wallet(self._account.id)}
        now = {balance.asset: balance for balance in balances}
        traded, booked = await self._traded(flows), await self._booked(flows)
        busy = {asset for symbol in flows.busy for asset in await self._pair(symbol)}
        lines, differences, moved = [], [], set()
        for asset in sorted((now.keys() | before.keys() | traded.keys() | booked.keys()) - busy):
            line = WalletLine(
                balance=now.get(asset, Balance(asset=asset, free=ZERO)),
                booked=booked.get(asset, ZERO),
                traded=traded.get(asset, ZERO),
            )
            movement = _movement(before.get(asset), line) if before else ZERO
            if abs(movement) > NOISE:
                moved.add(asset)
                line = WalletLine(
                    balance=line.balance, booked=line.booked, traded=line.traded, external_movement=movement
                )
                differences.append(self._tell_movement(asset, movement, line))
            lines.append(line)
            if not self._fit(line):
                differences.append(_mismatch(line))
        self.moved = frozenset(moved)
        return lines, differences

    def _tell_movement(self, asset: str, movement: Decimal, line: WalletLine) -> Difference:
        told = f"the wallet moved by {plain(movement)} {asset} that no order of ours explains"
        self._journal.event(
            "info", "trading", told, account=self._account.label, asset=asset, total=str(line.balance.total)
        )
        return Difference(
            kind=DifferenceKind.EXTERNAL_MOVEMENT,
            subject=asset,
            message=told,
            settled=True,
            details={"movement": plain(movement)},
        )

    def _fit(self, line: WalletLine) -> bool:
        """Whether the wallet holds what our positions say; told when that changes."""
        asset, fits = line.balance.asset, line.balance.total >= line.booked
        if self._fits.get(asset) == fits or (fits and not line.booked and asset not in self._fits):
            return fits
        self._fits[asset] = fits
        subject = f"{self._account.label} {asset}"
        if fits:
            self._journal.resolve(
                "position_mismatch",
                subject,
                f"the wallet holds {plain(line.balance.total)}, enough for {plain(line.booked)}",
            )
        else:
            self._journal.alert(
                "position_mismatch", subject, _mismatch(line).message, severity="critical", account=self._account.label
            )
        return fits

    async def _traded(self, flows: Flows) -> dict[str, Decimal]:
        moved: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        for flow in flows.markets:
            base, quote = await self._pair(flow.symbol)
            bought = flow.side is Side.BUY
            moved[base] = total((moved[base], flow.quantity if bought else flow.quantity.copy_negate()))
            moved[quote] = total((moved[quote], flow.quote.copy_negate() if bought else flow.quote))
        for asset, fee in flows.fees.items():
            moved[asset] = total((moved[asset], fee.copy_negate()))
        return dict(moved)

    async def _booked(self, flows: Flows) -> dict[str, Decimal]:
        held: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        for symbol, quantity in flows.held.items():
            base, _ = await self._pair(symbol)
            held[base] = total((held[base], quantity))
        return dict(held)

    async def _learn_pairs(self, symbols: AbstractSet[str]) -> None:
        """After a start nothing is known of all that was ever traded: one list tells as much as a question for each,
        and leaves the request limit to orders. What is not on it the venue does not know any more."""
        strange = symbols - self._assets.keys() - self._desk.instruments.keys()
        if len(strange) < 2:
            return
        try:
            listed = await asked(self._market.instruments(), what="the market list")
        except VenueRefused as error:
            raise VenueUnavailable(str(error)) from error
        known = {one.symbol: (one.base, one.quote) for one in listed if one.symbol in strange}
        self._assets |= {symbol: known.get(symbol) or _by_letters(symbol) for symbol in strange}

    async def _pair(self, symbol: str) -> tuple[str, str]:
        """Base and quote of a symbol: by the venue's rules, or by its letters when the venue has dropped it."""
        if symbol not in self._assets:
            known = self._desk.instruments.get(symbol)
            if known is None:
                try:
                    known = await asked(self._market.instrument(symbol, poll=True), what=f"the rules of {symbol}")
                except VenueRefused as error:
                    raise VenueUnavailable(str(error)) from error
            self._assets[symbol] = (known.base, known.quote) if known else _by_letters(symbol)
        return self._assets[symbol]


def _by_letters(symbol: str) -> tuple[str, str]:
    quote = next((quote for quote in _QUOTES if symbol.endswith(quote)), "USDT")
    return symbol.removesuffix(quote), quote


def _movement(before: WalletLine | None, now: WalletLine) -> Decimal:
    """What changed in the wallet beyond what our fills moved."""
    was, traded = (before.balance.total, before.traded) if before else (ZERO, ZERO)
    return total((now.balance.total, was.copy_negate(), now.traded.copy_negate(), traded))


def _mismatch(line: WalletLine) -> Difference:
    asset = line.balance.asset
    return Difference(
        kind=DifferenceKind.POSITION_MISMATCH,
        subject=asset,
        message=f"our positions hold {plain(line.booked)} {asset}, the wallet only {plain(line.balance.total)}",
        settled=False,
        details={"booked": plain(line.booked), "wallet": plain(line.balance.total)},
    )
