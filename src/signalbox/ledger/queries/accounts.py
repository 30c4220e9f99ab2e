"""Accounts."""

from datetime import datetime

from msgspec import Struct

from signalbox.domain.configuration import Account, Environment, Venue
from signalbox.domain.errors import NotFoundError
from signalbox.domain.ids import AccountId
from signalbox.domain.orders import Mode
from signalbox.ledger.sessions import ReadSession, WriteSession

_COLUMNS = "id, venue, label, environment, validated_at, last_error"


class AccountRow(Struct, frozen=True, kw_only=True):
    """An account as a list shows it, with the mode that its settings allow."""

    id: AccountId
    venue: Venue
    label: str
    environment: Environment
    mode: Mode
    auto_trade: bool
    created_at: datetime
    validated_at: datetime | None
    last_error: str | None
    checked_at: datetime | None = None
    validation_asked_at: datetime | None = None
    compared_at: datetime | None = None
    books_agree: bool | None = None

    @property
    def check_is_done(self) -> bool:
        """True when the engine has checked the credentials since somebody asked for it."""
        asked, checked = self.validation_asked_at, self.checked_at
        return asked is not None and checked is not None and checked >= asked


async def insert_account(session: WriteSession, account: Account, *, at: datetime) -> None:
    """Store a new account."""
    await session.execute(
        "INSERT INTO accounts (id, venue, label, environment, created_at) VALUES ($1, $2, $3, $4, $5)",
        account.id,
        account.venue,
        account.label,
        account.environment,
        at,
    )


async def account_by_label(session: ReadSession, label: str) -> Account:
    """The account with this label. Raises NotFoundError."""
    account = await session.row(Account, f"SELECT {_COLUMNS} FROM accounts WHERE label = $1", label)  # noqa: S608 - constant
    if account is None:
        raise NotFoundError(
            f"There is no account {label!r}: 'signalbox account list' shows all,"
            f" 'signalbox account add {label}' makes it."
        )
    return account


async def ask_validation(session: WriteSession, account_id: AccountId, *, at: datetime) -> None:
    """Ask the engine to check the account's credentials."""
    await session.execute(
        "UPDATE accounts SET validation_asked_at = greatest($2, checked_at + interval '1 microsecond') WHERE id = $1",
        account_id,
        at,
    )


async def list_accounts(session: ReadSession) -> list[AccountRow]:
    """All accounts by label."""
    return await session.rows(
        AccountRow,
        """
        SELECT a.id, a.venue, a.label, a.environment, a.created_at, a.validated_at, a.last_error, a.checked_at,
               a.validation_asked_at, coalesce(s.mode, 'simulation') AS mode,
               coalesce(s.auto_trade, false) AS auto_trade, r.finished_at AS compared_at, r.agreed AS books_agree
        FROM accounts AS a LEFT JOIN settings AS s ON s.account_id = a.id
        LEFT JOIN LATERAL (
            SELECT finished_at, agreed FROM reconciliations WHERE account_id = a.id
            ORDER BY finished_at DESC, id DESC LIMIT 1
        ) AS r ON true
        ORDER BY a.label, a.venue
        """,
    )
