"""The credentials of one account on MEXC: read from where they are kept, proven, and exchanged while orders go out."""

import asyncio
from collections.abc import Callable
from typing import Final

from signalbox.app.secrets import ENVIRONMENT, CredentialSource
from signalbox.domain.credentials import Credentials
from signalbox.domain.errors import ConfigError, CredentialsRefused
from signalbox.engine.parts import ProvenKeys
from signalbox.venues.mexc.orders import MexcOrders

READ_LIMIT_S: Final = 5.0
"""A keyring that wants to be unlocked may never answer."""


class MexcKeys:
    """LiveKeys of one account. `connect` builds an OrderVenue that signs with the given credentials."""

    def __init__(self, label: str, source: CredentialSource, connect: Callable[[Credentials], MexcOrders]) -> None:
        self._label = label
        self._source = source
        self._connect = connect
        self._tell: Callable[[str], None] = _nobody
        self._seen = source.look(label)
        self._held: Credentials | None = None
        self._orders: MexcOrders | None = None

    def open(self) -> MexcOrders:
        """The OrderVenue with the credentials as they are now, not proven yet. Raises ConfigError when they are
        missing."""
        return self._adopt(self._source.credentials(self._label))

    def when_refused(self, tell: Callable[[str], None]) -> None:
        """Have `tell` called with a reason whenever the venue refuses them."""
        self._tell = tell

    def changed(self) -> bool:
        """True when a file that holds them was changed since they were last read."""
        return self._source.look(self._label) != self._seen

    async def prove(self) -> ProvenKeys:
        """Read them anew and have the venue confirm that they may trade. New ones are used only when they are good, or
        when those before are not: a half-written change does not stop a bot whose key still works.

        Raises ConfigError, CredentialsRefused, VenueRefused or VenueUnavailable.
        """
        self._seen = self._source.look(self._label)
        try:
            found = await self._read()
        except ConfigError as error:
            if self._orders is None:
                raise
            return await self._go_on(self._orders, str(error))
        if self._orders is None or found == self._held:
            orders = self._adopt(found)
            try:
                await orders.check_credentials()
            except CredentialsRefused as error:
                raise self._explained(error) from None
            return ProvenKeys(orders=orders)
        try:
            await self._try(found)
        except CredentialsRefused as error:
            return await self._go_on(self._orders, str(self._explained(error)))
        return ProvenKeys(orders=self._adopt(found))

    async def _go_on(self, orders: MexcOrders, problem: str) -> ProvenKeys:
        """With the credentials from before, if they are good."""
        try:
            await orders.check_credentials()
        except CredentialsRefused as error:
            raise CredentialsRefused(problem, code=error.code) from None
        remark = f"the stored credentials are not used: {problem}; those from before still work"
        return ProvenKeys(orders=orders, remark=remark)

    async def _try(self, credentials: Credentials) -> None:
        candidate = self._connect(credentials)
        try:
            await candidate.check_credentials()
        finally:
            await candidate.close()

    def _adopt(self, credentials: Credentials) -> MexcOrders:
        if self._orders is None:
            self._orders = self._connect(credentials)
            self._orders.when_refused(self._refused)
        elif credentials != self._held:
            self._orders.use(credentials)
        self._held = credentials
        return self._orders

    def _refused(self, error: CredentialsRefused) -> None:
        self._tell(str(self._explained(error)))

    def _explained(self, error: CredentialsRefused) -> CredentialsRefused:
        """With what can be done about credentials that this process cannot read anew."""
        places = self._source.places(self._label)
        if not any(place.startswith(ENVIRONMENT) for place in places):
            return error
        text = (
            f"{error} (they come from the {' and the '.join(places)}, and the environment of a running engine does not"
            " change: restart it with the new ones, or without them and with files in the secrets directory)"
        )
        return CredentialsRefused(text, code=error.code)

    async def _read(self) -> Credentials:
        try:
            async with asyncio.timeout(READ_LIMIT_S):
                return await asyncio.to_thread(self._source.credentials, self._label)
        except TimeoutError:
            raise ConfigError(
                f"the credentials of account {self._label!r} could not be read within {READ_LIMIT_S:g} s:"
                " is the OS keyring waiting to be unlocked?"
            ) from None


def _nobody(reason: str) -> None:
    """Nobody listens yet."""
