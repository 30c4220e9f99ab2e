"""Programs of ours as processes, recognised by the data directory in their environment."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

PATIENCE_S = 60.0


class Program:
    """`signalbox ...` as a process; its lines can be waited for."""

    def __init__(self, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "signalbox.cli.main", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._said = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.lines)),
            threading.Thread(target=self._read, args=(self.process.stderr, self.errors)),
        ]
        for reader in self._readers:
            reader.start()

    def wait_for(self, text: str) -> None:
        """Return when a line of stdout or stderr contains `text`."""
        with self._said:
            found = self._said.wait_for(
                lambda: any(text in line for line in [*self.lines, *self.errors]), timeout=PATIENCE_S
            )
        assert found, f"{text!r} was not said:\n" + "\n".join([*self.lines, *self.errors])

    def end(self) -> int:
        """Its exit code; every line was read."""
        code = self.process.wait(timeout=PATIENCE_S)
        for reader in self._readers:
            reader.join(timeout=PATIENCE_S)
        return code

    def _read(self, stream: Iterator[str], lines: list[str]) -> None:
        for line in stream:
            with self._said:
                lines.append(line.rstrip("\n"))
                self._said.notify_all()


@contextmanager
def program(*arguments: str, environment: dict[str, str]) -> Iterator[Program]:
    """Start `signalbox`; killed at the end if it still runs."""
    started = Program(arguments, environment)
    try:
        yield started
    finally:
        started.process.kill()
        started.end()
        for stream in (started.process.stdout, started.process.stderr):
            if stream is not None:
                stream.close()


def said(*arguments: str, environment: dict[str, str]) -> str:
    """What a command that ends well says on stdout."""
    with program(*arguments, environment=environment) as one:
        assert one.end() == 0, "\n".join(one.errors)
    return "\n".join(one.lines)


def environment_of(data_dir: Path, database_url: str | None, **settings: str) -> dict[str, str]:
    """An environment in which only these SIGNALBOX_ names are set."""
    inherited = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 - the child needs our PATH
        if not name.startswith("SIGNALBOX_")
    }
    own = {"SIGNALBOX_DATA_DIR": str(data_dir)}
    if database_url is not None:
        own["SIGNALBOX_DATABASE_URL"] = database_url
    return {**inherited, **own, **{f"SIGNALBOX_{name}": value for name, value in settings.items()}}


def left_behind(data_dir: Path) -> list[str]:
    """Command lines of processes that were started with this data directory and still live."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SIGNALBOX_DATA_DIR") == str(data_dir) and process.pid != os.getpid():
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def gone(data_dir: Path) -> bool:
    """True when all processes of this data directory have ended within the patience."""
    victims = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SIGNALBOX_DATA_DIR") == str(data_dir):
                victims.append(process)
        except psutil.Error:
            continue
    psutil.wait_procs(victims, timeout=PATIENCE_S)
    return not left_behind(data_dir)
