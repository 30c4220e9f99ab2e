"""The entry: every command is known without loading it, errors become one sentence and an exit code."""

import importlib
import subprocess
import sys
from collections.abc import Callable

import pytest
import typer
from typer.testing import CliRunner

from signalbox.cli import main as entry
from signalbox.cli.errors import ExitCode, exit_code, sentence
from signalbox.domain.errors import (
    ConfigError,
    InvariantError,
    LedgerUnavailable,
    SignalboxError,
    VenueUnavailable,
)

runner = CliRunner()


def test_help_lists_every_command() -> None:
    result = runner.invoke(entry.app, ["--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for name in entry.COMMANDS:
        assert name in result.output


@pytest.mark.parametrize("name", list(entry.COMMANDS))
def test_every_command_has_help(name: str) -> None:
    result = runner.invoke(entry.app, [name, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


def test_help_loads_nothing_heavy() -> None:
    """The start of the command line stays quick because these are not imported for it."""
    heavy = ("asyncpg", "sqlalchemy", "alembic", "aiohttp", "uvloop", "picows", "signalbox.ledger", "signalbox.engine")
    code = (
        "import sys\n"
        "from signalbox.cli.main import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603 - ourselves
    assert done.stderr.strip() == "[]"


def test_the_version_is_printed() -> None:
    result = runner.invoke(entry.app, ["--version"])
    assert result.output.startswith("signalbox ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("lstings",), "No such command 'lstings'"),
        (("--verbose",), "No such option: --verbose"),
        (("run", "strat"), "No such command 'strat'"),
        (("config", "create", "x", "--symbols", "A"), "No such option: --symbols (Possible options: --"),
        (
            ("account", "add", "x", "--venue", "y"),
            "Invalid value for '--venue': 'y' is not one of 'mexc', 'hyperliquid'",
        ),
        (("kill-switch", "on"), "Missing option '--reason' / '-r'"),
        (("simulator", "mexc", "--port", "99999"), "less than or equal to 65535"),
    ],
)
def test_a_wrong_option_is_told_in_one_sentence(arguments: tuple[str, ...], told: str) -> None:
    result = runner.invoke(entry.app, list(arguments))
    assert result.exit_code == ExitCode.USAGE
    assert result.output.startswith("signalbox: ")
    assert told in result.output
    assert result.output.endswith("--help' shows what it takes\n")
    assert result.output.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), ExitCode.REFUSED),
        (InvariantError("x"), ExitCode.REFUSED),
        (LedgerUnavailable("x"), ExitCode.UNAVAILABLE),
        (VenueUnavailable("x"), ExitCode.UNAVAILABLE),
    ],
)
def test_exit_codes(error: SignalboxError, code: ExitCode) -> None:
    assert exit_code(error) is code


def test_a_sentence_is_one_line_and_says_what_to_do() -> None:
    assert sentence(ConfigError("a\n  b")) == "a b"
    assert sentence(LedgerUnavailable("gone.")) == "gone. Check it with 'signalbox doctor'"
    assert "report it" in sentence(InvariantError("odd"))


def _failing(error: BaseException) -> Callable[[str], object]:
    app = typer.Typer(add_completion=False)

    @app.command()
    def fail() -> None:
        raise error

    return lambda _: type("Module", (), {"app": app})


def test_our_error_becomes_one_sentence_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib, "import_module", _failing(LedgerUnavailable("The ledger is away.")))
    result = runner.invoke(entry.app, ["doctor"])
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert result.stderr == "signalbox: The ledger is away. Check it with 'signalbox doctor'\n"
    assert result.stdout == ""


def test_a_group_of_our_errors_becomes_their_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    group = ExceptionGroup("tasks", [ConfigError("one"), ExceptionGroup("inner", [LedgerUnavailable("two.")])])
    monkeypatch.setattr(importlib, "import_module", _failing(group))
    result = runner.invoke(entry.app, ["doctor"])
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert result.stderr.splitlines() == ["signalbox: one", "signalbox: two. Check it with 'signalbox doctor'"]


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib, "import_module", _failing(ZeroDivisionError("x")))
    assert isinstance(runner.invoke(entry.app, ["doctor"]).exception, ZeroDivisionError)
