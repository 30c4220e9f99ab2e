"""Entry of `signalbox`. Knows every command by name and loads only the module of the one that runs."""

import importlib
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from signalbox.cli.errors import ExitCode, exit_code, sentence
from signalbox.domain.errors import SignalboxError


class _Entry(NamedTuple):
    module: str
    help: str


COMMANDS = {
    "demo": _Entry("demo", "Watch a listing become an audited trade on a simulated exchange."),
    "up": _Entry("up", "Start Signalbox: the private PostgreSQL and the engine. Ctrl-C stops both."),
    "engine": _Entry("engine", "Run the engine alone, in the foreground."),
    "doctor": _Entry("doctor", "Check this installation and say what to do about each problem."),
    "simulator": _Entry("simulator", "Run a simulated exchange."),
    "account": _Entry("accounts", "Accounts: add, list, validate the credentials."),
    "config": _Entry("configurations", "Bot configurations: create, list, show."),
    "run": _Entry("runs", "Runs: start, stop, status."),
    "listings": _Entry("listings", "Listings: what comes, who saw it first, what was missed and why."),
    "signals": _Entry("signals", "Signals: what was detected, by which source."),
    "trades": _Entry("trades", "Trades: list, show one with every check and latency stage."),
    "positions": _Entry("positions", "Positions and their results."),
    "books": _Entry("books", "The exchange's books beside ours: comparisons, external orders, the wallet."),
    "events": _Entry("events", "What happened, and who did it."),
    "alerts": _Entry("alerts", "Alerts: what somebody has to look at."),
    "settings": _Entry("settings", "Guardrails of an account: show, set."),
    "kill-switch": _Entry("kill_switch", "The kill switch: on, off, status."),
    "audit": _Entry("audit", "Verify the ledger's hash chains."),
    "db": _Entry("database", "The database schema: upgrade, downgrade, current."),
}


class Commands(TyperGroup):
    """A group that loads a command's module when the command is run, and turns our errors into exit codes."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every command, in the order of COMMANDS."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:
        """A stand-in with the help text: enough for the list of commands."""
        del ctx
        entry = COMMANDS.get(cmd_name)
        return TyperCommand(cmd_name, help=entry.help) if entry else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The real command, loaded now."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in COMMANDS:
            module = importlib.import_module(f"signalbox.cli.{COMMANDS[name].module}")
            command = typer.main.get_command(module.app)
            command.name = name
            command.help = command.help or COMMANDS[name].help
        return name, command, rest

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Read our own options; a mistake becomes one sentence."""
        try:
            return super().make_context(*args, **extra)
        except typer.TyperException as error:
            raise _misused(error) from None

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error of ours, or a mistaken option, becomes one sentence on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except typer.TyperException as error:
            raise _misused(error) from None
        except SignalboxError as error:
            raise _told([error]) from None
        except BaseExceptionGroup as group:
            ours, others = group.split(SignalboxError)
            if ours is None or others is not None:
                raise
            raise _told(list(_leaves(ours))) from None


def _misused(error: typer.TyperException) -> Exception:
    """The exit after a wrong option or argument was told. Asking for help by giving nothing is no mistake."""
    if type(error).__name__ == "NoArgsIsHelpError":  # its text is the help, which is on the screen already
        return error
    text = " ".join(error.format_message().split()).replace("Value error, ", "").rstrip(".")
    context = getattr(error, "ctx", None)
    path = "signalbox" if context is None else context.command_path
    typer.echo(f"signalbox: {text}; '{path} --help' shows what it takes", err=True)
    return typer.Exit(error.exit_code)


def _told(errors: list[SignalboxError]) -> typer.Exit:
    """The exit after each error was said in one sentence."""
    for error in errors:
        typer.echo(f"signalbox: {sentence(error)}", err=True)
    return typer.Exit(max(exit_code(error) for error in errors))


def _leaves(group: BaseExceptionGroup[SignalboxError]) -> Iterator[SignalboxError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


app = typer.Typer(
    cls=Commands,
    name="signalbox",
    help="Event-driven trading bots with hard limits and an audited ledger.",
    epilog="Simulation unless the configuration asks for live and the account's settings allow it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"signalbox {version('signalbox')}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Event-driven trading bots with hard limits and an audited ledger."""
    del show_version


def main() -> NoReturn:
    """Run the command line and exit."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    sys.exit(ExitCode.OK)


if __name__ == "__main__":  # how `up` and `demo` start this program again
    main()
