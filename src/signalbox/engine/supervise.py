"""The engine's life: which accounts it serves, which runs it starts and stops, and what a failure means.

Shutdown order: no new entries; entries in flight get a second; feeds and watches end; runs become stopped; venues and
ownership are given back; last, the events that wait are written.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from signalbox.domain.backoff import backoff
from signalbox.domain.configuration import Account
from signalbox.domain.errors import ConflictError, LedgerUnavailable, SignalboxError
from signalbox.domain.ids import AccountId, RunId
from signalbox.domain.ports import SystemState
from signalbox.domain.runs import Run, RunStatus, StopMode
from signalbox.engine.account import EngineParts, TradingAccount
from signalbox.engine.events import EventJournal
from signalbox.engine.persist import persist

TICK_S = 1.0
"""Heartbeat, and the safety net for notifications that were missed."""


class Engine:
    """Serves every account that has a run or open business."""

    def __init__(self, parts: EngineParts, journal: EventJournal) -> None:
        self._parts = parts
        self._journal = journal
        self._accounts: dict[AccountId, TradingAccount] = {}
        self._runs: dict[RunId, AccountId] = {}
        self._busy: set[RunId] = set()
        self._wake = asyncio.Event()
        self._stopping = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then shut down in order. Raises only what nobody can continue from."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            journal = tasks.create_task(self._journal.run())
            listener = tasks.create_task(self._listen())
            ticker = tasks.create_task(self._tick_until_cancelled())
            self._journal.event("info", "system", "engine started", holder=self._parts.holder)
            await stop.wait()
            self._stopping = True
            listener.cancel()
            ticker.cancel()
            await self._shut_down()
            self._journal.event("info", "system", "engine stopped", holder=self._parts.holder)
            self._journal.health("engine", "stopped")
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
            except LedgerUnavailable as error:
                self._journal.health("notifications", "degraded", reason=str(error))
                await asyncio.sleep(next(delays))

    async def _on_change(self, topic: str) -> None:
        if topic in {"settings", "reconnected"}:
            for account in self._serving():
                await account.reload_settings()
        if topic in {"listings", "reconnected"}:
            for account in self._serving():
                await account.take_test_listings()
        if topic in {"kill_switch", "reconnected"}:
            await self._apply_system_state()
        if topic in {"runs", "reconnected"}:
            self._wake.set()

    async def _tick_until_cancelled(self) -> None:
        delays = backoff()
        while True:
            try:
                await self._tick()
                delays = backoff()
                pause = TICK_S
                self._journal.health("ledger", "running")
            except LedgerUnavailable as error:
                self._journal.health("ledger", "error", reason=str(error))
                pause = next(delays)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            self._wake.clear()

    async def _tick(self) -> None:
        system = await self._apply_system_state()
        for account_id in await self._parts.ledger.accounts_with_open_business():
            if account_id not in self._accounts:
                self._serve(await self._parts.ledger.account(account_id), system)
        runs = await self._parts.ledger.runs_to_act_on()
        for run in runs:
            await self._act_on(run, system)
        await self._parts.ledger.heartbeat(list(self._runs), self._parts.clock.now())
        self._journal.health("engine", "running", runs=len(self._runs), accounts=len(self._accounts))

    async def _act_on(self, run: Run, system: SystemState) -> None:
        if run.id in self._busy:
            return
        if run.id in self._runs:
            if run.status is RunStatus.STOPPING:
                self._begin(run, self._stop_run(run))
            return
        account = self._accounts.get(run.account_id) or self._serve(
            await self._parts.ledger.account(run.account_id), system
        )
        if not account.ready.is_set():
            return  # opening, or owned by another engine: looked at again with the next tick
        if run.status is RunStatus.STARTING and run.last_heartbeat is None:
            self._begin(run, self._start_run(run, account))
        else:
            await self._fail_orphan(run)

    def _begin(self, run: Run, work: Coroutine[Any, Any, None]) -> None:
        self._busy.add(run.id)
        self._tasks.create_task(work).add_done_callback(lambda _: self._busy.discard(run.id))

    async def _fail_orphan(self, run: Run) -> None:
        """The account is ours and this run is not: the engine that ran it ended without stopping it."""
        beat = run.last_heartbeat.isoformat() if run.last_heartbeat else "none"
        message = f"the engine ended while this run was {run.status}; last heartbeat {beat}. Start a new run."
        await self._parts.ledger.set_run_status(
            run.id, RunStatus.FAILED, at=self._parts.clock.now(), error_message=message
        )
        self._journal.event("error", "system", f"run failed: {message}", run_id=str(run.id))

    async def _start_run(self, run: Run, account: TradingAccount) -> None:
        try:
            await self._parts.ledger.heartbeat([run.id], self._parts.clock.now())
            await account.start_run(run)
        except SignalboxError as error:
            await self._fail(run.id, f"the run could not start: {error}")
            return
        self._runs[run.id] = run.account_id
        self._journal.event("info", "system", "run started", run_id=str(run.id), operator=run.operator_id)

    async def _stop_run(self, run: Run) -> None:
        account = self._accounts.get(run.account_id)
        if account is not None:
            await account.stop_run(run.stop_mode or StopMode.ENTRIES)
        now = self._parts.clock.now()
        await persist(
            lambda: self._parts.ledger.set_run_status(run.id, RunStatus.STOPPED, at=now),
            self._journal,
            f"the stop of run {run.id}",
        )
        self._runs.pop(run.id, None)
        self._journal.event("info", "system", "run stopped", run_id=str(run.id), mode=run.stop_mode)

    async def _fail(self, run_id: RunId, message: str) -> None:
        now = self._parts.clock.now()
        await persist(
            lambda: self._parts.ledger.set_run_status(run_id, RunStatus.FAILED, at=now, error_message=message),
            self._journal,
            f"the failure of run {run_id}",
        )
        self._runs.pop(run_id, None)
        self._journal.event("error", "system", f"run failed: {message}", run_id=str(run_id))

    def _serve(self, account: Account, system: SystemState) -> TradingAccount:
        serving = TradingAccount(account, self._parts)
        self._accounts[account.id] = serving
        self._tasks.create_task(self._serve_until_closed(serving, system))
        return serving

    async def _serve_until_closed(self, serving: TradingAccount, system: SystemState) -> None:
        """Serve an account. Whatever breaks it fails its run, is told, and the account is opened anew by a later tick
        (its recovery then settles what was in flight)."""
        account, component = serving.account, f"account:{serving.account.label}"
        try:
            await serving.run(system)
        except ConflictError as error:  # another engine owns it: stand by
            self._journal.health(component, "degraded", reason=str(error))
        except LedgerUnavailable as error:
            self._journal.health(component, "error", reason=str(error))
        except Exception as error:  # noqa: BLE001 - the boundary at which a fault becomes a failed run
            reason = "; ".join(f"{type(leaf).__name__}: {leaf}" for leaf in _leaves(error))
            self._journal.health(component, "error", reason=reason)
            self._journal.event("error", "system", f"account {account.label} failed: {reason}")
            await self._fail_runs_of(account, reason)
        finally:
            if not self._stopping:
                await asyncio.sleep(TICK_S)
            self._accounts.pop(account.id, None)

    async def _fail_runs_of(self, account: Account, reason: str) -> None:
        """An account that broke takes its runs with it, whether they were running or about to start."""
        runs = await persist(self._parts.ledger.runs_to_act_on, self._journal, f"the runs of account {account.label}")
        for run in runs:
            if run.account_id == account.id:
                await self._fail(run.id, reason)

    async def _shut_down(self) -> None:
        for run_id, account_id in list(self._runs.items()):
            await self._stop_for_shutdown(run_id, account_id)
        for account in list(self._accounts.values()):
            account.close()

    async def _stop_for_shutdown(self, run_id: RunId, account_id: AccountId) -> None:
        account = self._accounts.get(account_id)
        if account is not None and account.ready.is_set():
            await account.stop_run(StopMode.ENTRIES)
        now = self._parts.clock.now()
        try:
            async with asyncio.timeout(2.0):
                await self._parts.ledger.set_run_status(run_id, RunStatus.STOPPING, at=now)
                await self._parts.ledger.set_run_status(run_id, RunStatus.STOPPED, at=now)
        except (LedgerUnavailable, TimeoutError) as error:
            self._journal.event("error", "system", f"the run's end was not stored: {error}", run_id=str(run_id))
        self._runs.pop(run_id, None)

    async def _apply_system_state(self) -> SystemState:
        system = await self._parts.ledger.system_state()
        for account in self._serving():
            account.on_system_state(system)
        return system

    def _serving(self) -> list[TradingAccount]:
        return [account for account in self._accounts.values() if account.ready.is_set()]


def _leaves(error: BaseException) -> list[BaseException]:
    """The single errors inside an exception group; an ordinary error is its own leaf."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
