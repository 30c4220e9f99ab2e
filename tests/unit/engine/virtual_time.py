"""Tests in virtual time: the event loop's clock jumps to the next timer as soon as nothing else can run.

A wait of thirty seconds takes no time, the order of events is always the same, and a program in which every task waits
for ever fails at once instead of hanging. Only for code that does no real input or output.
"""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")

LONGEST_S = 6 * 3600.0

SPINNING = 1000
"""So many turns in a row without any wait are a program that looks at the clock until it shows something."""

SPIN_STEP_S = 0.0001


class _JumpingSelector(selectors.SelectSelector):
    """Never sleeps: what would have been waited is added to the clock. While the program spins, each turn takes a
    moment of the virtual time, as it does in the real one."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("deadlock: every task waits, and no timer will ever wake one")
        ready = super().select(0)
        self._turns = self._turns + 1 if timeout == 0 else 0
        if not ready and timeout > 0:
            self.now += timeout
        elif self._turns > SPINNING:
            self.now += SPIN_STEP_S
        if self.now > LONGEST_S:
            raise RuntimeError(f"{LONGEST_S:.0f} s passed: something is repeated for ever")
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is virtual."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.now


def virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test in virtual time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
