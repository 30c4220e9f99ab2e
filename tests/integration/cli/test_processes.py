"""Long-running commands: up, engine, simulator and doctor."""

import json
import signal
from pathlib import Path

import psutil
from tests.integration.cli.processes import environment_of, left_behind, program

SIMULATOR = ("simulator", "mexc", "--listings", "0")


def test_the_simulator_prints_one_json_line_when_ready(tmp_path: Path) -> None:
    with program(*SIMULATOR, "--port", "0", "--seed", "5", environment=environment_of(tmp_path, None)) as simulator:
        simulator.wait_for('"venue"')
        simulator.process.send_signal(signal.SIGTERM)
        assert simulator.end() == 0
    (line,) = simulator.lines
    ready = json.loads(line)
    assert ready["venue"] == "mexc"
    assert {"rest", "ws", "accounts"} <= ready.keys()
    assert {"api_key", "secret"} <= ready["accounts"][0].keys()


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    environment = environment_of(tmp_path, None)
    with program(*SIMULATOR, environment=environment) as first:
        first.wait_for('"venue"')
        port = json.loads(first.lines[0])["rest"].rpartition(":")[2]
        with program(*SIMULATOR, "--port", port, environment=environment) as second:
            assert second.end() == 3
        assert "choose another --port" in second.errors[-1]


def test_up_starts_the_engine_and_ctrl_c_stops_it(tmp_path: Path, database_url: str) -> None:
    environment = environment_of(
        tmp_path,
        database_url,
        MEXC_REST_URL="http://127.0.0.1:9",
        MEXC_WS_URL="ws://127.0.0.1:9/ws",
        MEXC_CALENDAR_URL="http://127.0.0.1:9/calendar",
    )
    with program("up", environment=environment) as up:
        up.wait_for("engine started")
        up.process.send_signal(signal.SIGINT)
        assert up.end() == 0, "\n".join(up.errors)
    assert up.lines[0].startswith(" SIMULATED EXCHANGE ")
    assert any("engine stopped" in line for line in up.errors)
    assert left_behind(tmp_path) == []


def test_up_ends_with_a_sentence_when_the_engine_dies(tmp_path: Path, database_url: str) -> None:
    environment = environment_of(tmp_path, database_url, MEXC_REST_URL="http://127.0.0.1:9")
    with program("up", environment=environment) as up:
        up.wait_for("engine started")
        engine = next(child for child in psutil.Process(up.process.pid).children() if "engine" in child.cmdline())
        engine.kill()
        assert up.end() == 1
    assert "the engine ended by itself" in up.errors[-1]
    assert left_behind(tmp_path) == []


def test_doctor_finds_a_healthy_simulated_exchange(tmp_path: Path, database_url: str) -> None:
    with program(*SIMULATOR, environment=environment_of(tmp_path, None)) as simulator:
        simulator.wait_for('"venue"')
        ready = json.loads(simulator.lines[0])
        environment = environment_of(
            tmp_path,
            database_url,
            MEXC_REST_URL=ready["rest"],
            MEXC_WS_URL=ready["ws"],
            MEXC_CALENDAR_URL=ready["calendar"],
        )
        with program("doctor", "--json", environment=environment) as doctor:
            assert doctor.end() == 0, "\n".join(doctor.lines)
    findings = {finding["name"]: finding for finding in json.loads("\n".join(doctor.lines))}
    assert findings["PostgreSQL"]["verdict"] == "ok"
    assert findings["MEXC REST and clock"]["verdict"] == "ok"
    assert "ms from ours" in findings["MEXC REST and clock"]["found"]
    assert findings["engine"]["advice"] == "start it: 'signalbox up'"


def test_doctor_says_what_to_do_about_each_problem(tmp_path: Path) -> None:
    environment = environment_of(
        tmp_path,
        "postgresql://nobody@127.0.0.1:9/none",
        MEXC_REST_URL="http://127.0.0.1:9",
        MEXC_WS_URL="ws://127.0.0.1:9/ws",
    )
    with program("doctor", "--json", environment=environment) as doctor:
        assert doctor.end() == 1
    findings = {finding["name"]: finding for finding in json.loads("\n".join(doctor.lines))}
    assert findings["PostgreSQL"]["verdict"] == "failed"
    assert findings["MEXC REST and clock"]["verdict"] == "failed"
    assert findings["settings"]["verdict"] == "warning"
    assert all(finding["advice"] for finding in findings.values() if finding["verdict"] != "ok")
