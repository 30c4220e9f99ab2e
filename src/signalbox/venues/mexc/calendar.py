"""MEXC's listing calendar: an undocumented endpoint of the web site, so everything about it is taken with care."""

from signalbox.domain.errors import VenueRefused, VenueUnavailable
from signalbox.venues.mexc import parse
from signalbox.venues.mexc.rest import RestReader

HEADERS = {
    "Accept": "application/json, text/plain, */*",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36",
}
"""The site answers programs that look like a browser; others meet a challenge page (observed)."""


class MexcCalendar:
    """Reads the calendar. A page that is no JSON, such as a challenge, is a malformed answer: never 'no listings'."""

    def __init__(self, reads: RestReader) -> None:
        self._reads = reads

    async def listings(self, now_ms: int) -> tuple[list[parse.CalendarListing], list[str]]:
        """All entries, past ones included, and descriptions of those that could not be understood.
        Raises VenueUnavailable. `now_ms` only keeps caches out of the way."""
        try:
            response = await self._reads.get("", f"timestamp={now_ms}", weight=1)
        except VenueRefused as error:
            raise VenueUnavailable(str(error)) from error
        return parse.calendar(response.body)

    async def close(self) -> None:
        """Close the connection."""
        await self._reads.pool.close()
