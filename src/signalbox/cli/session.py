"""Runs one use case on the ledger for one command."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.text import Text

from signalbox.app.database import OpenDatabase, open_database
from signalbox.app.operator import open_control
from signalbox.app.settings import Settings, load_settings
from signalbox.cli.alert_lines import head_lines
from signalbox.cli.output import Banner, banner, stderr
from signalbox.control import alerts, runs
from signalbox.control.context import Control
from signalbox.observability.logging import configure_logging

T = TypeVar("T")


def settings_with_logging() -> Settings:
    """The settings of this process; logs go to stderr from here on, only warnings unless asked for more."""
    settings = load_settings()
    quiet = "warning" if settings.log_level == "info" else settings.log_level
    configure_logging(level=quiet, log_format=settings.log_format)
    return settings


@contextmanager
def database_of(settings: Settings, *, upgrade: bool = False) -> Iterator[OpenDatabase]:
    """The ledger's database; a spinner shows when starting the private server takes a while."""
    console = stderr()
    with console.status("Opening the ledger …"):
        opened = open_database(settings, upgrade=upgrade)
        database = opened.__enter__()
    try:
        if database.notice and console.is_terminal:
            console.print(Text(database.notice, style="dim"))
        yield database
    finally:
        opened.__exit__(None, None, None)


def ask(use_case: Callable[[Control], Awaitable[T]]) -> tuple[T, Text]:
    """The result of a use case, and the banner of the screen that shows it."""
    settings = settings_with_logging()
    with database_of(settings) as database:
        return asyncio.run(_ask(settings, database, use_case))


async def _ask(
    settings: Settings, database: OpenDatabase, use_case: Callable[[Control], Awaitable[T]]
) -> tuple[T, Text]:
    async with open_control(settings, database) as control:
        result = await use_case(control)
        return result, await screen_banner(settings, database, control)


async def screen_banner(settings: Settings, database: OpenDatabase, control: Control) -> Text:
    """What is at stake: the exchange is simulated, nothing is sent, or real orders may be sent. Below it the open
    alerts that nobody has acknowledged."""
    if settings.simulated_exchange or database.is_demo:
        kind = Banner.SIMULATED_EXCHANGE
    else:
        kind = Banner.LIVE if await runs.live_orders_possible(control) else Banner.SIMULATION
    lines = [banner(kind), *head_lines(await alerts.list_alerts(control))]
    return Text("\n").join(lines)
