"""What an account's engine is built from."""

from typing import Protocol

from msgspec import Struct

from signalbox.domain.configuration import Account
from signalbox.domain.orders import Mode
from signalbox.domain.ports import Clock, EventSink, IdSource, Ledger, ListingFeed, MarketData, OrderVenue


class AccountVenues(Struct, frozen=True, kw_only=True):
    """What one account trades on. Without credentials there is no live entry in `orders`, and `live_refusal` says
    what is missing and how to give it."""

    market: MarketData
    feed: ListingFeed
    orders: dict[Mode, OrderVenue]
    live_refusal: str | None = None


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
