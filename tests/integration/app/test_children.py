"""Children end with us, are asked before they are killed, and leave their last words."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from signalbox.app.children import Child, ChildFailed
from signalbox.app.settings import child_environment


async def start(code: str, name: str = "helper") -> Child:
    return await Child.start(name, [sys.executable, "-c", code], child_environment())


def words(child: Child) -> Sequence[str]:
    return child.last_lines


async def test_the_first_line_is_handed_over() -> None:
    child = await start("print('ready', flush=True); import sys; sys.stdin.read()")
    assert await child.first_line(20) == "ready"
    assert not child.has_ended
    await child.stop()
    assert child.has_ended


async def test_a_child_that_ends_at_its_start_tells_its_last_words() -> None:
    child = await start("import sys; print('no database', file=sys.stderr); sys.exit(3)")
    with pytest.raises(ChildFailed, match=r"helper ended at its start \(exit code 3\).*no database"):
        await child.first_line(20)
    assert words(child) == ["no database"]
    await child.stop()


async def test_a_silent_child_is_not_waited_for_without_an_end() -> None:
    child = await start("import sys; sys.stdin.read()")
    with pytest.raises(ChildFailed, match=r"said nothing within 0\.2 s"):
        await child.first_line(0.2)
    await child.stop()


async def test_a_child_that_ignores_the_request_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalbox.app.children._STOP_TIMEOUT_S", 0.3)
    child = await start(
        "import signal, threading; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('deaf', flush=True); threading.Event().wait()"
    )
    await child.first_line(20)
    await child.stop()
    assert await child.wait() == -signal.SIGKILL


async def test_stopping_twice_is_harmless() -> None:
    child = await start("import sys; sys.stdin.read()")
    await child.stop()
    await child.stop()


async def test_ctrl_c_in_the_terminal_does_not_reach_it() -> None:
    """It has a session of its own, so the terminal's signals go to us, who stop it in order."""
    child = await start("import os, sys; print(os.getsid(0) == os.getpid(), flush=True); sys.stdin.read()")
    assert await child.first_line(20) == "True"
    await child.stop()
    assert not psutil.pid_exists(child.pid)


async def test_a_line_without_an_end_does_not_stop_the_log(tmp_path: Path) -> None:
    done = tmp_path / "done"
    child = await start(
        "import pathlib, sys; sys.stderr.write('x' * 600_000 + '\\nlast words\\n'); sys.stderr.flush()\n"
        f"pathlib.Path({str(done)!r}).touch(); print('ready', flush=True)"
    )
    await child.first_line(20)
    await child.wait()
    assert words(child)[-1] == "last words"
    await child.stop()
