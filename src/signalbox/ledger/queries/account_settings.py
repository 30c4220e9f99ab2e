"""The guardrails of an account: the present version, and every one before it."""

from datetime import datetime

from msgspec import Struct

from signalbox.domain.configuration import AccountSettings
from signalbox.domain.errors import NotFoundError
from signalbox.domain.ids import AccountId
from signalbox.ledger.sessions import ReadSession, WriteSession

_COLUMNS = """account_id, version, mode, max_trade_usdt, max_position_usdt, global_exposure_cap, asset_exposure_caps,
    daily_loss_limit, auto_trade"""


class SettingsVersion(Struct, frozen=True, kw_only=True):
    """One version of an account's settings, with its author."""

    settings: AccountSettings
    updated_at: datetime
    updated_by: str


class _Author(Struct, frozen=True):
    version: int
    updated_at: datetime
    updated_by: str


async def insert_settings(session: WriteSession, settings: AccountSettings, *, at: datetime, author: str) -> None:
    """Store the first version of an account's settings."""
    s = settings
    await session.execute(
        """
        INSERT INTO settings (
            account_id, version, mode, max_trade_usdt, max_position_usdt, global_exposure_cap, asset_exposure_caps,
            daily_loss_limit, auto_trade, created_at, updated_at, updated_by
        ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)
        """,
        s.account_id,
        s.version,
        s.mode,
        s.max_trade_usdt,
        s.max_position_usdt,
        s.global_exposure_cap,
        s.asset_exposure_caps,
        s.daily_loss_limit,
        s.auto_trade,
        at,
        author,
    )


async def replace_settings(session: WriteSession, settings: AccountSettings, *, at: datetime, author: str) -> bool:
    """Store `settings` if the version before it is still the present one; False when somebody was faster."""
    s = settings
    updated = await session.row(
        _Author,
        """
        UPDATE settings SET
            version = $2, mode = $3, max_trade_usdt = $4, max_position_usdt = $5, global_exposure_cap = $6,
            asset_exposure_caps = $7, daily_loss_limit = $8, auto_trade = $9, updated_at = $10, updated_by = $11
        WHERE account_id = $1 AND version = $2 - 1
        RETURNING version, updated_at, updated_by
        """,
        s.account_id,
        s.version,
        s.mode,
        s.max_trade_usdt,
        s.max_position_usdt,
        s.global_exposure_cap,
        s.asset_exposure_caps,
        s.daily_loss_limit,
        s.auto_trade,
        at,
        author,
    )
    return updated is not None


async def current_settings(session: ReadSession, account_id: AccountId) -> SettingsVersion:
    """The present settings of an account. Raises NotFoundError."""
    found = await session.row(
        AccountSettings,
        f"SELECT {_COLUMNS} FROM settings WHERE account_id = $1",  # noqa: S608 - constant
        account_id,
    )
    author = await session.row(
        _Author, "SELECT version, updated_at, updated_by FROM settings WHERE account_id = $1", account_id
    )
    if found is None or author is None:
        raise NotFoundError(f"Account {account_id} has no settings; make the account with 'signalbox account add'.")
    return SettingsVersion(settings=found, updated_at=author.updated_at, updated_by=author.updated_by)


async def settings_history(session: ReadSession, account_id: AccountId, limit: int) -> list[SettingsVersion]:
    """Every version of an account's settings, newest first."""
    versions = await session.rows(
        AccountSettings,
        f"SELECT {_COLUMNS} FROM settings_history WHERE account_id = $1 ORDER BY version DESC LIMIT $2",  # noqa: S608
        account_id,
        limit,
    )
    authors = await session.rows(
        _Author,
        "SELECT version, updated_at, updated_by FROM settings_history WHERE account_id = $1"
        " ORDER BY version DESC LIMIT $2",
        account_id,
        limit,
    )
    return [
        SettingsVersion(settings=version, updated_at=author.updated_at, updated_by=author.updated_by)
        for version, author in zip(versions, authors, strict=True)
    ]
