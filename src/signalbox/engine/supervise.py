"""The engine's life: which accounts it serves, which runs it starts and stops, and what a failure means.

Shutdown order: no new entries; entries in flight get a second; feeds and watches end; runs become stopped; venues and
ownership are given back; last, the events that wait are written. Each step has a time limit.
"""

import asyncio
from contextlib import suppress

from signalbox.domain.backoff import backoff
from signalbox.domain.errors import LedgerUnavailable, SignalboxError
from signalbox.domain.ports import ENGINE
from signalbox.domain.runs import Run, RunStatus
from signalbox.engine.account import EngineParts
from signalbox.engine.events import EventJournal
from signalbox.engine.runs import Runs
from signalbox.engine.service import AccountService

TICK_S = 1.0
"""Heartbeat, and the safety net for notifications that were missed."""

START_PATIENCE_S = 30.0
"""How long a run waits for its account's books to agree with the venue's."""

LEDGER_AWAY = "ledger_away"

STOP_PATIENCE_S = 3.0
"""How long a run that another engine left stopping waits for its account to open, so that it can be flattened."""


class Engine:
    """Serves every account that has a run or open business."""

    def __init__(self, parts: EngineParts, journal: EventJournal) -> None:
        self._parts = parts
        self._journal = journal
        self._wake = asyncio.Event()
        self._system_turn = asyncio.Lock()
        self._started_at = parts.clock.now()
        self._away = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then shut down in order. Raises only what nobody can continue from."""
        async with asyncio.TaskGroup() as tasks:
            self._runs = Runs(self._parts, tasks, wake=self._wake)
            self._service = AccountService(self._parts, tasks, self._runs)
            journal = tasks.create_task(self._journal.run())
            listener = tasks.create_task(self._listen())
            ticker = tasks.create_task(self._tick_until_cancelled())
            self._journal.event("info", "system", "engine started", holder=self._parts.holder)
            await stop.wait()
            listener.cancel()
            ticker.cancel()
            await asyncio.wait([listener, ticker])
            await self._runs.shut_down()
            await self._service.shut_down()
            self._journal.event("info", "system", "engine stopped", holder=self._parts.holder)
            self._journal.health(ENGINE, "stopped", started_at=self._started_at, mexc_connected=False)
            await self._journal.drain(timeout_s=2.0)
            journal.cancel()

    async def _listen(self) -> None:
        """Act at once on what other processes notify."""
        delays = backoff()
        while True:
            try:
                async for topic in self._parts.ledger.changes():
                    delays = backoff()
                    await self._on_change(topic)
            except SignalboxError as error:  # the next tick looks at everything anew
                self._journal.health("notifications", "degraded", reason=str(error))
                await asyncio.sleep(next(delays))

    async def _on_change(self, topic: str) -> None:
        everything = topic == "reconnected"
        if everything:
            self._journal.health("notifications", "running")
        if everything or topic == "kill_switch":
            await self._apply_system_state()
        if everything or topic == "settings":
            await self._service.reload_settings()
        if everything or topic == "accounts":
            self._wake.set()
        if everything or topic == "listings":
            await self._service.take_test_listings()
        if everything or topic == "runs":
            self._wake.set()

    async def _tick_until_cancelled(self) -> None:
        delays = backoff()
        while True:
            try:
                await self._tick()
                delays = backoff()
                pause = TICK_S
                self._journal.health("ledger", "running")
                self._ledger_is_back()
            except LedgerUnavailable as error:
                self._ledger_is_away(str(error))
                pause = next(delays)
            except SignalboxError as error:  # also what the ledger refuses: it must not stop the other accounts
                self._journal.health("ledger", "error", reason=str(error))
                pause = next(delays)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            self._wake.clear()

    def _ledger_is_away(self, reason: str) -> None:
        self._journal.health("ledger", "error", reason=reason)
        if not self._away:
            self._away = True
            text = f"the ledger is away, so no order is sent: {reason}"
            self._journal.alert(LEDGER_AWAY, "ledger", text, severity="critical")

    def _ledger_is_back(self) -> None:
        self._away = False
        self._journal.resolve(LEDGER_AWAY, "ledger", "the ledger answers again")

    async def _tick(self) -> None:
        await self._apply_system_state()
        for account_id in await self._parts.ledger.accounts_with_open_business():
            await self._service.serve(account_id)
        runs = await self._parts.ledger.runs_to_act_on()
        self._runs.let_go_of_others(runs)
        for run in runs:
            try:
                await self._act_on(run)
            except LedgerUnavailable:
                raise
            except SignalboxError as error:
                self._runs.fail(run.id, str(error))
        await self._parts.ledger.heartbeat(self._runs.alive, self._parts.clock.now())
        await self._service.reload_settings()
        await self._service.take_test_listings()
        for account_id in await self._parts.ledger.validations_asked():
            (await self._service.serve(account_id, at_once=True)).validate()
        self._journal.health(
            ENGINE,
            "running",
            runs=len(self._runs.alive),
            accounts=len(self._service.accounts),
            started_at=self._started_at,
            mexc_connected=self._journal.is_running("feed.websocket"),
        )

    async def _act_on(self, run: Run) -> None:
        if self._runs.takes_care_of(run):
            return
        account = await self._service.serve(run.account_id, at_once=True)
        if not account.owned:
            return  # opening, or owned by another engine: looked at again with the next tick
        if run.status is RunStatus.STOPPING:
            if account.serving or account.open_for_s > STOP_PATIENCE_S:
                self._runs.stop(run, account)
        elif run.status is RunStatus.RUNNING or run.last_heartbeat is not None:
            self._runs.fail_orphan(run, account)
        elif account.ready.is_set():
            self._runs.start(run, account)
        elif min(account.open_for_s, self._waited_s(run)) > START_PATIENCE_S:
            reason = "orders of an earlier run are not settled yet, or the books could not be compared with the venue's"
            advice = "look at the health of order_query and reconciliation"
            told = f"the run could not start within {START_PATIENCE_S:.0f} s: {reason}; {advice}"
            self._runs.fail(run.id, told, account)

    def _waited_s(self, run: Run) -> float:
        return (self._parts.clock.now() - run.started_at).total_seconds()

    async def _apply_system_state(self) -> None:
        async with self._system_turn:  # of two answers that cross, the older must not win
            self._service.on_system_state(await self._parts.ledger.system_state())
