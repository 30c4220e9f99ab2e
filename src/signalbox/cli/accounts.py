"""`signalbox account`."""

import asyncio
from typing import Annotated

import typer
from msgspec import Struct

from signalbox.app.secrets import CredentialSource, FoundSecrets
from signalbox.app.settings import load_settings
from signalbox.cli.errors import ExitCode
from signalbox.cli.groups import group
from signalbox.cli.options import JsonFlag
from signalbox.cli.output import cell, local_time, print_json, stderr, stdout
from signalbox.cli.session import ask
from signalbox.cli.tables import Column, prose, table, times
from signalbox.control import accounts
from signalbox.control.context import Control
from signalbox.domain.configuration import Environment, Venue
from signalbox.ledger.queries.accounts import AccountRow

app = group("Accounts: add, list, validate.", default="list")

_POLL_S = 0.1
_ANSWER_S = 20.0


class _Shown(Struct, frozen=True, kw_only=True):
    account: AccountRow
    credentials: FoundSecrets


@app.command()
def add(
    label: Annotated[str, typer.Argument(help="A short name; its credentials are looked up by it.")],
    venue: Annotated[Venue, typer.Option(help="The exchange.")] = Venue.MEXC,
    environment: Annotated[Environment, typer.Option(help="What the credentials are for.")] = Environment.LOCAL,
) -> None:
    """Add an account. It holds no secret: the credentials stay where they are and are found by the label."""
    added, screen = ask(
        lambda control: accounts.create_account(control, label=label, venue=venue, environment=environment)
    )
    out = stdout()
    out.print(screen)
    out.print(
        f"Account {added.label} added, in simulation. Change its guardrails: signalbox settings set {added.label}"
    )
    missing = CredentialSource(load_settings()).missing(added.label)
    if missing:
        out.print(f"Not needed for simulation: {missing}")


@app.command()
def validate(
    label: Annotated[str, typer.Argument(help="The account's label.")],
    as_json: JsonFlag = False,
) -> None:
    """Have the running engine read the account's credentials anew and prove them at the exchange."""

    async def use_case(control: Control) -> AccountRow:
        row = await accounts.validate_account(control, label)
        with stderr().status("Waiting for the engine …"):
            try:
                async with asyncio.timeout(_ANSWER_S):
                    while not row.check_is_done:
                        await asyncio.sleep(_POLL_S)
                        row = await accounts.account_row(control, label)
            except TimeoutError:
                pass
        return row

    row, screen = ask(use_case)
    if as_json:
        print_json(row)
    else:
        out = stdout()
        out.print(screen)
        if row.check_is_done:
            out.print(_verdict(row), markup=False)
    if not row.check_is_done:
        stderr().print("No engine has answered yet. The credentials are checked as soon as one runs: 'signalbox up'.")
        raise typer.Exit(ExitCode.UNAVAILABLE)
    if row.last_error is not None:
        raise typer.Exit(ExitCode.REFUSED)


@app.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """List accounts and where their credentials come from."""
    rows, screen = ask(accounts.list_accounts)
    source = CredentialSource(load_settings())
    shown = [_Shown(account=row, credentials=source.find(row.label)) for row in rows]
    if as_json:
        print_json(shown)
        return
    columns = [
        Column("account"),
        Column("venue"),
        Column("environment", extra=True),
        Column("mode allowed"),
        Column("auto trade"),
        prose("credentials"),
        prose("last check"),
        prose("books", extra=True),
        times("added", extra=True),
    ]
    out = stdout()
    out.print(screen)
    out.print(
        table(
            "Accounts",
            columns,
            [_row(item) for item in shown],
            empty="No account yet: 'signalbox account add main' makes one.",
        )
    )


def _verdict(row: AccountRow) -> str:
    if row.last_error is None:
        return f"The exchange takes the credentials of account {row.label}; they may trade."
    return f"The credentials of account {row.label} cannot be used: {row.last_error}"


def _row(item: _Shown) -> list[object]:
    account, found = item.account, item.credentials
    place = found.api_secret_from if found.complete else "missing (needed for live only)"
    return [
        account.label,
        account.venue,
        account.environment,
        cell(account.mode),
        account.auto_trade,
        place,
        _last_check(account),
        _books(account),
        account.created_at,
    ]


def _last_check(account: AccountRow) -> str | None:
    if account.last_error is not None:
        return account.last_error
    if account.validated_at is None:
        return None
    return f"good, {local_time(account.validated_at, milliseconds=False)}"


def _books(account: AccountRow) -> str | None:
    """When the books were last compared with the exchange's, and how they agreed."""
    if account.compared_at is None:
        return None
    result = "agree" if account.books_agree else "differ"
    return f"{result}, {local_time(account.compared_at, milliseconds=False)}"
