"""What an account's engine is built from."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from signalbox.domain.configuration import Account
from signalbox.domain.orders import Mode
from signalbox.domain.ports import Clock, EventSink, IdSource, Ledger, ListingFeed, MarketData, OrderVenue


class ProvenKeys(Struct, frozen=True, kw_only=True):
    """Credentials that the venue takes, as the venue that orders are signed with them for. `remark`: what is wrong all
    the same, for instance that the newest secret is refused and the one before is still in use."""

    orders: OrderVenue
    remark: str | None = None


class LiveKeys(Protocol):
    """The credentials of one account, wherever they are kept."""

    def changed(self) -> bool:
        """True when a place that holds them looks different from when they were last read. Cheap."""

    async def prove(self) -> ProvenKeys:
        """Read them anew, have the venue confirm that they may trade, and sign with them from then on. Raises
        ConfigError when they are missing, CredentialsRefused, VenueRefused or VenueUnavailable."""

    def when_refused(self, tell: Callable[[str], None]) -> None:
        """Have `tell` called with a reason whenever the venue refuses them."""


class AccountVenues(Struct, frozen=True, kw_only=True):
    """What one account trades on. Without credentials there is no live entry in `orders`, and `live_refusal` says
    what is missing and how to give it; `keys` may bring it later."""

    market: MarketData
    feed: ListingFeed
    orders: dict[Mode, OrderVenue]
    live_refusal: str | None = None
    keys: LiveKeys | None = None


class VenueFactory(Protocol):
    """Builds the adapters of an account. Only `signalbox.app` knows how."""

    async def open(self, account: Account, journal: EventSink) -> AccountVenues: ...


class EngineParts(Struct, frozen=True, kw_only=True):
    """What every part of the engine is given."""

    ledger: Ledger
    venues: VenueFactory
    clock: Clock
    ids: IdSource
    journal: EventSink
    code_version: str
    holder: str
