"""The parent of the private PostgreSQL: a process of its own that lives exactly as long as there are users.

It holds `supervisor.lock` and waits for the exclusive lock on `users.lock`, which the kernel grants when the last
user is gone, `kill -9` included. Then it stops PostgreSQL and exits. Until then it restarts PostgreSQL when it dies.
Started by `signalbox.ledger.embedded`; not meant to be started by hand.
"""

import contextlib
import ctypes
import enum
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, Self

import msgspec
import psutil

from signalbox.ledger import postgres_cluster
from signalbox.ledger.deadline import Deadline, EmbeddedPostgresError
from signalbox.ledger.embedded_placement import Placement, Status
from signalbox.ledger.file_lock import FileLock
from signalbox.ledger.postgres_binaries import Programs, programs_for, run_as

_INITDB_TIMEOUT_S = 300.0
_FAST_STOP_TIMEOUT_S = 60.0
_IMMEDIATE_STOP_TIMEOUT_S = 10.0
_ORPHANS_TIMEOUT_S = 60.0
_LOOK_AGAIN_S = 0.01
_LOOK_AGAIN_AT_ORPHANS_S = 0.05
_DRAFT = "cluster.new-"
_STEADY_S = 30.0
"""PostgreSQL that ran this long is healthy: its next death starts the back-off anew."""
_RESTART_DELAYS_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0)
_FIRST_START_ATTEMPTS = 3
_MEMORY_IN_USE = "pre-existing shared memory block"
_PR_SET_PDEATHSIG = 1  # Linux, prctl(2)

_log = logging.getLogger("supervisor")


class SupervisorTask(msgspec.Struct, frozen=True, kw_only=True):
    """What a supervisor is started with (JSON, its only argument)."""

    placement: Placement
    programs: Path
    fsync: bool
    system_directory: Path
    supervisor_lock: int = -1  # descriptor of the lock that our starter took for us

    def encode(self) -> str:
        """The argument for `main`."""
        return msgspec.json.encode(self, enc_hook=os.fspath).decode()

    @classmethod
    def decode(cls, argument: str) -> Self:
        """What `encode` made."""
        return msgspec.json.decode(argument, type=cls, dec_hook=lambda kind, value: kind(value))


class _Event(enum.Enum):
    LAST_USER_GONE = enum.auto()
    TOLD_TO_STOP = enum.auto()
    CHILD_ENDED = enum.auto()


class _StopRequested(Exception):
    pass


