"""`signalbox simulator mexc` with options from a file and from the command line."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.integration.cli.processes import environment_of, program

OPTIONS = {
    "seed": 7,
    "listings": [{"symbol": "ABCUSDT", "price": "0.5", "path": "flat"}],
    "switches": {"my_trades_default": 10},
    "faults": [{"kind": "rate_limited", "target": "/api/v3/ping", "times": None}],
}


async def _read(url: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.json()


def test_options_come_from_a_file_and_what_is_given_besides_replaces_them(tmp_path: Path) -> None:
    """The file's listings and faults are there; a switch, a fault and the seed of the command line as well."""
    file = tmp_path / "options.json"
    file.write_text(json.dumps(OPTIONS))
    given = ("--seed", "9", "--switch", "market_orders_off=true", "--fault", "latency:target=/api/v3/time,latency_ms=1")
    command = ("simulator", "mexc", "--options", str(file), *given)
    with program(*command, environment=environment_of(tmp_path, None)) as simulator:
        simulator.wait_for('"venue"')
        ready = json.loads(simulator.lines[0])
        rest = ready["rest"]
        settings = asyncio.run(_read(f"{rest}/control/settings"))[1]
        faults = asyncio.run(_read(f"{rest}/control/faults"))[1]["armed"]
        ping = asyncio.run(_read(f"{rest}/api/v3/ping"))[0]
        listings = asyncio.run(_read(f"{rest}/control/listings"))[1]["listings"]
        simulator.process.send_signal(signal.SIGTERM)
        assert simulator.end() == 0
    assert (ready["seed"], ping) == (9, 429)
    assert (settings["market_orders_off"], settings["my_trades_default"]) == (True, 10)
    assert [fault["kind"] for fault in faults] == ["rate_limited", "latency"]
    assert [listing["symbol"] for listing in listings] == ["ABCUSDT"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--fault", "lightning"), "lightning"),
        (("--fault", "latency"), "needs latency_ms"),
        (("--fault", "latency:latency_ms"), "name=value"),
        (("--switch", "market_ordrs_off=true"), "there is no switch 'market_ordrs_off'"),
        (("--switch", "market_orders_off=maybe"), "market_orders_off"),
        (("--options", "absent.json"), "cannot read absent.json"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(tmp_path: Path, given: tuple[str, str], told: str) -> None:
    """Exit code 1, and what was wrong."""
    with program("simulator", "mexc", *given, environment=environment_of(tmp_path, None)) as simulator:
        assert simulator.end() == 1
    assert told in " ".join(simulator.errors)


def test_options_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    """A listing whose symbol does not end with its quote asset."""
    file = tmp_path / "options.json"
    file.write_text(json.dumps({"listings": [{"symbol": "ABC", "price": "1"}]}))
    command = ("simulator", "mexc", "--options", str(file))
    with program(*command, environment=environment_of(tmp_path, None)) as simulator:
        assert simulator.end() == 1
    assert "'ABC' must be a base asset followed by the quote 'USDT'" in " ".join(simulator.errors)
