"""Processes that we start: they end with us, and nothing of them is left behind."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

from signalbox.domain.errors import SignalboxError

_LINES_KEPT = 200
_LINE_BYTES_MAX = 256 * 1024
_STOP_TIMEOUT_S = 10.0
_TERM_TIMEOUT_S = 3.0


class ChildFailed(SignalboxError):
    """A process that we need did not start, or ended by itself. Says which, and its last words."""


class Child:
    """One process. It reads our end of its standard input: when we are gone, however we ended, it stops by itself."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self._process = process
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._pump: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, name: str, command: Sequence[str], environment: Mapping[str, str], *, quiet: bool = True
    ) -> Self:
        """Start a process in a session of its own, so that Ctrl-C in the terminal reaches us alone.

        `quiet` keeps its last log lines instead of letting them through to our standard error.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=PIPE if quiet else DEVNULL,
            stderr=PIPE if quiet else None,
            env=dict(environment),
            start_new_session=True,
            limit=_LINE_BYTES_MAX,
        )
        child = cls(name, process)
        if process.stderr is not None:
            child._pump = asyncio.create_task(child._keep(process.stderr), name=f"log of {name}")
        return child

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def last_lines(self) -> list[str]:
        """What it logged last, oldest first."""
        return list(self._lines)

    @property
    def has_ended(self) -> bool:
        """True when it runs no more."""
        return self._process.returncode is not None

    async def first_line(self, timeout_s: float) -> str:
        """The first line of its standard output. Raises ChildFailed."""
        out = self._process.stdout
        if out is None:
            raise ChildFailed(f"The {self.name} was started without a pipe to read from.")
        try:
            async with asyncio.timeout(timeout_s):
                line = (await out.readline()).decode("utf-8", "replace").strip()
        except TimeoutError:
            raise ChildFailed(self.failure(f"said nothing within {timeout_s:g} s")) from None
        if not line:
            await self.wait()
            raise ChildFailed(self.failure(f"ended at its start (exit code {self._process.returncode})"))
        return line

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        code = await self._process.wait()
        if self._pump is not None:
            await asyncio.wait([self._pump], timeout=_TERM_TIMEOUT_S)
        return code

    async def stop(self) -> None:
        """Ask it to stop, then insist. Returns when it is gone; may be called twice."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        for number, patience_s in ((signal.SIGTERM, _STOP_TIMEOUT_S), (signal.SIGKILL, _TERM_TIMEOUT_S)):
            if self.has_ended:
                break
            self._signal(number)
            try:
                async with asyncio.timeout(patience_s):
                    await self._process.wait()
            except TimeoutError:
                continue
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])

    def failure(self, what: str) -> str:
        """A sentence about this process with its last words."""
        words = self.last_lines[-1] if self._lines else ""
        return f"The {self.name} {what}." + (f" Its last words: {words}" if words else "")

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    async def _keep(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # longer than the limit: its rest comes as the next line
                continue
            if not line:
                return
            self._lines.append(line.decode("utf-8", "replace").rstrip())