class Supervisor:
    """Prepares, starts, restarts and stops one PostgreSQL. Everything happens in the main thread."""

    def __init__(self, task: SupervisorTask, lock: FileLock) -> None:
        self._task = task
        self._lock = lock
        self._place = task.placement
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._child: subprocess.Popen[bytes] | None = None
        self._sockets: Path | None = None

    def run(self) -> int:
        """Serve until the last user is gone; returns the exit code."""
        self._watch_users()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self._events.put(_Event.TOLD_TO_STOP))
        outcome, message = "stopped", ""
        try:
            self._serve()
        except _StopRequested:
            _log.info("nobody uses the server any more, or we were told to stop")
        except (EmbeddedPostgresError, OSError, subprocess.SubprocessError, psutil.Error) as error:
            _log.exception("giving up")
            outcome, message = "failed", f"{error}"
        finally:
            self._stop_child()
        if self._sockets is not None and self._owns_the_directory():
            shutil.rmtree(self._sockets, ignore_errors=True)
        self._publish(Status(state="failed" if outcome == "failed" else "stopped", message=message))
        _log.info("supervisor ends: %s", outcome)
        return int(outcome == "failed")

    # --- what we wait for ---------------------------------------------------------------------------------------

    def _watch_users(self) -> None:
        users = FileLock(self._place.users_lock)

        def wait() -> None:
            users.wait_exclusive()  # never released: whoever comes now waits until we are gone
            self._events.put(_Event.LAST_USER_GONE)

        threading.Thread(target=wait, name="users", daemon=True).start()

    def _child_ended_within(self, timeout_s: float | None) -> bool:
        """Wait for the child's end; False when the time is over. Unwinds by _StopRequested when we shall stop."""
        try:
            event = self._events.get(timeout=timeout_s)
        except queue.Empty:
            return False
        if event is _Event.CHILD_ENDED:
            return True
        raise _StopRequested

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self._child_ended_within(seconds)

    # --- serving ------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        for leftover in self._place.directory.glob(f"{_DRAFT}*"):  # of a supervisor that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        programs = programs_for(self._task.programs, self._place.account, system_directory=self._task.system_directory)
        if self._place.cluster.exists():
            postgres_cluster.refuse_other_major(self._place.cluster, programs)
        else:
            self._create_cluster(programs)
        deaths, was_ready = 0, False
        while True:
            steady = Deadline(_STEADY_S)
            log_start = self._log_size()
            ready = self._serve_once(programs)
            was_ready = was_ready or ready
            deaths = 1 if ready and steady.expired else deaths + 1
            said = self._log_since(log_start)
            patient = was_ready or _MEMORY_IN_USE in said
            if deaths >= (len(_RESTART_DELAYS_S) if patient else _FIRST_START_ATTEMPTS):
                raise EmbeddedPostgresError(
                    f"PostgreSQL ended {deaths} times in a row. Its last words: {_last_words(said)}."
                )
            _log.warning("PostgreSQL ended unexpectedly (time %d); starting it again", deaths)
            self._publish(Status(state="starting"))
            self._pause(_RESTART_DELAYS_S[deaths])

    def _serve_once(self, programs: Programs) -> bool:
        """Start PostgreSQL and wait for its end; returns whether it ever accepted connections."""
        if not self._owns_the_directory():
            raise EmbeddedPostgresError(f"{self._place.directory} was moved or deleted while PostgreSQL used it.")
        self._clear_remains()
        self._sockets = postgres_cluster.prepare_socket_directory(self._place)
        command = postgres_cluster.postgres_command(programs, self._place, self._sockets, fsync=self._task.fsync)
        child = self._start(command, dies_with_us_by=signal.SIGINT)
        while True:  # crash recovery may take long; users who lose patience leave, and then we stop
            if self._child_ended_within(_LOOK_AGAIN_S):
                self._child = None
                return False
            file = postgres_cluster.read_postmaster_file(self._place.cluster)
            if file is not None and file.ready and file.pid == child.pid:
                break
        self._publish(
            Status(
                state="running",
                postmaster_pid=child.pid,
                socket_directory=str(self._sockets),
                version=programs.version,
            )
        )
        while not self._child_ended_within(None):
            pass
        self._child = None
        return True

    def _clear_remains(self) -> None:
        """Deal with a server of this cluster whose supervisor was killed, and with a stale `postmaster.pid`."""
        cluster = self._place.cluster
        deadline = Deadline(_ORPHANS_TIMEOUT_S)
        postmaster = postgres_cluster.living_postmaster(cluster)
        if postmaster is not None:
            _log.warning("stopping PostgreSQL %d, which lost its supervisor", postmaster.pid)
            _signal(postmaster, signal.SIGINT)
        while orphans := postgres_cluster.processes_of(cluster):
            if deadline.expired:
                raise EmbeddedPostgresError(
                    f"PostgreSQL processes of an earlier start still use {cluster}: "
                    f"{', '.join(str(orphan.pid) for orphan in orphans)}. End them (kill -QUIT) and start again."
                )
            self._pause(_LOOK_AGAIN_AT_ORPHANS_S)
        file = postgres_cluster.read_postmaster_file(cluster)
        if file is not None and psutil.pid_exists(file.pid):
            _log.warning("removing a stale postmaster.pid: process %d is not PostgreSQL here", file.pid)
            postgres_cluster.postmaster_file(cluster).unlink(missing_ok=True)

    def _create_cluster(self, programs: Programs) -> None:
        """Create the cluster beside its place and rename it, so that it exists completely or not at all."""
        _log.info("creating a PostgreSQL %s cluster in %s", programs.version, self._place.cluster)
        draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self._place.directory))
        try:
            account = self._place.account
            if account is not None:
                os.chown(draft, account.uid, account.gid)
            log_start = self._log_size()
            command = postgres_cluster.initdb_command(programs, draft, fsync=self._task.fsync)
            child = self._start(command, dies_with_us_by=signal.SIGTERM)
            if not self._child_ended_within(_INITDB_TIMEOUT_S):
                raise EmbeddedPostgresError(f"initdb did not end within {_INITDB_TIMEOUT_S:.0f} s.")
            if child.returncode != 0:
                raise EmbeddedPostgresError(f"initdb failed: {_last_words(self._log_since(log_start))}.")
            draft.rename(self._place.cluster)
            _sync_directory(self._place.directory)
        finally:
            self._stop_child()
            shutil.rmtree(draft, ignore_errors=True)

    # --- processes ----------------------------------------------------------------------------------------------

    def _start(self, command: list[str], *, dies_with_us_by: signal.Signals) -> "subprocess.Popen[bytes]":
        child = subprocess.Popen(  # noqa: S603 - PostgreSQL's own programs
            command,
            preexec_fn=_die_with_parent(dies_with_us_by),  # noqa: PLW1509 - our other threads only block, lock-free
            **run_as(self._place.account),
        )
        self._child = child

        def wait() -> None:
            child.wait()
            self._events.put(_Event.CHILD_ENDED)

        threading.Thread(target=wait, name="child", daemon=True).start()
        return child

    def _stop_child(self) -> None:
        """Fast shutdown; harder only when that hangs (committed data survives every way)."""
        child = self._child
        if child is None or child.poll() is not None:
            self._child = None
            return
        self._publish(Status(state="stopping", postmaster_pid=child.pid))
        for number, timeout_s in (
            (signal.SIGINT, _FAST_STOP_TIMEOUT_S),
            (signal.SIGQUIT, _IMMEDIATE_STOP_TIMEOUT_S),
            (signal.SIGKILL, _IMMEDIATE_STOP_TIMEOUT_S),
        ):
            child.send_signal(number)
            try:
                child.wait(timeout_s)
            except subprocess.TimeoutExpired:
                _log.warning("process %d did not end %g s after %s", child.pid, timeout_s, number.name)
            else:
                break
        self._child = None

    # --- what we say --------------------------------------------------------------------------------------------

    def _owns_the_directory(self) -> bool:
        """Whether the lock file at its path is the one that we hold, not one of a successor in a new directory."""
        try:
            return os.path.samestat(self._place.supervisor_lock.stat(), os.fstat(self._lock.descriptor))
        except FileNotFoundError:
            return False

    def _publish(self, status: Status) -> None:
        if not self._owns_the_directory():
            return
        msgspec.structs.replace(status, supervisor_pid=os.getpid()).write(self._place.status_file)

    def _log_size(self) -> int:
        return self._place.log_file.stat().st_size

    def _log_since(self, start: int) -> str:
        with self._place.log_file.open("rb") as file:
            file.seek(start)
            return file.read(100_000).decode(errors="replace")


def _last_words(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if any(mark in line for mark in ("FATAL", "PANIC", "error:", "ERROR"))]
    return " / ".join((telling or lines)[-3:]) or "nothing"


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # psutil refuses when the pid went to somebody else meanwhile
        process.send_signal(number)


def _die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """On Linux: a function for the child that lets the kernel send it `number` when we die, by kill -9 too."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:  # we died before the kernel knew
            os._exit(1)

    return ask_kernel


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main(argument: str) -> NoReturn:
    """Leave our starter's family (a second fork, so that nobody has to reap us) and supervise."""
    if os.fork():
        os._exit(0)
    os.chdir("/")  # whoever started us may want to remove his directory
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s supervisor [%(process)d] %(message)s")
    task = SupervisorTask.decode(argument)
    lock = FileLock.inherited(task.placement.supervisor_lock, task.supervisor_lock)
    code = Supervisor(task, lock).run()
    logging.shutdown()
    lock.close()
    os._exit(code)  # the thread that waits for users cannot be joined


if __name__ == "__main__":
    main(sys.argv[1])
