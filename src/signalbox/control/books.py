"""The exchange's books beside ours: what was compared, what is not ours, what the wallet holds."""

from signalbox.control.context import Control
from signalbox.ledger.queries import reconciliation
from signalbox.ledger.queries.accounts import account_by_label
from signalbox.ledger.queries.reconciliation import BalanceRow, ExternalOrderRow, ReconciliationRow
from signalbox.ledger.sessions import ReadSession


async def list_reconciliations(
    control: Control, *, account: str | None, differing: bool, limit: int
) -> list[ReconciliationRow]:
    """Comparisons, newest first. Raises NotFoundError for an account that there is not."""
    async with control.sessions.read() as session:
        await _known(session, account)
        return await reconciliation.list_reconciliations(session, account=account, differing=differing, limit=limit)


async def list_external_orders(control: Control, *, account: str | None, limit: int) -> list[ExternalOrderRow]:
    """Orders that we did not send, the last seen first. Raises NotFoundError."""
    async with control.sessions.read() as session:
        await _known(session, account)
        return await reconciliation.list_external_orders(session, account=account, limit=limit)


async def list_balances(control: Control, *, account: str | None) -> list[BalanceRow]:
    """The wallets as they were last compared. Raises NotFoundError."""
    async with control.sessions.read() as session:
        await _known(session, account)
        return await reconciliation.list_balances(session, account=account)


async def _known(session: ReadSession, account: str | None) -> None:
    if account is not None:
        await account_by_label(session, account)
