"""Signed requests of one account that are no orders: built anew for each try, so that a signature is fresh."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from signalbox.venues.http import HttpResponse
from signalbox.venues.mexc.clock_offset import ClockOffset
from signalbox.venues.mexc.rest import RestReader
from signalbox.venues.mexc.sign import Signer, query_string

READ_RECV_WINDOW_MS: Final = 5_000


class SignedRequests:
    """Asks signed questions over one channel (MEXC spot docs, "SIGNED")."""

    def __init__(self, channel: RestReader, signer: Signer, offset: ClockOffset) -> None:
        self.channel = channel
        self._signer = signer
        self._offset = offset

    def venue_now(self) -> datetime:
        """The venue's time now, UTC."""
        return self._offset.venue_now()

    async def ask(
        self,
        path: str,
        parameters: Sequence[tuple[str, str]] = (),
        *,
        weight: int,
        method: str = "GET",
        poll: bool = False,
    ) -> HttpResponse:
        """The good answer. `poll` marks a question that may wait for a better time.

        Raises VenueThrottled, VenueUnavailable, VenueRefused or CredentialsRefused.
        """
        named = query_string(parameters)

        def query() -> str:
            timing = f"recvWindow={READ_RECV_WINDOW_MS}&timestamp={self._offset.server_ms()}"
            return self._signer.signed(f"{named}&{timing}" if named else timing)

        if not self._offset.is_fresh:
            await self._offset.measure()
        return await self.channel.get(path, query, weight=weight, method=method, poll=poll)
