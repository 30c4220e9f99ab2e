"""`signalbox up`."""

import asyncio
import signal
import sys

import typer

from signalbox.app.children import Child
from signalbox.app.database import OpenDatabase
from signalbox.app.operator import open_control
from signalbox.app.settings import Settings, child_environment, load_settings
from signalbox.cli.errors import ExitCode
from signalbox.cli.output import stderr, stdout
from signalbox.cli.session import database_of, screen_banner
from signalbox.observability.logging import configure_logging

app = typer.Typer(add_completion=False)

SELF = (sys.executable, "-P", "-m", "signalbox.cli.main")
"""This program, as a command to start."""


@app.command()
def up() -> None:
    """Start Signalbox: the private PostgreSQL (unless SIGNALBOX_DATABASE_URL names one) and the engine."""
    settings = load_settings()
    configure_logging(level=settings.log_level, log_format=settings.log_format)
    with database_of(settings, upgrade=True) as database:
        code = asyncio.run(_up(settings, database))
    raise typer.Exit(code)


async def _up(settings: Settings, database: OpenDatabase) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with open_control(settings, database) as control:
        stdout().print(await screen_banner(settings, database, control))
    engine = await Child.start("engine", [*SELF, "engine", "--exit-with-parent"], child_environment(), quiet=False)
    try:
        _tell(settings, database, engine)
        ended = asyncio.create_task(engine.wait())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if stop.is_set():
            stdout().print("Stopping: runs end, open positions stay in the ledger.")
            await engine.stop()
            return ExitCode.OK
        stderr().print(f"signalbox: the engine ended by itself (exit code {ended.result()}); its log is above.")
        return ExitCode.REFUSED
    finally:
        await engine.stop()


def _tell(settings: Settings, database: OpenDatabase, engine: Child) -> None:
    where = "the server of SIGNALBOX_DATABASE_URL" if database.server is None else database.server.data_directory
    out = stdout()
    out.print(f"Ledger: {where}")
    out.print(f"Exchange: {settings.mexc.rest_url}")
    out.print(f"Engine: process {engine.pid}, Ctrl-C stops it")
    out.print("Next, in another terminal: signalbox account add main, signalbox config create calm,")
    out.print("signalbox run start main calm, signalbox run status")
