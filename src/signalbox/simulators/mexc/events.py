"""What the exchange tells its websocket: one call per thing that happened."""

from decimal import Decimal
from typing import Protocol

from signalbox.simulators.mexc.accounts import Account
from signalbox.simulators.mexc.orders import Order, OwnTrade
from signalbox.simulators.mexc.pairs import Pair
from signalbox.simulators.mexc.tape import PublicTrade


class Publisher(Protocol):
    """Receives events; must return at once and never raise."""

    def pair_opened(self, pair: Pair) -> None:
        """A pair began to trade."""
        ...

    def traded(self, pair: Pair, trade: PublicTrade) -> None:
        """A public trade."""
        ...

    def book_changed(self, pair: Pair) -> None:
        """The order book differs from before."""
        ...

    def order_changed(self, order: Order) -> None:
        """An order was taken, filled or cancelled."""
        ...

    def own_trade(self, trade: OwnTrade) -> None:
        """An account's order traded."""
        ...

    def balance_changed(
        self, account: Account, asset: str, free_change: Decimal, locked_change: Decimal, reason: str
    ) -> None:
        """A balance moved; the account already holds the new amounts."""
        ...


class NobodyListens:
    """A publisher for an exchange without websocket."""

    def pair_opened(self, pair: Pair) -> None:
        """Ignore."""

    def traded(self, pair: Pair, trade: PublicTrade) -> None:
        """Ignore."""

    def book_changed(self, pair: Pair) -> None:
        """Ignore."""

    def order_changed(self, order: Order) -> None:
        """Ignore."""

    def own_trade(self, trade: OwnTrade) -> None:
        """Ignore."""

    def balance_changed(
        self, account: Account, asset: str, free_change: Decimal, locked_change: Decimal, reason: str
    ) -> None:
        """Ignore."""
