"""Accounts: add one, list all."""

import re

from signalbox.control.context import Control
from signalbox.domain.configuration import Account, AccountSettings, Environment, Venue
from signalbox.domain.errors import ConfigError, ConflictError
from signalbox.domain.ids import AccountId
from signalbox.ledger.queries.account_settings import insert_settings
from signalbox.ledger.queries.accounts import AccountRow, account_by_label, ask_validation, insert_account
from signalbox.ledger.queries.accounts import list_accounts as _list_accounts

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def check_label(label: str) -> None:
    """Refuse what cannot name an account: a label is also a file name and part of a variable's name."""
    if not _LABEL.fullmatch(label):
        raise ConfigError(
            f"label must be 1 to 63 letters, digits, '_', '.' or '-', the first one a letter or digit, got {label!r}"
        )


def variable_part(label: str) -> str:
    """The label inside the names of environment variables; labels that share it cannot live together."""
    return re.sub(r"[^A-Z0-9]", "_", label.upper())


async def create_account(
    control: Control, *, label: str, venue: Venue = Venue.MEXC, environment: Environment = Environment.LOCAL
) -> Account:
    """Add an account with the default guardrails (simulation, automatic trading off).

    Raises ConfigError for a bad label and ConflictError when the label, or one whose credentials would have the same
    names, is taken.
    """
    check_label(label)
    account = Account(id=AccountId(control.ids.new_id()), venue=venue, label=label, environment=environment)
    now = control.clock.now()
    async with control.sessions.write() as session:
        for other in await _list_accounts(session):
            if variable_part(other.label) == variable_part(label):
                taken = (
                    "exists already" if other.label == label else f"would share its credentials with {other.label!r}"
                )
                raise ConflictError(f"Account {label!r} {taken}: choose another label.")
        await insert_account(session, account, at=now)
        await insert_settings(session, AccountSettings(account_id=account.id), at=now, author=control.actor)
        await control.record(
            session, "config", f"account {label} added", account=label, venue=venue, environment=environment
        )
    return account


async def validate_account(control: Control, label: str) -> AccountRow:
    """Ask the engine to read the account's credentials anew and to have the exchange confirm them. `check_is_done`
    of the account says when it has. Raises NotFoundError."""
    async with control.sessions.write() as session:
        account = await account_by_label(session, label)
        await ask_validation(session, account.id, at=control.clock.now())
        await control.record(session, "config", f"check of the credentials of account {label} asked for", account=label)
    return await account_row(control, label)


async def account_row(control: Control, label: str) -> AccountRow:
    """One account as the list shows it. Raises NotFoundError."""
    async with control.sessions.read() as session:
        await account_by_label(session, label)
        return next(row for row in await _list_accounts(session) if row.label == label)


async def list_accounts(control: Control) -> list[AccountRow]:
    """All accounts by label."""
    async with control.sessions.read() as session:
        return await _list_accounts(session)
