"""Each command group on a real ledger: tables for people, JSON for programs, exit codes for scripts."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.integration.cli.conftest import Shell

from signalbox.cli.errors import ExitCode

LOCAL = {
    "MEXC_REST_URL": "http://127.0.0.1:9",
    "MEXC_WS_URL": "ws://127.0.0.1:9/ws",
    "MEXC_CALENDAR_URL": "http://127.0.0.1:9/calendar",
}
READS = (
    ("account", "list"),
    ("config", "list"),
    ("run", "status"),
    ("listings",),
    ("listings", "upcoming"),
    ("listings", "race"),
    ("listings", "race", "--tests"),
    ("listings", "missed"),
    ("signals",),
    ("trades",),
    ("positions",),
    ("events",),
    ("kill-switch", "status"),
    ("audit", "verify"),
)


@pytest.fixture
def ready(shell: Callable[..., Shell]) -> Shell:
    """A shell with an account and a configuration."""
    sh = shell()
    sh.run("account", "add", "main")
    sh.run("config", "create", "calm", "--take-profit", "0.1", "--quote-amount", "12.50")
    return sh


@pytest.mark.parametrize("command", READS)
def test_every_read_has_a_screen_and_json(shell: Callable[..., Shell], command: tuple[str, ...]) -> None:
    sh = shell()
    screen, _ = sh.run(*command)
    assert screen.startswith(" SIMULATION ")
    assert "\x1b" not in screen
    sh.json(*command)


@pytest.mark.parametrize("command", READS)
def test_every_screen_says_that_the_exchange_is_simulated(
    shell: Callable[..., Shell], command: tuple[str, ...]
) -> None:
    screen, _ = shell(**LOCAL).run(*command)
    assert screen.startswith(" SIMULATED EXCHANGE ")


def test_an_account_says_where_its_credentials_come_from(ready: Shell, tmp_path: Path) -> None:
    assert "missing" in ready.run("account")[0]
    (tmp_path / "secrets").mkdir()
    for part in ("api_key", "api_secret"):
        (tmp_path / "secrets" / f"main.{part}").write_text("not-to-be-shown", encoding="utf-8")
    screen, _ = ready.run("account")
    assert "main.api_secret" in screen
    assert "not-to-be-shown" not in screen + str(ready.json("account"))


def test_a_configuration_is_versioned_and_can_start_from_another(ready: Shell, tmp_path: Path) -> None:
    ready.run("config", "create", "calm", "--from", "calm", "--mode", "live")
    newest = ready.json("config", "show", "calm")
    assert (newest["version"], newest["mode"], newest["quote_amount"]) == (2, "live", "12.50")
    assert newest["parameters"]["exit_plan"]["take_profit"] == "0.1"
    file = tmp_path / "calm.json"
    file.write_text(ready.run("config", "show", "calm:1", "--json")[0], encoding="utf-8")
    copied = ready.json("config", "create", "copy", "--file", str(file))
    assert (copied["name"], copied["version"], copied["mode"]) == ("copy", 1, "simulation")
    assert "calm" in ready.run("config", "list", "--all")[0]
    assert "+10%" in ready.run("config", "show", "calm")[0]


def test_exit_plans_with_levels_and_a_trailing_stop(ready: Shell) -> None:
    def plan(*arguments: str) -> Any:
        return ready.json("config", "create", "exits", *arguments)["parameters"]["exit_plan"]

    made = plan("--take-profit-level", "0.1:0.5", "--take-profit-level", "0.2:0.25", "--trailing-stop", "0.05",
                "--trailing-activation", "0.1", "--time-limit-s", "none")  # fmt: skip
    assert made == {
        "take_profit": None,
        "take_profit_levels": [{"at": "0.1", "share": "0.5"}, {"at": "0.2", "share": "0.25"}],
        "stop_loss": None,
        "trailing_stop": "0.05",
        "trailing_activation": "0.1",
        "time_limit_s": None,
    }
    assert "50% at +10% or 25% at +20% or -5% off the highest" in ready.run("config", "show", "exits")[0]
    replaced = plan("--from", "exits", "--take-profit", "0.3", "--trailing-stop", "none")
    assert (replaced["take_profit"], replaced["take_profit_levels"]) == ("0.3", [])
    assert (replaced["trailing_stop"], replaced["trailing_activation"]) == (None, None)
    assert plan("--from", "exits:1", "--take-profit-level", "none")["take_profit_levels"] == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("config", "create", "x", "--quote-amount", "0"), "quote_amount must be above 0, got 0"),
        (("config", "create", "x", "--quote-amount", "ten"), "quote_amount must be a decimal number, got 'ten'"),
        (("config", "create", "x", "--take-profit-level", "0.1"), "take_profit_level must look like 0.1:0.5"),
        (("config", "create", "x", "--take-profit-level", "0.1:x"), "share must be a decimal number, got 'x'"),
        (("config", "create", "x", "--take-profit-level", "0.1:2"), "levels.1.share must be above 0 and at most 1"),
        (
            ("config", "create", "x", "--take-profit", "1", "--take-profit-level", "0.1:1"),
            "must be empty while take_profit sells everything",
        ),
        (("config", "create", "x", "--trailing-activation", "0.1"), "trailing_activation needs a trailing_stop"),
        (("config", "create", "x", "--from", "y", "--file", "z"), "--from and --file exclude each other"),
        (("config", "create", "x", "--file", "missing.json"), "cannot be read"),
        (("config", "show", "none"), "There is no configuration 'none'"),
        (("run", "start", "main", "none"), "There is no configuration 'none'"),
        (("run", "start", "other", "calm"), "There is no account 'other'"),
        (("run", "stop", "main"), "has no active run"),
        (("listings", "inject", "no-good"), "Invalid symbol format"),
        (("listings", "show", "NOSUCHUSDT"), "There is no record of a listing 'NOSUCHUSDT'"),
        (("listings", "race", "--account", "nobody"), "There is no account 'nobody'"),
        (("listings", "inject", "NEWUSDT", "--listed-at", "2999-01-01"), "listed_at cannot be in the future"),
        (("settings", "set", "main"), "nothing to change"),
        (("settings", "set", "main", "--max-trade-usdt", "-1"), "max_trade_usdt must be above 0, got -1"),
        (("settings", "set", "main", "--asset-cap", "ABC"), "must look like ABC=100"),
        (("settings", "show", "other"), "There is no account 'other'"),
        (("settings", "set", "main", "--mode", "live"), "repeat it with --yes"),
        (("db", "downgrade", "base"), "repeat it with --yes"),
        (("run", "status", "other"), "There is no account 'other'"),
        (("trades", "--account", "other"), "There is no account 'other'"),
        (("positions", "--account", "other"), "There is no account 'other'"),
        (("trades", "show", "nothing"), "There is no trade 'nothing'"),
        (("trades", "--since", "soon"), "--since must be an age"),
        (("kill-switch", "off", "--reason", "x"), "off already"),
    ],
)
def test_a_refusal_is_one_sentence_with_the_reason(ready: Shell, arguments: tuple[str, ...], text: str) -> None:
    out, err = ready.run(*arguments, code=ExitCode.REFUSED)
    assert out == ""
    assert err.startswith("signalbox: ")
    assert text in err
    assert err.count("\n") == 1


def test_a_run_is_started_stopped_and_shown(ready: Shell) -> None:
    started = ready.json("run", "start", "main", "calm", "--no-wait")
    assert (started["status"], started["operator_id"]) == ("starting", "ada")
    assert "active run already" in ready.run("run", "start", "main", "calm", code=ExitCode.REFUSED)[1]
    stopped = ready.json("run", "stop", "main", "--mode", "flatten", "--no-wait")
    assert (stopped["status"], stopped["stop_mode"]) == ("stopping", "flatten")
    screen, _ = ready.run("run")
    assert "has never run on this ledger" in screen
    assert "stopping: flatten" in screen


def test_g4_a_live_start_without_credentials_names_them(ready: Shell) -> None:
    ready.run("settings", "set", "main", "--mode", "live", "--auto-trade", "--yes")
    ready.run("config", "create", "calm", "--from", "calm", "--mode", "live")
    _, err = ready.run("run", "start", "main", "calm", code=ExitCode.REFUSED)
    assert "SIGNALBOX_ACCOUNT_MAIN_API_KEY" in err
    assert "keyring" in err


def test_the_banner_turns_live_when_real_orders_are_possible(ready: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("KEY", "SECRET"):
        monkeypatch.setenv(f"SIGNALBOX_ACCOUNT_MAIN_API_{part}", "abcdefgh")
    ready.run("settings", "set", "main", "--mode", "live", "--auto-trade", "--yes")
    ready.run("config", "create", "calm", "--from", "calm", "--mode", "live")
    assert ready.run("run")[0].startswith(" SIMULATION ")
    ready.run("run", "start", "main", "calm", "--no-wait")
    assert ready.run("run")[0].startswith(" LIVE ")


def test_settings_are_changed_with_history(ready: Shell) -> None:
    ready.run("settings", "set", "main", "--daily-loss-limit", "none", "--asset-cap", "ABC=10.5")
    ready.run("settings", "set", "main", "--asset-cap", "ABC=none", "--asset-cap", "DEF=1")
    shown = ready.json("settings", "show", "main")
    assert shown["current"]["settings"]["daily_loss_limit"] is None
    assert shown["current"]["settings"]["asset_exposure_caps"] == {"DEF": "1"}
    assert [version["settings"]["version"] for version in shown["history"]] == [3, 2, 1]
    refused = ready.run(
        "settings", "set", "main", "--auto-trade", "--yes", "--expect-version", "1", code=ExitCode.REFUSED
    )
    assert "at version 3, not 1" in refused[1]
    assert "unlimited" in ready.run("settings", "show", "main")[0]


def test_the_kill_switch_is_thrown_and_lifted(ready: Shell) -> None:
    screen, _ = ready.run("kill-switch", "on", "--mode", "cancel", "--reason", "odd fills")
    assert "ON (cancel)" in screen
    assert "by ada: odd fills" in screen
    assert "ON (cancel)" in ready.run("run")[0]
    assert "lifted" in ready.run("kill-switch", "off", "-r", "books agree")[0]
    messages = [event["message"] for event in ready.json("events", "--level", "warning")]
    assert messages == ["kill switch off: books agree", "kill switch on (cancel): odd fills"]


def test_open_alerts_head_every_screen_until_they_are_acknowledged(ready: Shell) -> None:
    assert "No open alert." in ready.run("alerts")[0]
    ready.run("kill-switch", "on", "--reason", "odd fills")
    (alert,) = ready.json("alerts")
    assert (alert["kind"], alert["severity"], alert["count"]) == ("kill_switch", "critical", 1)
    message = "the kill switch is on (block), thrown by ada: odd fills"
    head = f"CRITICAL kill_switch all accounts: {message} [alerts ack {alert['id']}]"
    for command in ("run", "trades", "positions", "events"):
        assert ready.run(command)[0].splitlines()[1].strip() == head
    assert ready.json("run", "status")["alerts"] == [alert]
    assert "acknowledged" in ready.run("alerts", "ack", str(alert["id"]))[0]
    assert "CRITICAL" not in ready.run("trades")[0]
    assert f"alert {alert['id']} (acknowledged by ada)" in ready.run("run")[0]
    assert "kill_switch" in ready.run("alerts", "show", str(alert["id"]))[0]
    ready.run("kill-switch", "off", "--reason", "books agree")
    assert ready.json("alerts") == []
    (over,) = ready.json("alerts", "list", "--all")
    assert over["resolution"] == "lifted by ada: books agree"
    assert "over" in ready.run("alerts", "list", "--all")[0]
    assert "is over since" in ready.run("alerts", "ack", str(alert["id"]), code=ExitCode.REFUSED)[1]
    assert "There is no alert 99" in ready.run("alerts", "show", "99", code=ExitCode.REFUSED)[1]


def test_a_test_listing_is_injected_once(ready: Shell) -> None:
    ready.run("listings", "inject", "NEWUSDT", "--listed-at", "2026-01-01T00:00:00Z")
    again = ready.run("listings", "inject", "NEWUSDT", "--listed-at", "2026-01-01T00:00:00Z", code=ExitCode.REFUSED)
    assert "Listing already recorded" in again[1]
    ready.run("listings", "inject", "newusdt", "--listed-at", "2026-01-01T00:00:00Z", code=ExitCode.REFUSED)
    (row,) = ready.json("listings")
    assert (row["symbol"], row["listed_at"], row["source"]) == ("NEWUSDT", "2026-01-01T00:00:00Z", "test_injection")


def test_p2_a_verified_ledger_names_its_heads(ready: Shell) -> None:
    results = ready.json("audit", "verify")
    assert [result["stream"] for result in results] == ["trade_logs", "system_events"]
    assert all(result["ok"] for result in results)
    assert results[1]["rows"] == 2


def test_p2_a_changed_row_is_found_and_named(ready: Shell, database_url: str) -> None:
    """Somebody with all rights on the database switches the guard off and rewrites history."""

    async def tamper() -> None:
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute("ALTER TABLE system_events DISABLE TRIGGER USER")
            await connection.execute("UPDATE system_events SET actor = 'mallory' WHERE sequence = 2")
            await connection.execute("ALTER TABLE system_events ENABLE TRIGGER USER")
        finally:
            await connection.close()

    asyncio.run(tamper())
    results = {result["stream"]: result for result in ready.json("audit", "verify", code=ExitCode.REFUSED)}
    assert results["trade_logs"]["ok"]
    assert (results["system_events"]["ok"], results["system_events"]["fault_at"]) == (False, 2)
    assert "tampered with" in ready.run("audit", "verify", code=ExitCode.REFUSED)[0]


def test_the_schema_goes_down_and_up(ready: Shell) -> None:
    assert "the newest" in ready.run("db")[0]
    ready.run("db", "downgrade", "base", "--yes")
    assert ready.json("db", "current", code=ExitCode.REFUSED)["revision"] is None
    assert "signalbox db upgrade" in ready.run("trades", code=ExitCode.REFUSED)[1]
    ready.run("db", "upgrade")
    ready.run("trades")


def test_a_database_that_is_away_is_unavailable(shell: Callable[..., Shell]) -> None:
    sh = shell(DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    out, err = sh.run("trades", code=ExitCode.UNAVAILABLE)
    assert out == ""
    assert "cannot be reached" in err
    assert "signalbox doctor" in err


def test_a_misspelt_setting_is_refused_before_anything_happens(shell: Callable[..., Shell]) -> None:
    _, err = shell(MEXC_RSET_URL="x").run("trades", code=ExitCode.REFUSED)
    assert "did you mean SIGNALBOX_MEXC_REST_URL?" in err


def test_a_missing_argument_is_a_usage_error(shell: Callable[..., Shell]) -> None:
    shell().run("config", "show", code=ExitCode.USAGE)
    shell().run("kill-switch", "on", code=ExitCode.USAGE)


def test_json_stays_alone_on_stdout_when_everything_is_logged(shell: Callable[..., Shell]) -> None:
    sh = shell(LOG_LEVEL="debug")
    assert sh.json("trades") == []


def test_as_a_process_of_its_own(shell: Callable[..., Shell]) -> None:
    """The entry point: exit code, one sentence on stderr, no traceback, nothing on stdout."""
    environment = {**os.environ, **shell(LOG_LEVEL="loud").environment}  # noqa: TID251 - the child needs our PATH
    command = [sys.executable, "-m", "signalbox.cli.main", "trades", "--json"]
    done = subprocess.run(  # noqa: S603 - ourselves
        command, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == ExitCode.REFUSED
    assert done.stdout == ""
    assert done.stderr == ("signalbox: SIGNALBOX_LOG_LEVEL must be one of debug, info, warning, error, got 'loud'\n")


def test_the_quote_assets_of_a_configuration_can_be_chosen(ready: Shell) -> None:
    ready.run("config", "create", "dollars", "--quote-asset", "USDC", "--quote-asset", "USDT")
    assert ready.json("config", "show", "dollars")["parameters"]["quote_assets"] == ["USDC", "USDT"]
