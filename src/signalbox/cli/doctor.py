"""`signalbox doctor`."""

import asyncio

import typer

from signalbox.app.doctor import Finding, Verdict, check_ledger, check_machine, check_venue, unreachable_ledger
from signalbox.app.settings import Settings
from signalbox.cli.errors import ExitCode
from signalbox.cli.options import JsonFlag
from signalbox.cli.output import Banner, banner, print_json, stderr, stdout
from signalbox.cli.session import database_of, settings_with_logging
from signalbox.cli.tables import Column, prose, table
from signalbox.domain.errors import SignalboxError

app = typer.Typer(add_completion=False)


@app.command()
def doctor(as_json: JsonFlag = False) -> None:
    """Check Python, PostgreSQL, the schema, the exchange, its clock and the credentials; say what to do for each."""
    settings = settings_with_logging()
    with stderr().status("Looking …"):
        findings = [*check_machine(settings), *_ledger(settings), *asyncio.run(check_venue(settings))]
    if as_json:
        print_json(findings)
    else:
        out = stdout()
        if settings.simulated_exchange:
            out.print(banner(Banner.SIMULATED_EXCHANGE))
        columns = [Column("check"), Column("verdict"), prose("found"), prose("what to do")]
        rows = [[finding.name, finding.verdict, finding.found, finding.advice] for finding in findings]
        out.print(table("Doctor", columns, rows, empty=""))
    if any(finding.verdict is Verdict.FAILED for finding in findings):
        raise typer.Exit(ExitCode.REFUSED)


def _ledger(settings: Settings) -> list[Finding]:
    try:
        with database_of(settings) as database:
            return asyncio.run(check_ledger(settings, database))
    except SignalboxError as error:
        return [unreachable_ledger(error)]
