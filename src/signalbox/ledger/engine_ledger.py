"""The ledger as the engine knows it: the port `domain.ports.Ledger` on PostgreSQL."""

from collections.abc import AsyncIterator, Callable

from signalbox.domain.decisions import Intent, IntentResult
from signalbox.domain.ids import AccountId, DecisionId
from signalbox.domain.orders import Order
from signalbox.ledger.accounts import Accounts
from signalbox.ledger.changes import changes
from signalbox.ledger.connecting import UrlSource
from signalbox.ledger.database import Database
from signalbox.ledger.hot_connection import HotConnection
from signalbox.ledger.outcomes import Outcomes
from signalbox.ledger.ownership import Ownership
from signalbox.ledger.positions import Positions
from signalbox.ledger.records import Records
from signalbox.ledger.recovery import Recovery
from signalbox.ledger.runs import Runs
from signalbox.ledger.writer import IntentCommitter


class EngineLedger(Outcomes, Runs, Recovery, Positions, Records, Accounts):
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

    async def open(self) -> None:
        """Connect. Raises LedgerUnavailable."""
        await self._database.open()
        await self._hot.open()

    async def close(self) -> None:
        """Commit nothing more, give back all accounts, disconnect."""
        await self._committer.close()
        await self._hot.close()
        await self._ownership.close()
        await self._database.close()

    async def commit(self, intent: Intent) -> IntentResult:
        """See `IntentCommitter.commit`."""
        return await self._committer.commit(intent)

    async def rehearse(self, intent: Intent) -> None:
        """See `IntentCommitter.rehearse`."""
        await self._committer.rehearse(intent)

    async def lookup(self, decision_id: DecisionId) -> bool:
        """True when the decision is in the ledger, False when it is not and never will be. Raises LedgerUnavailable."""
        await self._committer.certain()
        row = await self._database.fetchrow("SELECT FROM strategy_decisions WHERE id = $1", decision_id)
        return row is not None

    async def follow_up(self, order: Order, fence: int) -> IntentResult:
        """See `IntentCommitter.follow_up`."""
        return await self._committer.follow_up(order, fence)

    async def own(self, account_id: AccountId, holder: str) -> int:
        """See `Ownership.own`."""
        return await self._ownership.own(account_id, holder)

    async def disown(self, account_id: AccountId) -> None:
        """See `Ownership.disown`."""
        await self._ownership.disown(account_id)

    def changes(self) -> AsyncIterator[str]:
        """See `ledger.changes`."""
        return changes(self._urls)
