"""A process that uses a private PostgreSQL, to be watched and killed by tests.

As a program it opens the server, prints one JSON line about it, and stays until its standard input ends:

    python tests/embedded_user.py DATA_DIR
"""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

from signalbox.ledger.deadline import Deadline
from signalbox.ledger.embedded import open_embedded

PATIENCE_S = 30.0


def eventually(condition: Callable[[], object], what: str) -> None:
    """Return as soon as `condition` holds; fails after half a minute."""
    deadline = Deadline(PATIENCE_S)
    while not condition():
        if not deadline.pause():
            raise AssertionError(f"not within {PATIENCE_S:g} s: {what}")


def alive(pid: int) -> bool:
    """Whether process `pid` runs; one that nobody reaped yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def supervisors_of(data_dir: Path) -> list[int]:
    """The pids of the supervisors for a data directory."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if "signalbox.ledger.embedded_supervisor" in (process.info["cmdline"] or [])
        and str(data_dir.resolve()) in process.info["cmdline"][-1]
        and alive(process.pid)
    ]


class EmbeddedUser:
    """The program, started."""

    def __init__(self, data_dir: Path, *, interpreter: Iterable[str] = (sys.executable,), **options: Any) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - this very file
            [*interpreter, __file__, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def wait_ready(self) -> dict[str, Any]:
        """What it says about the server: url, directory, notice, supervisor_pid, postmaster_pid."""
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        line = self.process.stdout.readline() if readable else b""
        if not line:
            self.kill()
            assert self.process.stderr is not None
            raise AssertionError(f"the user did not start: {self.process.stderr.read().decode()}")
        ready: dict[str, Any] = json.loads(line)
        return ready

    def leave(self) -> None:
        """Let it end as programs should."""
        self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0

    def kill(self) -> None:
        """Kill it without warning."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """Clean up after a test, whatever happened."""
        if self.process.poll() is None:
            self.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def main(data_dir: Path) -> None:
    """Use the server until standard input ends."""
    with open_embedded(data_dir, fsync=False) as server:
        status = server.status
        told = {
            "url": server.url("postgres"),
            "directory": str(server.data_directory),
            "supervisor_pid": status.supervisor_pid,
            "postmaster_pid": status.postmaster_pid,
            "uid": os.geteuid(),
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
