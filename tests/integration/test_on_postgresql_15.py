"""The target `test-pg15`: pytest on a PostgreSQL of the system."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests import on_postgresql_15


def test_pytest_runs_on_it_and_its_exit_code_comes_back(tmp_path: Path) -> None:
    if on_postgresql_15.oldest_programs() is None:
        pytest.skip("no PostgreSQL of the system is installed")
    (tmp_path / "test_given.py").write_text(
        "import asyncio, asyncpg, os, pytest\n"
        "async def version():\n"
        "    connection = await asyncpg.connect(os.environ['SIGNALBOX_DATABASE_URL'])\n"
        "    try:\n"
        "        return connection.get_server_version().major\n"
        "    finally:\n"
        "        await connection.close()\n"
        "def test_it():\n"
        f"    assert asyncio.run(version()) >= {on_postgresql_15.OLDEST}\n"
        "    pytest.exit('seen', returncode=42)\n"
    )
    command = [sys.executable, on_postgresql_15.__file__, "-q", "-p", "no:cacheprovider", "--noconftest"]
    done = subprocess.run(  # noqa: S603 - our own script
        [*command, "--rootdir", str(tmp_path), str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 42, done.stdout + done.stderr
    assert "Testing on PostgreSQL" in done.stderr


def test_without_one_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(on_postgresql_15, "PLACES", ("/nowhere/*/bin",))
    assert on_postgresql_15.main([]) == on_postgresql_15.NOTHING_FOUND
    assert "apt-get install postgresql" in capsys.readouterr().err
