"""The use cases, wired for one operator on the command line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from signalbox.app.database import OpenDatabase
from signalbox.app.secrets import CredentialSource
from signalbox.app.settings import Settings
from signalbox.control.context import Control
from signalbox.engine.clock import SystemClock, TimeOrderedIds
from signalbox.ledger.sessions import Sessions


def code_version() -> str:
    """The version of this installation, as it is written beside every decision."""
    return version("signalbox")


@asynccontextmanager
async def open_control(settings: Settings, database: OpenDatabase) -> AsyncIterator[Control]:
    """The use cases on this database, acting as the operator of the settings."""
    sessions = Sessions(database.current_url)
    try:
        yield Control(
            sessions=sessions,
            clock=SystemClock(),
            ids=TimeOrderedIds(),
            credentials=CredentialSource(settings),
            actor=settings.operator,
            code_version=code_version(),
        )
    finally:
        await sessions.close()
