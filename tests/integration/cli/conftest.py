"""The command line on a real database, called in this process."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from signalbox.cli.main import app


class Shell:
    """Runs commands; stdout and stderr are kept apart."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self._runner = CliRunner()

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Run a command that must end with `code`; its stdout and stderr."""
        result = self._runner.invoke(app, list(arguments), env=self.environment, catch_exceptions=False)
        assert result.exit_code == code, f"{arguments}: {result.exit_code}\n{result.stdout}\n{result.stderr}"
        return result.stdout, result.stderr

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command with --json; nothing else may be on stdout."""
        return json.loads(self.run(*arguments, "--json", code=code)[0])


@pytest.fixture(autouse=True)
def _logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def shell(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Shell]:
    """A shell on a fresh ledger; keyword arguments are further SIGNALBOX_ settings."""
    for name in ("SIGNALBOX_TEST_DATABASE_URL", "SIGNALBOX_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def make(**settings: str) -> Shell:
        return Shell(
            {
                "SIGNALBOX_DATABASE_URL": database_url,
                "SIGNALBOX_DATA_DIR": str(tmp_path / "data"),
                "SIGNALBOX_SECRETS_DIR": str(tmp_path / "secrets"),
                "SIGNALBOX_OPERATOR": "ada",
                **{f"SIGNALBOX_{name}": value for name, value in settings.items()},
            }
        )

    return make
