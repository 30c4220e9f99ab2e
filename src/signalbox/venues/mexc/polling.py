"""Reading a source again and again: as often as asked for, slower when it fails, earlier when somebody wants it."""

import asyncio
from collections.abc import Awaitable, Callable

from signalbox.domain.errors import VenueRefused, VenueThrottled, VenueUnavailable
from signalbox.domain.ports import Clock
from signalbox.venues.backoff import Backoff, Jitter
from signalbox.venues.mexc.source_health import SourceHealth

_NS = 1_000_000_000


async def poll(
    read: Callable[[], Awaitable[None]],
    *,
    health: SourceHealth,
    interval_s: float,
    clock: Clock,
    jitter: Jitter,
    wanted: asyncio.Event | None = None,
) -> None:
    """Read until cancelled, earlier when `wanted` is set; after a failure wait 1, 2, 4 … 30 s, or as long as the venue
    asks. Nobody's wish cuts short what the venue asked for."""
    backoff = Backoff(jitter)
    wanted = wanted or asyncio.Event()
    while True:
        wanted.clear()
        started_ns = clock.monotonic_ns()
        try:
            await read()
        except (VenueUnavailable, VenueRefused) as error:
            health.bad(str(error))
            pause_s = pause_after(error, backoff)
            if isinstance(error, VenueThrottled):
                await asyncio.sleep(pause_s)
                await wait(wanted, max(0.0, interval_s - pause_s))
            else:
                await wait(wanted, max(interval_s, pause_s))
            continue
        backoff.reset()
        health.good()
        spent_s = (clock.monotonic_ns() - started_ns) / _NS
        await wait(wanted, max(0.0, interval_s - spent_s))


async def wait(event: asyncio.Event, timeout_s: float) -> None:
    """Until the event is set, at most so long."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return


def pause_after(error: Exception, backoff: Backoff) -> float:
    """How long to leave a source alone after this failure, in seconds."""
    asked_s = error.retry_after_s if isinstance(error, VenueThrottled) else None
    return max(backoff.next_s(), asked_s or 0.0)
