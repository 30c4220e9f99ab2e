"""Where the private PostgreSQL keeps its things, and what it says about itself.

One directory holds everything: `cluster/` (PostgreSQL's own data), two lock files, a status file and a log.
Every process computes the same place from the same data directory.
"""

import hashlib
import os
import pwd
from pathlib import Path
from typing import Literal

import msgspec

from signalbox.ledger.deadline import EmbeddedPostgresError
from signalbox.ledger.postgres_account import Account, account_for_root, can_reach, make_directories

SYSTEM_DIRECTORY = Path("/var/lib/signalbox")
"""Where root puts what an unprivileged account has to reach."""


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """The place of one private server. `account` is None when PostgreSQL runs as the user that we are."""

    wanted: Path
    directory: Path
    account: Account | None = None

    @property
    def cluster(self) -> Path:
        """PostgreSQL's data directory."""
        return self.directory / "cluster"

    @property
    def users_lock(self) -> Path:
        """Shared by every process that uses the server, for as long as it does."""
        return self.directory / "users.lock"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the one supervisor."""
        return self.directory / "supervisor.lock"

    @property
    def status_file(self) -> Path:
        """What the supervisor last said (`Status` as JSON)."""
        return self.directory / "status.json"

    @property
    def log_file(self) -> Path:
        """What the supervisor and PostgreSQL printed."""
        return self.directory / "postgresql.log"

    @property
    def notice(self) -> str | None:
        """One sentence for people when the data is not where they asked for it."""
        if self.account is None or self.directory == self.wanted:
            return None
        return (
            f"The ledger is in {self.directory}: as root, PostgreSQL runs as '{self.account.name}', "
            f"which cannot enter {self.wanted}."
        )


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The supervisor's last word. `message` says why in the state `failed`."""

    state: Literal["starting", "running", "stopping", "stopped", "failed"]
    supervisor_pid: int = 0
    postmaster_pid: int = 0
    socket_directory: str = ""
    version: str = ""
    message: str = ""

    @staticmethod
    def read(path: Path) -> "Status | None":
        """The status in `path`, None when there is none (yet) or nobody can read it as one."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=Status)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def write(self, path: Path) -> None:
        """Replace `path` at once; readers see the old or the new status, never half of one."""
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(self))
        draft.replace(path)


def place(data_dir: Path, *, system_directory: Path = SYSTEM_DIRECTORY) -> Placement:
    """Find the place for a server whose data the user wants below `data_dir`; creates nothing.

    As root, a place that the unprivileged account cannot reach is replaced by one in `system_directory`.
    Raises EmbeddedPostgresError when neither can be used.
    """
    wanted = data_dir.expanduser().resolve() / "postgresql"
    if os.geteuid() != 0:
        return Placement(wanted=wanted, directory=wanted)
    name = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
    replacement = system_directory.resolve() / "clusters" / name
    candidates = [Placement(wanted=wanted, directory=directory) for directory in (wanted, replacement)]
    # Data that exists wins over a better place for new data.
    candidates.sort(key=lambda candidate: not candidate.cluster.exists())
    for candidate in candidates:
        account = account_for_root(candidate.cluster)
        if can_reach(account, _nearest_existing(candidate.directory)):
            placement = msgspec.structs.replace(candidate, account=account)
            _refuse_foreign_directory(placement)
            return placement
    raise EmbeddedPostgresError(
        f"As root, PostgreSQL runs as '{account_for_root(replacement / 'cluster').name}', which can enter neither "
        f"{wanted} nor {replacement}. Set SIGNALBOX_DATA_DIR to a directory that this account can enter, "
        "run Signalbox as an ordinary user, or set SIGNALBOX_DATABASE_URL."
    )


def prepare_directory(placement: Placement) -> None:
    """Create the directory: private for an ordinary user, for root one that the account may enter only."""
    make_directories(placement.directory, 0o700 if placement.account is None else 0o711)


def socket_directory(placement: Placement) -> Path:
    """The directory of the socket: short, because a socket's path may not be longer than 107 bytes."""
    name = hashlib.sha256(os.fsencode(placement.directory)).hexdigest()[:16]
    return Path("/tmp") / f"signalbox-{name}"  # noqa: S108 - the same for all; ownership is checked before use


def _nearest_existing(path: Path) -> Path:
    return next(candidate for candidate in (path, *path.parents) if candidate.is_dir())


def _refuse_foreign_directory(placement: Placement) -> None:
    """As root we write only in directories of root: whoever owns another one could lead us astray by links."""
    if not placement.directory.exists():
        return
    owner = placement.directory.stat().st_uid
    if owner == 0:
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = str(owner)
    raise EmbeddedPostgresError(
        f"{placement.directory} belongs to '{name}', and Signalbox runs as root. "
        f"Run Signalbox as '{name}', or set SIGNALBOX_DATA_DIR to another directory."
    )
