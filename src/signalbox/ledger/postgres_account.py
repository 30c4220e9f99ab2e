"""Which operating system account runs PostgreSQL, and what that account can reach.

PostgreSQL refuses to run as root, so when we are root it runs as an unprivileged account. Permissions of
existing directories are only looked at, never changed.
"""

import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path

import msgspec

from signalbox.ledger.deadline import EmbeddedPostgresError

ACCOUNT_NAMES = ("signalbox", "postgres", "nobody")
"""The accounts that may run PostgreSQL for root, the best one first."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An unprivileged account; `name` is for people, the numbers count."""

    name: str
    uid: int
    gid: int


def account_for_root(cluster: Path) -> Account:
    """Who runs PostgreSQL when we are root: the owner of an existing `cluster`, else the first known account.

    Raises EmbeddedPostgresError when there is none.
    """
    if cluster.exists():
        return _owner(cluster)
    for name in ACCOUNT_NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root, and this system has none of the accounts "
        f"{', '.join(ACCOUNT_NAMES)}. Create one (useradd --system signalbox), run Signalbox as an "
        "ordinary user, or set SIGNALBOX_DATABASE_URL."
    )


def _owner(cluster: Path) -> Account:
    found = cluster.stat()
    if found.st_uid == 0:
        raise EmbeddedPostgresError(
            f"{cluster} belongs to root, but PostgreSQL does not run as root. "
            "Give it (chown -R) to an unprivileged account, or move it away."
        )
    try:
        name = pwd.getpwuid(found.st_uid).pw_name
    except KeyError:
        name = str(found.st_uid)
    return Account(name=name, uid=found.st_uid, gid=found.st_gid)


def can_reach(account: Account, path: Path) -> bool:
    """Whether `account` may enter `path` (a directory) and every directory above it, by their mode bits."""
    resolved = path.resolve()
    return all(_allows(account, directory, 0o1) for directory in (resolved, *resolved.parents))


def can_read_all(account: Account, paths: Iterable[Path]) -> bool:
    """Whether `account` may read every file and enter every directory at and below `paths`."""
    for top in paths:
        if not can_reach(account, top.parent):
            return False
        for path in (top, *top.rglob("*")):
            if not _allows(account, path, 0o5 if path.is_dir() else 0o4):
                return False
    return True


def _allows(account: Account, path: Path, wanted: int) -> bool:
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid == account.uid:
        mode >>= 6
    elif found.st_gid == account.gid:
        mode >>= 3
    return mode & wanted == wanted


def make_directories(path: Path, mode: int) -> None:
    """Create `path` with `mode` and missing parents with 0755 (0700 when not root); existing ones stay as they are."""
    if path.is_dir():
        return
    if not path.parent.is_dir():
        make_directories(path.parent, 0o755 if os.geteuid() == 0 else 0o700)
    try:
        path.mkdir(mode)
    except FileExistsError:  # another process was faster
        return
    path.chmod(mode)  # whatever the umask says; it is ours and new
