"""Entry of the simulator: the only place that reads the machine's clock and signals.

`serve` starts a simulator inside a running event loop; `run` is a whole process, as the command line starts it.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from typing import TextIO

import msgspec
import uvloop

from signalbox.simulators.mexc.clock import Clock
from signalbox.simulators.mexc.options import BadOptions, SimulatorOptions
from signalbox.simulators.mexc.server import SimulatedMexc


class SystemClock:
    """The machine's clocks."""

    def utc_ms(self) -> int:
        """Wall clock in milliseconds, UTC."""
        return time.time_ns() // 1_000_000  # noqa: TID251 - the simulator's one real clock

    def monotonic_ns(self) -> int:
        """CLOCK_MONOTONIC, the same for all processes of this machine."""
        return time.monotonic_ns()  # noqa: TID251 - the simulator's one real clock


async def serve(options: SimulatorOptions, clock: Clock | None = None) -> SimulatedMexc:
    """Start a simulator in this event loop and return it when it listens; the caller closes it.

    Raises OSError when the port is taken and BadOptions when the options contradict each other.
    """
    try:
        simulator = SimulatedMexc(options, clock or SystemClock())
    except ValueError as error:
        raise BadOptions(str(error)) from error
    await simulator.start()
    return simulator


def ready_line(simulator: SimulatedMexc) -> str:
    """The one JSON line that says where the simulator is and which test credentials it knows."""
    return msgspec.json.encode(simulator.describe()).decode()


def run(options: SimulatorOptions, out: TextIO | None = None) -> None:
    """Run until SIGINT or SIGTERM (or until stdin ends, with `exit_with_parent`); prints one JSON line when ready."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(options, out or sys.stdout))


async def _run(options: SimulatorOptions, out: TextIO) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if options.exit_with_parent:
        _stop_at_end_of_stdin(loop, stop.set)
    simulator = await serve(options)
    try:
        out.write(ready_line(simulator) + "\n")
        out.flush()
        await _first_of(stop.wait(), simulator.wait_failed())
    finally:
        await simulator.close()


async def _first_of(*waits: Coroutine[object, object, object]) -> None:
    """Wait for the first of these, end the others, and raise what the first one raised."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


def _stop_at_end_of_stdin(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Stop when the parent, which holds the other end of stdin, is gone. Nothing that comes in is looked at."""
    descriptor = sys.stdin.fileno()

    def readable() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            stop()

    try:
        loop.add_reader(descriptor, readable)
    except OSError as error:
        raise ValueError(
            "exit_with_parent needs a pipe as stdin, held open by the parent; this stdin cannot be watched"
        ) from error
