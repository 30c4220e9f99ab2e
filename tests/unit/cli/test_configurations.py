"""`signalbox config create --help`."""

import re

from typer.testing import CliRunner

from signalbox.cli.main import app


def test_the_help_tells_what_applies_when_nothing_is_said() -> None:
    result = CliRunner().invoke(app, ["config", "create", "--help"], env={"COLUMNS": "160", "TERM": "dumb"})
    assert result.exit_code == 0
    shown = re.sub(r"[\s│]+", " ", result.output)
    for option, default in (
        ("--symbol", "*USDT"),
        ("--quote-asset", "USDT"),
        ("--quote-amount", "20"),
        ("--deny", "none"),
        ("--take-profit", "0.20"),
        ("--stop-loss", "none"),
        ("--time-limit-s", "300"),
        ("--warm-s", "2"),
    ):
        told = shown.split(f" {option} ", 1)[1]
        assert re.findall(r"\[default: \((.*?)\)\]", told)[0] == default
