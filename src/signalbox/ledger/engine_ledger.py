"""The ledger as the engine knows it: the port `domain.ports.Ledger` on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from decimal import Decimal

from signalbox.domain.decisions import Intent, IntentResult
from signalbox.domain.errors import InvariantError
from signalbox.domain.ids import AccountId, DecisionId, SignalId
from signalbox.domain.orders import Fill, Order, OrderEvidence, OrderResult, StageTimes, SubmitOutcome
from signalbox.domain.positions import Position
from signalbox.domain.signals import Sighting
from signalbox.ledger.accounts import Accounts
from signalbox.ledger.alerts import Alerts
from signalbox.ledger.changes import changes
from signalbox.ledger.connecting import UrlSource
from signalbox.ledger.database import Database
from signalbox.ledger.hot_connection import HotConnection
from signalbox.ledger.journal import Journal
from signalbox.ledger.listing_records import ListingRecords
from signalbox.ledger.outcomes import Outcomes
from signalbox.ledger.ownership import Ownership
from signalbox.ledger.positions import Positions
from signalbox.ledger.reconciliation import ReconciliationRecords
from signalbox.ledger.records import Records
from signalbox.ledger.recovery import Recovery
from signalbox.ledger.revisions import Revisions
from signalbox.ledger.runs import Runs
from signalbox.ledger.schedule import Schedules
from signalbox.ledger.writer import IntentCommitter

_LOOKUP = """
SELECT FROM strategy_decisions WHERE id = $1 UNION ALL SELECT FROM intent_journal WHERE decision_id = $1
"""


_STORED = frozenset({IntentResult.INSERTED, IntentResult.DUPLICATE})


class EngineLedger(
    Outcomes,
    Revisions,
    ReconciliationRecords,
    Runs,
    Recovery,
    Positions,
    Records,
    Accounts,
    Alerts,
    ListingRecords,
    Schedules,
):
    """One connection for intents, one for ownership, one for changes, and a small pool for everything else.

    `on_change` is told whether intents can be committed, whenever that changes.
    """

    def __init__(self, urls: UrlSource, on_change: Callable[[bool], None] | None = None) -> None:
        database = Database(urls, "engine")
        super().__init__(database)
        self._urls = urls
        self._ownership = Ownership(urls)
        self._hot = HotConnection(urls, on_change)
        self._committer = IntentCommitter(self._hot)
        self._journal = Journal(database)

    async def open(self) -> None:
        """Connect. Raises LedgerUnavailable."""
        await self._database.open()
        await self._hot.open()

    async def close(self) -> None:
        """Commit nothing more, give back all accounts, disconnect."""
        await self._committer.close()
        await self._journal.close()
        await self._hot.close()
        await self._ownership.close()
        await self._database.close()

    async def commit(self, intent: Intent) -> IntentResult:
        """See `IntentCommitter.commit`. What was committed to the journal is in its tables a moment later."""
        if intent.order is None:
            result = await self._committer.commit(intent)
            if intent.blocked is not None and result in _STORED:
                await self.record_blocked(intent.blocked)
            return result
        decision_id = intent.decision.id
        self._journal.hold(intent)
        try:
            result = await self._committer.commit(intent)
        except InvariantError:
            self._journal.drop(decision_id)
            raise
        except asyncio.CancelledError:  # nobody knows whether it was committed
            self._journal.spread_soon(decision_id)
            raise
        finally:
            self._journal.commit_is_over(decision_id)
        if result is IntentResult.INSERTED:
            self._journal.certain(decision_id)
            self._journal.spread_soon(decision_id)
        else:
            self._journal.drop(decision_id)
        return result

    def practise(self, intent: Intent) -> None:
        """See `IntentCommitter.practise`."""
        self._committer.practise(intent)

    async def rehearse(self, intent: Intent) -> None:
        """See `IntentCommitter.rehearse`."""
        await self._committer.rehearse(intent)

    async def lookup(self, decision_id: DecisionId) -> bool:
        """True when the decision is in the ledger, False when it is not and never will be. Raises LedgerUnavailable."""
        await self._committer.certain()
        row = await self._database.fetchrow(_LOOKUP, decision_id)
        if row is None:
            self._journal.drop(decision_id)
        else:
            self._journal.certain(decision_id)
        return row is not None

    async def follow_up(self, order: Order, fence: int) -> IntentResult:
        """See `IntentCommitter.follow_up`."""
        await self._journal.spread(order.decision_id)
        return await self._committer.follow_up(order, fence)

    async def own(self, account_id: AccountId, holder: str) -> int:
        """See `Ownership.own`. What an earlier engine left in the journal is in its tables afterwards, and what it
        completed is in the trade log."""
        fence = await self._ownership.own(account_id, holder)
        try:
            await self._journal.spread_account(account_id)
            await self.record_unlogged(account_id)
        except BaseException:
            await self._ownership.disown(account_id)  # nobody here serves it: another engine may
            raise
        return fence

    async def disown(self, account_id: AccountId) -> None:
        """See `Ownership.disown`."""
        await self._ownership.disown(account_id)

    def changes(self) -> AsyncIterator[str]:
        """See `ledger.changes`."""
        return changes(self._urls)

    async def record_submission(
        self, order: Order, outcome: SubmitOutcome, stages: StageTimes, *, latency_ms: Decimal | None
    ) -> None:
        """See `Outcomes.record_submission`."""
        await self._journal.spread(order.decision_id)
        await super().record_submission(order, outcome, stages, latency_ms=latency_ms)

    async def record_unsent(self, order: Order, *, at: datetime, code: str, reason: str) -> None:
        """See `Outcomes.record_unsent`."""
        await self._journal.spread(order.decision_id)
        await super().record_unsent(order, at=at, code=code, reason=reason)

    async def record_result(
        self,
        order: Order,
        *,
        evidence: OrderEvidence,
        fills: Sequence[Fill],
        result: OrderResult,
        position: Position | None,
        spent: Decimal | None,
        fill_model: str | None,
    ) -> None:
        """See `Outcomes.record_result`."""
        await self._journal.spread(order.decision_id)
        await super().record_result(
            order,
            evidence=evidence,
            fills=fills,
            result=result,
            position=position,
            spent=spent,
            fill_model=fill_model,
        )

    async def add_evidence(self, signal_id: SignalId, sighting: Sighting) -> None:
        """See `Recovery.add_evidence`."""
        await self._journal.spread_signal(signal_id)
        await super().add_evidence(signal_id, sighting)

    async def settle_reservation(self, decision_id: DecisionId, *, spent: Decimal, at: datetime) -> None:
        """See `Outcomes.settle_reservation`."""
        await self._journal.spread(decision_id)
        await super().settle_reservation(decision_id, spent=spent, at=at)
