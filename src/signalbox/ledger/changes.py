"""Hearing what other processes changed: triggers notify, this listens."""

import asyncio
import logging
from collections.abc import AsyncIterator

from signalbox.domain.backoff import backoff
from signalbox.domain.errors import LedgerUnavailable
from signalbox.ledger.connecting import CONNECTION_ERRORS, Connection, UrlSource, connect, unavailable

CHANNEL = "signalbox"
RECONNECTED = "reconnected"
ALIVE_S = 15.0
"""How often a silent connection is asked whether it still lives."""

_log = logging.getLogger(__name__)


async def changes(urls: UrlSource) -> AsyncIterator[str]:
    """Topics that were changed: runs, settings, kill_switch, listings, accounts; equal ones that wait are told once.

    Yields `reconnected` whenever it begins to listen, the first time included: what happened before was not heard,
    so the listener reads everything anew. Never ends by itself; connects again for ever.
    """
    delays = backoff(first_s=1.0, longest_s=30.0)
    while True:
        try:
            async for topic in _listen(urls):
                if topic == RECONNECTED:
                    delays = backoff(first_s=1.0, longest_s=30.0)
                yield topic
        except LedgerUnavailable as error:
            delay_s = next(delays)
            _log.warning("not hearing of changes (%s); next attempt in %.0f s", error, delay_s)
            await asyncio.sleep(delay_s)


async def _listen(urls: UrlSource) -> AsyncIterator[str]:
    connection = await connect(urls, "changes")
    try:
        waiting: dict[str, None] = {RECONNECTED: None}
        wake = asyncio.Event()

        def heard(_connection: object, _pid: int, _channel: str, topic: object) -> None:
            waiting[str(topic)] = None
            wake.set()

        def lost(_connection: object) -> None:
            wake.set()

        connection.add_termination_listener(lost)
        await connection.add_listener(CHANNEL, heard)
        while True:
            while waiting:
                topic = next(iter(waiting))
                del waiting[topic]
                yield topic
            await _wait(connection, wake)
    except CONNECTION_ERRORS as error:
        raise unavailable(error) from error
    finally:
        connection.terminate()


async def _wait(connection: Connection, wake: asyncio.Event) -> None:
    """Wait until something was heard. Raises a connection error when the server is gone, however silently."""
    while not wake.is_set():
        try:
            async with asyncio.timeout(ALIVE_S):
                await wake.wait()
        except TimeoutError:
            await connection.execute("SELECT 1")
    wake.clear()
    if connection.is_closed():
        raise ConnectionResetError("the server closed the connection")
