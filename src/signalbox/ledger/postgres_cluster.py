"""PostgreSQL's data directory: creating it, judging it, and finding out who serves it."""

import os
import stat
from pathlib import Path

import msgspec
import psutil

from signalbox.ledger.deadline import EmbeddedPostgresError
from signalbox.ledger.embedded_placement import Placement, socket_directory
from signalbox.ledger.postgres_binaries import Programs

OWNER_ROLE = "signalbox"
"""The superuser role of a private server."""
PORT = 5432
"""Only part of the socket's name: a private server does not listen on the network."""
_SOCKET = f".s.PGSQL.{PORT}"


def socket_path(directory: str | Path) -> Path:
    """The socket in a socket directory (PostgreSQL manual, "unix_socket_directories")."""
    return Path(directory) / _SOCKET


def initdb_command(programs: Programs, target: Path, *, fsync: bool) -> list[str]:
    """The command that creates a cluster in the empty directory `target`."""
    return [
        str(programs.directory / "initdb"),
        f"--pgdata={target}",
        f"--username={OWNER_ROLE}",
        "--auth-local=trust",  # the socket's directory admits only the owner
        "--auth-host=scram-sha-256",
        "--data-checksums",
        "--encoding=UTF8",
        "--locale=C",
        "--no-instructions",
        *([] if fsync else ["--no-sync"]),
    ]


def postgres_command(programs: Programs, placement: Placement, sockets: Path, *, fsync: bool) -> list[str]:
    """The command that serves the cluster, on a socket in `sockets` only."""
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "port": str(PORT),
        "fsync": "on" if fsync else "off",
        "full_page_writes": "on" if fsync else "off",
        "synchronous_commit": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "off",
        "log_destination": "stderr",
        "log_checkpoints": "off",
        "log_line_prefix": "%m [%p] ",
    }
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return [str(programs.directory / "postgres"), "-D", str(placement.cluster), *settings]


def refuse_other_major(cluster: Path, programs: Programs) -> None:
    """Raise EmbeddedPostgresError when another major version of PostgreSQL made the cluster."""
    made_by = (cluster / "PG_VERSION").read_text().strip()
    if made_by != str(programs.major):
        raise EmbeddedPostgresError(
            f"{cluster} was made by PostgreSQL {made_by}, but the installed one is {programs.version}, which cannot "
            f"read it. Nothing was changed. Start it with PostgreSQL {made_by} (the Signalbox version that you used "
            "before), write a dump with pg_dump, move the directory away and load the dump into the new one; "
            "or set SIGNALBOX_DATABASE_URL."
        )


def prepare_socket_directory(placement: Placement) -> Path:
    """Create the private socket directory, or verify that the existing one is ours; raises if it is not.

    Call it only while nobody serves the cluster: sockets that a killed server left behind are removed.
    """
    directory = socket_directory(placement)
    owner = os.geteuid() if placement.account is None else placement.account.uid
    try:
        directory.mkdir(mode=0o700)
        if placement.account is not None:
            os.chown(directory, placement.account.uid, placement.account.gid, follow_symlinks=False)
    except FileExistsError:
        pass
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise EmbeddedPostgresError(
            f"{directory} exists, but it is not a private directory of the account that runs PostgreSQL "
            f"(uid {owner}); somebody else made it. Remove it, or set SIGNALBOX_DATABASE_URL."
        )
    for name in (_SOCKET, f"{_SOCKET}.lock"):
        (directory / name).unlink(missing_ok=True)
    return directory


class PostmasterFile(msgspec.Struct, frozen=True, kw_only=True):
    """What `postmaster.pid` says: the postmaster's pid and whether it accepts connections."""

    pid: int
    ready: bool


def read_postmaster_file(cluster: Path) -> PostmasterFile | None:
    """Read `postmaster.pid` (its lines: PostgreSQL source, miscadmin.h, LOCK_FILE_LINE_*); None when there is none."""
    try:
        lines = postmaster_file(cluster).read_text(errors="replace").splitlines()
        pid = abs(int(lines[0]))
    except (FileNotFoundError, IndexError, ValueError):
        return None
    return PostmasterFile(pid=pid, ready=len(lines) > 7 and lines[7].strip() == "ready")


def postmaster_file(cluster: Path) -> Path:
    """PostgreSQL's own lock file, which may outlive its postmaster."""
    return cluster / "postmaster.pid"


def living_postmaster(cluster: Path) -> psutil.Process | None:
    """The process that `postmaster.pid` names, if it lives and really is PostgreSQL on this cluster.

    After a crash the file may name a stranger that got the same pid: that one is never returned.
    """
    file = read_postmaster_file(cluster)
    if file is None:
        return None
    try:
        process = psutil.Process(file.pid)
    except psutil.Error:
        return None
    return process if _serves(process, cluster) else None


def processes_of(cluster: Path) -> list[psutil.Process]:
    """Every living PostgreSQL process of this cluster, its parent dead or not."""
    return [process for process in psutil.process_iter() if _serves(process, cluster)]


def _serves(process: psutil.Process, cluster: Path) -> bool:
    """PostgreSQL's processes are named `postgres` and work in their data directory."""
    try:
        return (
            process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == cluster
        )
    except (psutil.Error, OSError):
        return False
