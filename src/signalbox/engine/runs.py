"""The runs of this engine, from their start to their end. Each start and each end is a task of its own."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from signalbox.domain.errors import FencedOut, SignalboxError
from signalbox.domain.ids import RunId
from signalbox.domain.runs import Run, RunStatus, StopMode
from signalbox.engine.account import EngineParts, TradingAccount
from signalbox.engine.persist import persist

END_GRACE_S = 2.0
LAST_WRITE_LIMIT_S = 2.0


class Runs:
    """Which runs this engine has begun, and what is being done to them now. `wake` asks for the next look at once."""

    def __init__(self, parts: EngineParts, tasks: asyncio.TaskGroup, *, wake: asyncio.Event) -> None:
        self._parts = parts
        self._tasks = tasks
        self._wake = wake
        self._mine: dict[RunId, TradingAccount] = {}
        self._starts: dict[RunId, asyncio.Task[None]] = {}
        self._ends: dict[RunId, asyncio.Task[None]] = {}
        self._ended: set[RunId] = set()

    @property
    def alive(self) -> list[RunId]:
        """Runs that this engine has begun and not ended."""
        return list(self._mine)

    def takes_care_of(self, run: Run) -> bool:
        """True when this engine has begun the run (a stop that was asked for is passed on), or has ended it."""
        if run.id in self._ended or run.id in self._ends:
            return True
        stopping = run.status is RunStatus.STOPPING
        if run.id in self._starts:
            if stopping:
                self._starts[run.id].cancel()
            return True
        account = self._mine.get(run.id)
        if account is not None and stopping:
            self.stop(run, account)
        return account is not None

    def start(self, run: Run, account: TradingAccount) -> None:
        """Begin a run."""
        self._mine[run.id] = account
        self._begin(self._starts, run.id, partial(self._start, run, account))

    def stop(self, run: Run, account: TradingAccount) -> None:
        """End a run that was asked to stop, whether it ever ran or not."""
        self._begin(self._ends, run.id, partial(self._stop, run, account))

    def fail(self, run_id: RunId, reason: str, account: TradingAccount | None = None) -> None:
        """End a run that cannot go on; `account` is its own when this engine owns it."""
        fence = account.fence if account is not None else None
        self._begin(self._ends, run_id, partial(self._end, run_id, RunStatus.FAILED, reason, fence=fence))

    def fail_orphan(self, run: Run, account: TradingAccount) -> None:
        """The account is ours and this run is not: the engine that ran it ended without stopping it."""
        beat = run.last_heartbeat.isoformat() if run.last_heartbeat else "none"
        reason = f"the engine ended while this run was {run.status}; last heartbeat {beat}. Start a new run."
        self.fail(run.id, reason, account)

    def let_go_of_others(self, active: Sequence[Run]) -> None:
        """A run of ours that is not active any more was ended by somebody else: stop acting for it."""
        for run_id in self._mine.keys() - {run.id for run in active} - self._starts.keys() - self._ends.keys():
            self._begin(self._ends, run_id, partial(self._let_go, run_id))

    def has_any_on(self, account: TradingAccount) -> bool:
        """True when a run of this engine is on the account."""
        return account in self._mine.values()

    async def account_broke(self, account: TradingAccount, reason: str) -> None:
        """An account that broke takes its runs with it, whether they were running or about to start."""
        self.forget_all_on(account)
        runs = await persist(self._parts.ledger.runs_to_act_on, self._parts.journal, "the runs of a broken account")
        for run in runs:
            if run.account_id != account.account.id:
                continue
            if _never_began(run):
                await self._end(run.id, RunStatus.STOPPED, "before it began", fence=account.fence)
            else:
                await self._end(run.id, RunStatus.FAILED, reason, fence=account.fence)

    def forget_all_on(self, account: TradingAccount) -> None:
        """The account is gone. Without more words when another engine has it: its runs are that engine's business."""
        for run_id in [run_id for run_id, served in self._mine.items() if served is account]:
            del self._mine[run_id]
            if run_id in self._starts:
                self._starts[run_id].cancel()

    async def shut_down(self) -> None:
        """Stop every run, within a few seconds. A stop that is under way and needs longer (flattening) stays as it is
        in the ledger: the next engine goes on with it."""
        starts = list(self._starts.values())
        for task in starts:
            task.cancel()
        ends = dict(self._ends)
        if starts or ends:
            await asyncio.wait([*starts, *ends.values()], timeout=END_GRACE_S)
        for task in ends.values():
            task.cancel()
        left = {run_id: account for run_id, account in self._mine.items() if run_id not in ends}
        await asyncio.gather(*(self._stop_for_shutdown(run_id, account) for run_id, account in left.items()))

    def _begin(
        self,
        table: dict[RunId, asyncio.Task[None]],
        run_id: RunId,
        work: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        task = self._tasks.create_task(self._guarded(run_id, work))
        table[run_id] = task
        task.add_done_callback(lambda _: self._done(table, run_id))

    def _done(self, table: dict[RunId, asyncio.Task[None]], run_id: RunId) -> None:
        del table[run_id]
        self._wake.set()

    async def _guarded(self, run_id: RunId, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - a fault in one run must not end the engine
            await self._end(run_id, RunStatus.FAILED, f"{type(error).__name__}: {error}")

    async def _start(self, run: Run, account: TradingAccount) -> None:
        try:
            await self._parts.ledger.heartbeat([run.id], self._parts.clock.now())
            await account.start_run(run)
        except SignalboxError as error:
            if not await self._stop_was_asked_for(run.id):  # else the next look stops it
                await self._end(run.id, RunStatus.FAILED, f"the run could not start: {error}")
            return
        self._parts.journal.event("info", "system", "run started", run_id=str(run.id), operator=run.operator_id)

    async def _stop_was_asked_for(self, run_id: RunId) -> bool:
        runs = await persist(self._parts.ledger.runs_to_act_on, self._parts.journal, f"the state of run {run_id}")
        return any(run.id == run_id and run.status is RunStatus.STOPPING for run in runs)

    async def _stop(self, run: Run, account: TradingAccount) -> None:
        mode = run.stop_mode or StopMode.ENTRIES
        await account.stop_run(mode)
        await self._end(run.id, RunStatus.STOPPED, f"mode {mode}", fence=account.fence)

    async def _let_go(self, run_id: RunId) -> None:
        account = self._mine.pop(run_id)
        await account.stop_run(StopMode.ENTRIES)
        self._parts.journal.event("warning", "system", "a run was ended by somebody else", run_id=str(run_id))

    async def _end(self, run_id: RunId, status: RunStatus, why: str, *, fence: int | None = None) -> None:
        """Write the end down, however long the ledger is away. Somebody else may have ended the run differently; a
        refusal is told with the end. The run of an account that another engine has taken over is left to that one."""
        now, failed = self._parts.clock.now(), status is RunStatus.FAILED
        account = self._mine.get(run_id)
        fence = fence if account is None else account.fence
        try:
            await persist(
                lambda: self._parts.ledger.set_run_status(
                    run_id, status, at=now, error_message=why if failed else None, fence=fence
                ),
                self._parts.journal,
                f"the end of run {run_id}",
            )
        except FencedOut as error:
            self._mine.pop(run_id, None)
            self._parts.journal.event("warning", "system", f"a run was left to another engine: {error}")
            return
        except SignalboxError as error:  # what the ledger refuses must not end the other accounts' work
            why = f"{why} ({error})"
        self._mine.pop(run_id, None)
        self._ended.add(run_id)
        level, message = ("error", f"run failed: {why}") if failed else ("info", f"run stopped: {why}")
        self._parts.journal.event(level, "system", message, run_id=str(run_id))

    async def _stop_for_shutdown(self, run_id: RunId, account: TradingAccount) -> None:
        await account.stop_run(StopMode.ENTRIES)
        now = self._parts.clock.now()
        try:
            async with asyncio.timeout(LAST_WRITE_LIMIT_S):
                for status in (RunStatus.STOPPING, RunStatus.STOPPED):
                    await self._parts.ledger.set_run_status(run_id, status, at=now, fence=account.fence)
        except (SignalboxError, TimeoutError) as error:
            reason = str(error) or "timed out"
            self._parts.journal.event(
                "error", "system", "the run's end was not stored", run_id=str(run_id), reason=reason
            )
        self._mine.pop(run_id, None)


def _never_began(run: Run) -> bool:
    """A run that was stopped before any engine took it up has nothing that could fail, unless it is to sell."""
    return run.status is RunStatus.STOPPING and run.last_heartbeat is None and run.stop_mode is not StopMode.FLATTEN
