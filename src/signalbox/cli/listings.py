"""`signalbox listings`."""

from datetime import datetime
from typing import Annotated

import typer

from signalbox.cli.groups import group
from signalbox.cli.listing_screens import missed_screen, outcome_cell, race_screen, story_screen
from signalbox.cli.options import AccountText, JsonFlag, Limit, SinceText, SymbolText, UntilText, moment, window
from signalbox.cli.output import local_time, print_json, stdout
from signalbox.cli.session import ask
from signalbox.cli.tables import Column, decimals, table, times
from signalbox.cli.upcoming_screen import upcoming_screen
from signalbox.control import listing_boards, listings, upcoming
from signalbox.control.context import Control
from signalbox.control.listing_stories import listing_story
from signalbox.domain.signals import ListingSource
from signalbox.ledger.queries.listing_records import RecordFilter
from signalbox.ledger.queries.listings import ListingRow

app = group("Listings: what comes, who saw it first, what was missed and why.", default="list")

Tests = Annotated[bool, typer.Option("--tests", help="Injected test listings instead of real ones.")]


@app.command("list")
def list_(
    since: SinceText = None,
    until: UntilText = None,
    symbol: SymbolText = None,
    source: Annotated[ListingSource | None, typer.Option(help="Only from this source.")] = None,
    limit: Limit = 50,
    as_json: JsonFlag = False,
) -> None:
    """List recorded listings, newest first."""
    rows, screen = ask(
        lambda control: listings.list_listings(
            control, window(control.clock, since, until, symbol, limit), source=source
        )
    )
    if as_json:
        print_json(rows)
        return
    columns = [
        decimals("id"),
        Column("symbol"),
        times("listed at"),
        Column("outcome"),
        Column("source", extra=True),
        times("recorded", extra=True),
    ]
    cells = [
        [
            row.id,
            row.symbol,
            row.listed_at,
            outcome_cell(row.outcome, row.reason_code, row.reason_limit),
            row.source,
            row.created_at,
        ]
        for row in rows
    ]
    out = stdout()
    out.print(screen)
    out.print(
        table(
            "Listings",
            columns,
            cells,
            empty="No listing matches. A run has to be active to see new ones: 'signalbox run status'.",
        )
    )


@app.command("upcoming")
def upcoming_(
    account: AccountText = None,
    ended: Annotated[bool, typer.Option("--ended", help="What opened or was cancelled instead.")] = False,
    limit: Limit = 50,
    as_json: JsonFlag = False,
) -> None:
    """Announced listings with their countdown, and whether each could be traded."""
    board, screen = ask(lambda control: upcoming.upcoming(control, account=account, ended=ended, limit=limit))
    if as_json:
        print_json(board)
        return
    out = stdout()
    out.print(screen)
    out.print(upcoming_screen(board, ended=ended))


@app.command()
def race(
    since: SinceText = None,
    until: UntilText = None,
    symbol: SymbolText = None,
    account: AccountText = None,
    tests: Tests = False,
    limit: Limit = 20,
    as_json: JsonFlag = False,
) -> None:
    """Who saw each listing first, how far behind the others were, and how fast our order was."""
    board, screen = ask(
        lambda control: listing_boards.race(
            control,
            RecordFilter(window=window(control.clock, since, until, symbol, limit), account=account, tests=tests),
        )
    )
    if as_json:
        print_json(board)
        return
    out = stdout()
    out.print(screen)
    out.print(race_screen(board, tests=tests))


@app.command()
def missed(
    since: SinceText = None,
    until: UntilText = None,
    symbol: SymbolText = None,
    account: AccountText = None,
    reason: Annotated[
        str | None, typer.Option(help="Only this code or guardrail, such as NO_RUN or max_daily_spend.")
    ] = None,
    tests: Tests = False,
    limit: Limit = 20,
    as_json: JsonFlag = False,
) -> None:
    """What was not traded and why, what it would have cost, and what that would be worth after 1, 5 and 15 minutes."""
    board, screen = ask(
        lambda control: listing_boards.missed(
            control,
            RecordFilter(
                window=window(control.clock, since, until, symbol, limit), account=account, reason=reason, tests=tests
            ),
        )
    )
    if as_json:
        print_json(board)
        return
    out = stdout()
    out.print(screen)
    out.print(missed_screen(board))


@app.command()
def show(
    listing: Annotated[str, typer.Argument(metavar="SYMBOL|ID", help="A pair, a listing's id, or its number.")],
    as_json: JsonFlag = False,
) -> None:
    """The whole story of one listing: announced, moved, seen by whom, decided, bought and sold, or why not."""
    story, screen = ask(lambda control: listing_story(control, listing))
    if as_json:
        print_json(story)
        return
    out = stdout()
    out.print(screen)
    out.print(story_screen(story))


@app.command()
def inject(
    symbol: Annotated[
        str, typer.Argument(help="3 to 20 letters, digits or underscores, such as NEWUSDT; taken in capitals.")
    ],
    listed_at: Annotated[str | None, typer.Option(help="When it was listed; now unless given. Not the future.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Inject a test listing. It is traded in simulation only, whatever the account's mode."""

    async def use_case(control: Control) -> ListingRow:
        at: datetime | None = None if listed_at is None else moment(listed_at, "--listed-at", control.clock.now())
        return await listings.inject_test_listing(control, symbol=symbol, listed_at=at)

    row, screen = ask(use_case)
    if as_json:
        print_json(row)
        return
    out = stdout()
    out.print(screen)
    out.print(f"Test listing {row.symbol} at {local_time(row.listed_at)} recorded as {row.id}.")
