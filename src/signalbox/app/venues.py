"""Builds the adapters of an account. The only place where credentials meet an exchange."""

from functools import partial

from signalbox.app.live_keys import MexcKeys
from signalbox.app.secrets import CredentialSource
from signalbox.app.settings import Settings
from signalbox.domain.configuration import Account, Venue
from signalbox.domain.errors import ConfigError
from signalbox.domain.orders import Mode
from signalbox.domain.ports import Clock, EventSink, OrderVenue
from signalbox.engine.account import AccountVenues
from signalbox.venues.backoff import Jitter
from signalbox.venues.mexc.client import MexcPublic, open_orders
from signalbox.venues.mexc.limits import MexcLimits
from signalbox.venues.paper.venue import PaperVenue


class RealVenues:
    """VenueFactory over the addresses of the settings. Simulation gets no credentials at all."""

    def __init__(self, settings: Settings, credentials: CredentialSource, *, clock: Clock, jitter: Jitter) -> None:
        self._settings = settings
        self._credentials = credentials
        self._clock = clock
        self._jitter = jitter
        self._limits: MexcLimits | None = None

    async def open(self, account: Account, journal: EventSink) -> AccountVenues:
        """The adapters of one account. Raises ConfigError for a venue that is not supported."""
        if account.venue is not Venue.MEXC:
            raise ConfigError(f"account {account.label}: trading on {account.venue} is not supported yet")
        endpoints = self._settings.mexc
        if self._limits is None:
            self._limits = MexcLimits(self._clock, journal)  # one for all accounts: the venue limits addresses
        market = MexcPublic(endpoints, clock=self._clock, events=journal, jitter=self._jitter, limits=self._limits)
        orders: dict[Mode, OrderVenue] = {Mode.SIMULATION: PaperVenue(market, clock=self._clock)}
        connect = partial(
            open_orders,
            endpoints,
            clock=self._clock,
            events=journal,
            jitter=self._jitter,
            limits=self._limits,
            label=account.label,
            offset=market.offset,
        )
        keys = MexcKeys(account.label, self._credentials, connect)
        refusal = None
        try:
            orders[Mode.LIVE] = keys.open()
        except ConfigError as error:
            refusal = str(error)
        return AccountVenues(market=market, feed=market, orders=orders, live_refusal=refusal, keys=keys)
