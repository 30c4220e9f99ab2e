"""The engine as a process: builds the real parts, runs until a signal, leaves in order."""

import asyncio
import gc
import os
import random
import secrets
import signal
import socket
import sys
from importlib.metadata import version

import uvloop

from signalbox.app.database import OpenDatabase, open_database
from signalbox.app.secrets import CredentialSource
from signalbox.app.settings import Settings
from signalbox.app.venues import RealVenues
from signalbox.engine.account import EngineParts
from signalbox.engine.clock import SystemClock, TimeOrderedIds
from signalbox.engine.events import EventJournal
from signalbox.engine.supervise import Engine
from signalbox.ledger.engine_ledger import EngineLedger
from signalbox.observability.logging import configure_logging


def run_engine(settings: Settings, *, exit_with_parent: bool = False) -> int:
    """Run the engine in the foreground until SIGINT or SIGTERM (or until stdin ends, with `exit_with_parent`).

    Returns the process's exit code. Raises ConfigError and LedgerUnavailable when it cannot start.
    """
    configure_logging(level=settings.log_level, log_format=settings.log_format)
    _calm_collector()
    with open_database(settings, upgrade=True) as database:
        uvloop.run(serve(settings, database, exit_with_parent=exit_with_parent))
    return 0


def _calm_collector() -> None:
    """What is there at the start stays for ever: the garbage collector need not look through it again and again, each
    time for some ten milliseconds in which no order leaves. What comes later is looked through less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def serve(settings: Settings, database: OpenDatabase, *, exit_with_parent: bool = False) -> None:
    """The engine inside a running event loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if exit_with_parent:
        _stop_at_end_of_stdin(loop, stop)
    await serve_until(settings, database, stop)


async def serve_until(settings: Settings, database: OpenDatabase, stop: asyncio.Event) -> None:
    """Build the parts and run the engine until `stop` is set."""
    clock, ids = SystemClock(), TimeOrderedIds()
    journal: EventJournal | None = None

    def on_change(is_open: bool) -> None:  # noqa: FBT001 - the ledger's callback
        if journal is not None:
            journal.health("intents", "running" if is_open else "error")

    ledger = EngineLedger(database.current_url, on_change)
    await ledger.open()
    try:
        holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        journal = EventJournal(ledger, clock, actor="engine")
        venues = RealVenues(settings, CredentialSource(settings), clock=clock, jitter=random.SystemRandom().random)
        parts = EngineParts(
            ledger=ledger,
            venues=venues,
            clock=clock,
            ids=ids,
            journal=journal,
            code_version=version("signalbox"),
            holder=holder,
        )
        await Engine(parts, journal).run(stop)
    finally:
        await ledger.close()


def _stop_at_end_of_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Stop when the parent, which holds the other end of stdin, is gone. Nothing that comes in is looked at."""
    descriptor = sys.stdin.fileno()

    def readable() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            stop.set()

    loop.add_reader(descriptor, readable)
