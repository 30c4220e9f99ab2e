"""The hot path: intents become durable in one round trip each, or together when they arrive together.

An intent that finds the connection idle is sent at once, by the caller's own task. Intents that arrive while a
statement is on its way wait and share the next one. When a shared statement is refused, its intents are tried one
by one, so that a bad one harms nobody else.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg
from msgspec import Struct

from signalbox.domain.decisions import Intent, IntentResult
from signalbox.domain.errors import InvariantError, LedgerUnavailable
from signalbox.domain.orders import Order
from signalbox.ledger.connecting import CONNECTION_ERRORS, Connection, unavailable
from signalbox.ledger.hot_connection import HotConnection
from signalbox.ledger.intent_rows import follow_up_arguments, intent_arguments, journal_arguments
from signalbox.ledger.intent_statements import FOLLOW_UP, INTENT, JOURNAL

BATCH_MAX = 64
WAITING_MAX = 4096
STATEMENT_TIMEOUT_S = 5.0
AWAKE_S = 0.003
"""How long the event loop does not sleep while an order waits for its commit: to be woken costs a tenth of a commit."""

_log = logging.getLogger(__name__)


class _Kind(Struct, frozen=True):
    """One of the two statements, and how an item becomes its arguments."""

    statement: str
    arguments: Callable[[Any], tuple[Any, ...]]


_JOURNAL = _Kind(JOURNAL, journal_arguments)
_INTENT = _Kind(INTENT, intent_arguments)
_FOLLOW_UP = _Kind(FOLLOW_UP, follow_up_arguments)


class _Waiting(Struct):
    kind: _Kind
    item: Any
    outcome: asyncio.Future[IntentResult]


class IntentCommitter:
    """Commits intents over one dedicated connection. Used from one event loop."""

    def __init__(self, hot: HotConnection) -> None:
        self._hot = hot
        self._busy = False
        self._waiting: deque[_Waiting] = deque()
        self._drain: asyncio.Task[None] | None = None
        self._awake_until = 0.0
        self.statements = 0

    async def commit(self, intent: Intent) -> IntentResult:
        """Make an intent durable: in the journal when its order waits to be sent, else in its tables.

        Raises LedgerUnavailable when that is not certain (`EngineLedger.lookup` tells), InvariantError when the ledger
        refuses what the intent says.
        """
        return await self._submit(_INTENT if intent.order is None else _JOURNAL, intent)

    async def follow_up(self, order: Order, fence: int) -> IntentResult:
        """Make a further attempt of a recorded decision durable. Errors as in `commit`."""
        return await self._submit(_FOLLOW_UP, (order, fence))

    async def certain(self) -> None:
        """Wait until the outcome of everything sent before can be read from the ledger; raises LedgerUnavailable.

        After a lost connection the server must first have given up what was sent over it.
        """
        await self._hot.certain()

    def practise(self, intent: Intent) -> None:
        """Encode an intent and throw it away: code that ran a moment ago runs several times faster."""
        journal_arguments(intent)

    async def rehearse(self, intent: Intent) -> None:
        """Run an intent's statement and take it back, so that the server's plans and caches are warm for the first
        real one. Does nothing while others commit. Raises LedgerUnavailable."""
        if self._busy:
            return
        connection = self._hot.connection
        self._busy = True
        transaction = connection.transaction()
        try:
            await transaction.start()
            await self._run(connection, _JOURNAL, [intent])
            await transaction.rollback()
        except BaseException as error:  # also when cancelled: a transaction left open would swallow later commits
            self._hot.lost(connection, error)
            if isinstance(error, (*CONNECTION_ERRORS, asyncpg.PostgresError, InvariantError)):
                raise unavailable(error) from error
            raise
        finally:
            self._busy = False
            if self._waiting:
                self._start_draining()

    async def close(self) -> None:
        """Give up what waits. What is on its way ends by itself."""
        if self._drain is not None:
            await asyncio.wait([self._drain], timeout=STATEMENT_TIMEOUT_S)
        self._refuse_waiting(LedgerUnavailable("The ledger's writer was closed."))

    async def _submit(self, kind: _Kind, item: Any) -> IntentResult:
        if self._busy:
            return await self._queue(kind, item)
        connection = self._hot.connection
        self._busy = True
        try:
            return (await self._run(connection, kind, [item]))[0]
        finally:
            self._busy = False
            if self._waiting:
                self._start_draining()

    async def _queue(self, kind: _Kind, item: Any) -> IntentResult:
        if len(self._waiting) >= WAITING_MAX:
            raise LedgerUnavailable(f"{WAITING_MAX} intents wait for the ledger already; this one was not taken.")
        waiting = _Waiting(kind, item, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        return await waiting.outcome

    def _start_draining(self) -> None:
        self._busy = True
        self._drain = asyncio.get_running_loop().create_task(self._drain_waiting(), name="ledger group commit")

    async def _drain_waiting(self) -> None:
        try:
            while self._waiting:
                await self._commit_batch(self._next_batch())
        except BaseException:
            self._refuse_waiting(LedgerUnavailable("The ledger's writer was stopped."))
            raise
        finally:
            self._busy = False

    def _next_batch(self) -> list[_Waiting]:
        kind = self._waiting[0].kind
        batch: list[_Waiting] = []
        while self._waiting and self._waiting[0].kind is kind and len(batch) < BATCH_MAX:
            waiting = self._waiting.popleft()
            if not waiting.outcome.done():  # its caller gave up before anything was sent
                batch.append(waiting)
        return batch

    async def _commit_batch(self, batch: list[_Waiting]) -> None:
        if not batch:
            return
        try:
            connection = self._hot.connection
            results = await self._run(connection, batch[0].kind, [waiting.item for waiting in batch])
        except InvariantError as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            _log.warning("a shared commit of %d intents was refused, trying one by one: %s", len(batch), error)
            for waiting in batch:
                await self._commit_batch([waiting])
        except LedgerUnavailable as error:
            _fail(batch, error)
        except BaseException:
            _fail(batch, LedgerUnavailable("The ledger's writer was stopped."))
            raise
        else:
            for waiting, result in zip(batch, results, strict=True):
                if not waiting.outcome.done():
                    waiting.outcome.set_result(result)

    async def _run(self, connection: Connection, kind: _Kind, items: Sequence[Any]) -> list[IntentResult]:
        try:
            arguments = [kind.arguments(item) for item in items]
        except (TypeError, ValueError) as error:
            raise InvariantError(f"An intent cannot be written as JSON: {error}") from error
        self.statements += 1
        self._stay_awake(asyncio.get_running_loop())
        try:
            if len(arguments) == 1:
                rows = await connection.fetch(kind.statement, *arguments[0], timeout=STATEMENT_TIMEOUT_S)
            else:  # pipelined: one round trip and one commit for all
                rows = await connection.fetchmany(kind.statement, arguments, timeout=STATEMENT_TIMEOUT_S)
        except CONNECTION_ERRORS as error:
            self._hot.lost(connection, error)
            raise unavailable(error) from error
        except asyncpg.PostgresError as error:
            raise InvariantError(f"The ledger refused an intent: {error}") from error
        finally:
            self._awake_until = 0.0
        return [IntentResult(row[0]) for row in rows]

    def _stay_awake(self, loop: asyncio.AbstractEventLoop) -> None:
        """Keep the loop turning until the answer is there, for a moment at most."""
        self._awake_until = loop.time() + AWAKE_S

        def turn() -> None:
            if loop.time() < self._awake_until:
                loop.call_soon(turn)

        loop.call_soon(turn)

    def _refuse_waiting(self, error: Exception) -> None:
        _fail(list(self._waiting), error)
        self._waiting.clear()


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.outcome.done():
            waiting.outcome.set_exception(error)
