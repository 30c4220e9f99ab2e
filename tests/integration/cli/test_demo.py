"""The demo as people start it: a listing becomes an audited trade, and nothing is left running."""

import json
import re
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.integration.cli.processes import environment_of, gone, left_behind, program, said
from tests.postgresql import DatabaseServer, temporary_directory

from signalbox.app.database import DEMO_DATABASE
from signalbox.ledger import databases


@pytest.fixture
def environment(postgresql: DatabaseServer, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The demo on the test server; its database is dropped afterwards."""
    yield environment_of(tmp_path, postgresql.url)
    databases.drop_database(postgresql.url, DEMO_DATABASE)


def test_once_a_listing_is_bought_and_sold_and_the_ledger_verifies(environment: dict[str, str], tmp_path: Path) -> None:
    with program("demo", "--once", environment=environment) as demo:
        assert demo.end() == 0, "\n".join([*demo.lines, *demo.errors])
    text = "\n".join(demo.lines)
    assert demo.lines[0].startswith(" SIMULATED EXCHANGE ")
    stations = ["DETECTED", "DECIDED", "SENT", "BOUGHT", "HELD", "SOLD", "RESULT"]
    places = [text.index(station) for station in stations]
    assert places == sorted(places)
    assert re.search(r"asked 120\.00,\s+spent\s+\d+\.\d\d\s+\(9\d\.\d%\):\s+the\s+exchange\s+sizes", text)
    assert "ledger verified: every hash of 2 trade_logs" in text
    assert "\x1b" not in text
    assert left_behind(tmp_path) == []
    _look_at_it_again(environment)


def _look_at_it_again(environment: dict[str, str]) -> None:
    """Every read shows the same trade afterwards, and says that its exchange was simulated."""
    url = databases.with_database(environment["SIGNALBOX_DATABASE_URL"], DEMO_DATABASE)
    after = {**environment, "SIGNALBOX_DATABASE_URL": url}
    sale, purchase = json.loads(said("trades", "--json", environment=after))
    assert (purchase["side"], sale["side"]) == ("buy", "sell")
    assert (purchase["status"], sale["status"]) == ("filled", "filled")
    bought = said("trades", "show", purchase["id"][-8:], environment=after)
    assert bought.startswith(" SIMULATED EXCHANGE ")
    for part in ("Why: ", "max_trade_usdt", "spend of one order: 0 used + 120 asked of 150", "durable in the ledger"):
        assert part in bought
    assert "take_profit" in said("trades", "show", sale["client_order_id"], environment=after)
    detail = json.loads(said("trades", "show", purchase["id"], "--json", environment=after))
    assert Decimal(detail["position"]["quantity"]) == Decimal(purchase["executed_quantity"]) - Decimal(
        sale["executed_quantity"]
    )
    assert [stage["name"] for stage in detail["stages"]][-2:] == ["sent", "acknowledged"]
    (position,) = json.loads(said("positions", "--json", environment=after))
    assert position["status"] == "closed"
    (signal_row,) = json.loads(said("signals", "--json", environment=after))
    assert signal_row["executed"] == 1
    assert "stopped" in said("run", environment=after)


def test_once_without_any_database_it_brings_its_own() -> None:
    """What `make demo ARGS=--once` does on a fresh machine."""
    with temporary_directory() as directory:
        with program("demo", "--once", environment=environment_of(directory, None)) as demo:
            assert demo.end() == 0, "\n".join([*demo.lines, *demo.errors])
        assert any("ledger verified" in line for line in demo.lines)
        assert gone(directory)


def test_an_interrupt_ends_it_in_order(environment: dict[str, str], tmp_path: Path) -> None:
    with program("demo", environment=environment) as demo:
        demo.wait_for("run started")
        demo.process.send_signal(signal.SIGINT)
        assert demo.end() == 0, "\n".join(demo.errors)
    assert any("Stopped: exchange and engine are gone" in line for line in demo.lines)
    assert left_behind(tmp_path) == []


def test_an_interrupted_once_did_not_succeed(environment: dict[str, str]) -> None:
    with program("demo", "--once", environment=environment) as demo:
        demo.wait_for("simulated MEXC ready")
        demo.process.send_signal(signal.SIGINT)
        assert demo.end() == 130


def test_its_parts_end_when_it_is_killed(environment: dict[str, str], tmp_path: Path) -> None:
    with program("demo", environment=environment) as demo:
        demo.wait_for("run started")
        demo.process.kill()
        demo.end()
        assert gone(tmp_path)


def test_two_demos_do_not_share_a_ledger(environment: dict[str, str]) -> None:
    with program("demo", environment=environment) as first:
        first.wait_for("ledger ready")
        with program("demo", environment=environment) as second:
            assert second.end() == 1
        assert any("Another demo is running" in line for line in second.errors)


def test_a_data_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = {**environment_of(tmp_path, None), "SIGNALBOX_DATA_DIR": str(tmp_path / "file" / "data")}
    with program("demo", "--once", environment=environment) as demo:
        assert demo.end() == 1
    (error,) = demo.errors
    assert error.startswith(
        f"signalbox: The data directory {tmp_path / 'file' / 'data'} cannot be used: Not a directory"
    )
    assert "SIGNALBOX_DATA_DIR" in error
