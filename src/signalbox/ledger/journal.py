"""The journal's way into the tables: an intent is durable as one row first, and spread over its tables soon after.

The order path pays for one row only. Whoever writes an outcome of an order makes sure first that its intent is spread;
an engine that takes an account over spreads what its predecessor left. So nobody who reads the tables after that can
miss an intent, and nothing that was committed is lost.
"""

import asyncio
import logging
from uuid import UUID

import msgspec

from signalbox.domain.decisions import Intent, IntentResult
from signalbox.domain.errors import ConflictError, InvariantError, LedgerUnavailable
from signalbox.domain.ids import AccountId, DecisionId, SignalId
from signalbox.ledger.database import Database
from signalbox.ledger.intent_documents import intent_from
from signalbox.ledger.intent_rows import spread_arguments
from signalbox.ledger.intent_statements import SPREAD

SOON_S = 0.01
"""How long a committed intent may wait for its order's outcome before it is spread anyway."""

_log = logging.getLogger(__name__)


class Journal:
    """Intents of this process that may still be in the journal."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: dict[UUID, Intent] = {}
        self._committing: dict[UUID, asyncio.Event] = {}
        self._uncertain: set[UUID] = set()
        self._turns: dict[UUID, asyncio.Lock] = {}
        self._soon: set[asyncio.Task[None]] = set()

    def hold(self, intent: Intent) -> None:
        """Remember an intent before it is committed: afterwards nobody may know whether it was."""
        decision_id = intent.decision.id
        self._held[decision_id] = intent
        self._committing[decision_id] = asyncio.Event()
        self._uncertain.add(decision_id)

    def commit_is_over(self, decision_id: DecisionId) -> None:
        """Nobody waits for its commit any more, whether or not its outcome is known."""
        over = self._committing.pop(decision_id, None)
        if over is not None:
            over.set()

    def certain(self, decision_id: DecisionId) -> None:
        """The intent was surely committed: once the journal does not have it any more, its tables do."""
        self._uncertain.discard(decision_id)

    def drop(self, decision_id: DecisionId) -> None:
        """The intent is surely not in the journal."""
        self._uncertain.discard(decision_id)
        self._held.pop(decision_id, None)

    def spread_soon(self, decision_id: DecisionId) -> None:
        """Spread an intent a moment later, off the order's way, unless its outcome has had that done by then."""
        asyncio.get_running_loop().call_later(SOON_S, self._spread_now, decision_id)

    def _spread_now(self, decision_id: DecisionId) -> None:
        if decision_id in self._held:
            task = asyncio.get_running_loop().create_task(self._try_to_spread(decision_id), name="ledger journal")
            self._soon.add(task)
            task.add_done_callback(self._soon.discard)

    async def spread(self, decision_id: DecisionId) -> None:
        """Have an intent in its tables; does nothing when it is there already. Raises LedgerUnavailable, and
        InvariantError when a table refuses it."""
        if decision_id not in self._held:
            return
        async with self._turns.setdefault(decision_id, asyncio.Lock()):
            intent = self._held.get(decision_id)
            if intent is not None and (await self._move(intent) or decision_id not in self._uncertain):
                self.drop(decision_id)
        self._turns.pop(decision_id, None)

    async def spread_signal(self, signal_id: SignalId) -> None:
        """Have the intents of a listing in their tables, also one that is just being committed. Errors as in
        `spread`."""
        for intent in [held for held in self._held.values() if held.decision.cause.listing_signal_id == signal_id]:
            committing = self._committing.get(intent.decision.id)
            if committing is not None:
                await committing.wait()
            await self.spread(intent.decision.id)

    async def spread_account(self, account_id: AccountId) -> None:
        """Spread everything that an account has in the journal. Errors as in `spread`."""
        rows = await self._database.fetch(
            "SELECT document FROM intent_journal WHERE account_id = $1 ORDER BY created_at, decision_id", account_id
        )
        for row in rows:
            try:
                intent = intent_from(row["document"])
            except msgspec.MsgspecError as error:
                raise InvariantError(f"intent_journal holds what this version cannot read: {error}") from error
            await self._move(intent)

    async def close(self) -> None:
        """Spread what this process still holds, as far as the ledger lets it; the rest waits for the next engine."""
        for decision_id in list(self._held):
            try:
                await self.spread(DecisionId(decision_id))
            except (LedgerUnavailable, InvariantError) as error:
                _log.warning("intent %s stays in the journal for the next engine: %s", decision_id, error)
                return

    async def _try_to_spread(self, decision_id: DecisionId) -> None:
        try:
            await self.spread(decision_id)
        except LedgerUnavailable as error:
            _log.warning("intent %s waits in the journal: %s", decision_id, error)
        except InvariantError as error:
            _log.error("intent %s cannot be spread over its tables: %s", decision_id, error)

    async def _move(self, intent: Intent) -> bool:
        """False when the journal does not have it: it was moved before, or is not committed yet."""
        try:
            rows = await self._database.fetch(SPREAD, *spread_arguments(intent))
        except ConflictError as error:
            raise InvariantError(f"intent {intent.decision.id} contradicts what is stored: {error}") from error
        return bool(rows[0][0] == IntentResult.INSERTED)
