"""`signalbox demo`."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated, Final

import typer
from rich.live import Live
from rich.text import Text

from signalbox.app.audit import StreamResult, verify_ledger
from signalbox.app.database import DEMO_DATABASE, OpenDatabase
from signalbox.app.demo import ACCOUNT, DemoFailed, DemoWorld, demo_database, demo_world
from signalbox.app.settings import Settings
from signalbox.cli.demo_view import DemoScreen, audit_line, frame, results_table
from signalbox.cli.errors import ExitCode
from signalbox.cli.output import Banner, banner, local_time, stderr, stdout
from signalbox.cli.session import settings_with_logging
from signalbox.control import runs
from signalbox.control.stories import Step, Story, latest_stories

app = typer.Typer(add_completion=False)

_DEADLINE_S: Final = 90.0
_REFRESH_S: Final = 0.25
_BETWEEN_LISTINGS: Final = timedelta(seconds=14)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End after one listing was bought and sold.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same listings and prices.")] = 7,
    plain: Annotated[bool, typer.Option("--plain", help="One line per step instead of the live view.")] = False,
) -> None:
    """Watch a token get listed on a simulated exchange, be bought inside hard limits and sold again."""
    settings = settings_with_logging()
    out = stdout()
    out.print(banner(Banner.SIMULATED_EXCHANGE))
    with contextlib.ExitStack() as stack:
        with stderr().status("Preparing a ledger for the demo …"):
            database = stack.enter_context(demo_database(settings))
        out.print(f"ledger ready: database {DEMO_DATABASE}, your own ledger is not touched")
        show = Demo(settings, database, seed=seed, once=once, live=out.is_terminal and not plain)
        code = asyncio.run(show.run())
    if code is ExitCode.OK and database.server is not None:
        out.print(f"Look at it again: SIGNALBOX_DATABASE_NAME={DEMO_DATABASE} {sys.argv[0]} trades", soft_wrap=True)
    raise typer.Exit(code)


class Demo:
    """One demonstration from its start to its end."""

    def __init__(self, settings: Settings, database: OpenDatabase, *, seed: int, once: bool, live: bool) -> None:
        self._settings = settings
        self._database = database
        self._seed = seed
        self._once = once
        self._live = live
        self._out = stdout()
        self._told: set[tuple[str, str, str]] = set()
        self._audit: list[StreamResult] = []
        self._verified_after = -1
        self._stories: list[Story] = []
        self._next_listing_at: datetime | None = None
        self._on_screen = False

    async def run(self) -> ExitCode:
        """Run until Ctrl-C, or with --once until a listing was bought and sold. Nothing is left running."""
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        if task is not None:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, task.cancel)
        try:
            async with asyncio.timeout(_DEADLINE_S if self._once else None) as deadline:
                async with demo_world(self._settings, self._database, self._seed, self._say) as world:
                    try:
                        await self._watch(world)
                    except asyncio.CancelledError:
                        if deadline.expired():
                            raise DemoFailed(
                                world.why(f"no listing was bought and sold in {_DEADLINE_S:.0f} s")
                            ) from None
                        raise
        except asyncio.CancelledError:
            self._summary()
            self._out.print("Stopped: exchange and engine are gone; the demo's ledger stays until the next demo.")
            return ExitCode.INTERRUPTED if self._once else ExitCode.OK
        except TimeoutError:
            raise DemoFailed(f"The demo did not get ready in {_DEADLINE_S:.0f} s; try 'signalbox doctor'.") from None
        self._summary()
        return ExitCode.OK

    async def _watch(self, world: DemoWorld) -> None:
        try:
            async with self._screen() as live:
                while not (self._once and any(story.closed for story in self._stories)):
                    world.check()
                    await self._let_happen(world)
                    self._stories = await latest_stories(world.control, ACCOUNT)
                    await self._verify_after_each_trade()
                    await self._show(world, live)
                    await asyncio.sleep(_REFRESH_S)
            await world.stop_run()
        finally:
            self._on_screen = False
        self._stories = await latest_stories(world.control, ACCOUNT)
        self._audit = await verify_ledger(self._database)

    async def _let_happen(self, world: DemoWorld) -> None:
        """One listing with --once, one after the other without end otherwise."""
        now = world.control.clock.now()
        if self._next_listing_at is not None and (self._once or now < self._next_listing_at):
            return
        self._next_listing_at = now + _BETWEEN_LISTINGS
        planned = await world.next_listing()
        when = f"opens in {planned.open_in_ms / 1000:.0f} s" if planned.announced else "opens now, unannounced"
        self._say(f"{planned.symbol} {when}")

    async def _verify_after_each_trade(self) -> None:
        closed = sum(story.closed for story in self._stories)
        if closed > self._verified_after:
            self._verified_after = closed
            self._audit = await verify_ledger(self._database)

    async def _show(self, world: DemoWorld, live: Live | None) -> None:
        if live is None:
            for story in reversed(self._stories):
                self._tell(story)
            return
        screen = DemoScreen(
            at=world.control.clock.now(),
            exchange=world.ready.rest,
            overview=await runs.overview(world.control),
            upcoming=await world.upcoming(),
            stories=self._stories,
            audit=self._audit,
        )
        live.update(frame(screen, width=self._out.width, height=self._out.height), refresh=True)

    def _summary(self) -> None:
        """What happened, on the ordinary screen."""
        self._out.print(banner(Banner.SIMULATED_EXCHANGE))
        if self._live:
            for story in reversed(self._stories):
                self._tell(story)
        self._out.print(results_table(self._stories))
        self._out.print(audit_line(self._audit))
        if not all(result.ok for result in self._audit):
            raise DemoFailed("The demo stopped: the ledger does not verify.")

    def _tell(self, story: Story) -> None:
        """Print each step once."""
        for step in story.steps:
            key = (story.symbol, str(story.facts.signal.id), f"{step.kind} {step.at}")
            if key not in self._told:
                self._told.add(key)
                self._print_step(story, step)

    def _print_step(self, story: Story, step: Step) -> None:
        at = "" if step.at is None else local_time(step.at)[11:]
        self._out.print(Text(f"{at:<13}{story.symbol:<12}{step.kind.upper():<9} {step.text}"))

    def _say(self, text: str) -> None:
        if not self._on_screen:
            self._out.print(Text(text, style="dim"))

    @asynccontextmanager
    async def _screen(self) -> AsyncIterator[Live | None]:
        if not self._live:
            yield None
            return
        self._on_screen = True
        with Live(console=self._out, screen=True, auto_refresh=False) as live:
            yield live
