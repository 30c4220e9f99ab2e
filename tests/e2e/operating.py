"""An operator in this process: the use cases without a command line process each, for tests that need many."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.e2e.world import World

from signalbox.control import guardrails, runs
from signalbox.control.context import Control
from signalbox.control.guardrails import KillSwitchMode
from signalbox.domain.errors import ConflictError, NotFoundError
from signalbox.domain.runs import StopMode
from signalbox.engine.clock import SystemClock, TimeOrderedIds
from signalbox.ledger.sessions import Sessions


class _Present:
    """The world's accounts have credentials."""

    def missing(self, label: str) -> str | None:
        """Nothing is."""
        del label
        return None


class Operator:
    """Starts and stops runs of the configuration `main` on the account `main`."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def start_run(self) -> bool:
        """Ask for a run; False when there is one already."""
        try:
            await runs.start_bot(self._control, account_label="main", configuration_reference="main")
        except ConflictError:
            return False
        return True

    async def stop_run(self, mode: StopMode = StopMode.ENTRIES) -> bool:
        """Ask the run to stop; False when there is none."""
        try:
            await runs.stop_bot(self._control, account_label="main", mode=mode)
        except NotFoundError:
            return False
        return True

    async def throw_kill_switch(self) -> None:
        """Block every entry from now on."""
        await guardrails.kill_switch_on(self._control, mode=KillSwitchMode.BLOCK, reason="test")


@asynccontextmanager
async def open_operator(world: World) -> AsyncIterator[Operator]:
    """An operator on the world's ledger."""

    async def url() -> str:
        return world.database_url

    sessions = Sessions(url)
    try:
        yield Operator(
            Control(
                sessions=sessions,
                clock=SystemClock(),
                ids=TimeOrderedIds(),
                credentials=_Present(),
                actor="test",
                code_version="test",
            )
        )
    finally:
        await sessions.close()
