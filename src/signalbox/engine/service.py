"""Which accounts the engine serves, and what becomes of one that breaks."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

from signalbox.domain.backoff import backoff
from signalbox.domain.errors import ConflictError, FencedOut, LedgerUnavailable, SignalboxError
from signalbox.domain.ids import AccountId
from signalbox.domain.ports import SystemState
from signalbox.engine.account import OFF, EngineParts, TradingAccount
from signalbox.engine.runs import Runs

STAND_BY_S = 1.0
CLOSE_LIMIT_S = 6.0
"""Entries get one second, each venue and the ownership two; what takes longer is cut off."""


class AccountService:
    """Serves accounts, one task each. One that broke is opened anew after a pause (1 s, doubled each time up to 30 s)
    if it is still wanted; its recovery then settles what was in flight."""

    def __init__(self, parts: EngineParts, tasks: asyncio.TaskGroup, runs: Runs) -> None:
        self.accounts: dict[AccountId, TradingAccount] = {}
        self._parts = parts
        self._tasks = tasks
        self._runs = runs
        self._system: SystemState = OFF
        self._closing = False
        self._tasks_of: dict[AccountId, asyncio.Task[None]] = {}
        self._again: dict[AccountId, asyncio.Event] = {}
        self._delays: dict[AccountId, Iterator[float]] = {}
        self._reasons: dict[AccountId, str] = {}

    async def serve(self, account_id: AccountId, *, at_once: bool = False) -> TradingAccount:
        """The account, opened if it is not yet. `at_once` cuts the pause after a failure short: somebody asks."""
        serving = self.accounts.get(account_id)
        if serving is not None:
            if at_once:
                self._again[account_id].set()
            return serving
        serving = TradingAccount(await self._parts.ledger.account(account_id), self._parts)
        self.accounts[account_id] = serving
        self._again[account_id] = asyncio.Event()
        task = self._tasks.create_task(self._serve(serving))
        self._tasks_of[account_id] = task
        task.add_done_callback(lambda _: self._forget(account_id))
        return serving

    def _forget(self, account_id: AccountId) -> None:
        del self.accounts[account_id], self._tasks_of[account_id], self._again[account_id]

    def on_system_state(self, system: SystemState) -> None:
        """Tell every account, also those that are opening."""
        self._system = system
        for account in self.accounts.values():
            account.on_system_state(system)

    async def reload_settings(self) -> None:
        """Take over changed guardrails. Raises LedgerUnavailable."""
        for account in list(self.accounts.values()):
            await account.reload_settings()

    async def take_test_listings(self) -> None:
        """Feed injected test listings in."""
        for account in list(self.accounts.values()):
            await account.take_test_listings()

    async def shut_down(self) -> None:
        """Close every account: in order those that serve, at once those that are still opening or at rest."""
        self._closing = True
        for account_id, task in self._tasks_of.items():
            account = self.accounts[account_id]
            account.close()
            if not account.serving:
                task.cancel()
        pending = set(self._tasks_of.values())
        for _ in range(2):
            if pending:
                _, pending = await asyncio.wait(pending, timeout=CLOSE_LIMIT_S)
            for task in pending:
                task.cancel()

    async def _serve(self, serving: TradingAccount) -> None:
        account = serving.account
        pause_s = STAND_BY_S
        try:
            await serving.run(self._system)
        except ConflictError as error:  # another engine owns it and tells how it is: stand by
            self._stand_by(serving, str(error))
        except Exception as error:  # noqa: BLE001 - the boundary at which a fault becomes a failed run
            pause_s = self._next_pause(serving)
            await self._after_fault(serving, _leaves(error))
        else:
            self._health(serving, "stopped", "closed")
        if not self._closing:
            await self._rest(account.id, pause_s)

    def _stand_by(self, serving: TradingAccount, reason: str) -> None:
        label = serving.account.label
        if self._reasons.get(serving.account.id) != reason:
            self._reasons[serving.account.id] = reason
            self._parts.journal.event("info", "system", f"account {label}: standing by", reason=reason)

    async def _after_fault(self, serving: TradingAccount, faults: list[BaseException]) -> None:
        label = serving.account.label
        reason = "; ".join(f"{type(fault).__name__}: {fault}" for fault in faults)
        if any(isinstance(fault, FencedOut) for fault in faults):
            self._health(serving, "degraded", reason)
            self._parts.journal.event("warning", "system", f"account {label}: another engine took over")
            self._runs.forget_all_on(serving)
            return
        self._health(serving, "error", reason)
        ledger_only = all(isinstance(fault, LedgerUnavailable) for fault in faults)
        if ledger_only and not self._runs.has_any_on(serving):
            return  # it could not be opened yet: runs that wait for it go on waiting
        if self._reasons.get(serving.account.id) != reason:
            self._reasons[serving.account.id] = reason
            self._parts.journal.event("error", "system", f"account {label} failed: {reason}")
        try:
            await self._runs.account_broke(serving, reason)
        except SignalboxError as error:  # the next tick fails runs that nobody serves
            self._parts.journal.event("error", "system", f"the runs of account {label} could not be ended: {error}")

    def _next_pause(self, serving: TradingAccount) -> float:
        account_id = serving.account.id
        if serving.was_ready or account_id not in self._delays:
            self._delays[account_id] = backoff()
            self._reasons.pop(account_id, None)
        return next(self._delays[account_id])

    async def _rest(self, account_id: AccountId, pause_s: float) -> None:
        again = self._again[account_id]
        again.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await again.wait()

    def _health(self, serving: TradingAccount, status: str, reason: str) -> None:
        self._parts.journal.health(f"account:{serving.account.label}", status, reason=reason)


def _leaves(error: BaseException) -> list[BaseException]:
    """The single errors inside an exception group; an ordinary error is its own leaf."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
