"""Advisory file locks that the kernel releases when their holder dies, `kill -9` included."""

import os
import sys
from pathlib import Path
from typing import Self

if sys.platform == "win32":
    raise ImportError(
        "Signalbox's private PostgreSQL needs a POSIX system. On Windows use WSL, "
        "or a PostgreSQL server through SIGNALBOX_DATABASE_URL."
    )
else:
    import fcntl


class FileLock:
    """One open file of our own with at most one lock (flock) on it.

    The lock belongs to the open file, not to the process: a child that inherits the descriptor holds it too,
    and it lasts until the last of them closed it or died.
    """

    def __init__(self, path: Path) -> None:
        """Open (or create, readable by its owner only) the file; a symbolic link is refused."""
        self.path = path
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    @classmethod
    def inherited(cls, path: Path, descriptor: int) -> Self:
        """The lock that a parent process took and passed on as `descriptor`."""
        lock = cls.__new__(cls)
        lock.path = path
        lock.descriptor = descriptor
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - its signature
        return lock

    def try_shared(self) -> bool:
        """Take the lock beside others who share it; False when somebody holds it for himself."""
        return self._try(fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Take the lock alone; False when anybody else holds it."""
        return self._try(fcntl.LOCK_EX)

    def wait_exclusive(self) -> None:
        """Block, without any time limit, until nobody else holds the lock."""
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def release(self) -> None:
        """Give up the lock and keep the file open."""
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; the lock goes with it unless another process inherited it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _try(self, operation: int) -> bool:
        try:
            fcntl.flock(self.descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
