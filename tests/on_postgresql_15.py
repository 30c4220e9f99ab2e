"""Run the test suite on a PostgreSQL of the system, the oldest supported version first.

    python tests/on_postgresql_15.py [arguments for pytest]

Starts that PostgreSQL in a temporary directory under our own supervisor, points SIGNALBOX_DATABASE_URL at it, and
leaves nothing running. Exits with pytest's code, or 3 when there is no PostgreSQL of the system.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from signalbox.ledger.embedded import open_embedded

OLDEST = 15
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
NOTHING_FOUND = 3


def oldest_programs() -> Path | None:
    """The directory with the programs of the oldest installed PostgreSQL that we support."""
    found = []
    for place in PLACES:
        for directory in Path("/").glob(place.lstrip("/")):
            version = re.search(r"(\d+)/bin$", str(directory))
            if version and int(version[1]) >= OLDEST and (directory / "postgres").is_file():
                found.append((int(version[1]), directory))
    return min(found)[1] if found else None


def main(arguments: list[str]) -> int:
    """Run pytest with `arguments`; returns its exit code."""
    programs = oldest_programs()
    if programs is None:
        sys.stderr.write(
            f"No PostgreSQL {OLDEST} or newer in {', '.join(PLACES)}. On Debian and Ubuntu: "
            "apt-get install postgresql (its own server need not run).\n"
        )
        return NOTHING_FOUND
    with tempfile.TemporaryDirectory(prefix="signalbox-postgresql-") as directory:
        if os.geteuid() == 0:
            Path(directory).chmod(0o711)  # PostgreSQL runs as another account then
        with open_embedded(Path(directory), fsync=False, binaries=programs) as server:
            sys.stderr.write(f"Testing on PostgreSQL {server.status.version} of {programs}\n")
            environment = {
                **os.environ,  # noqa: TID251 - passed on to pytest as it is
                "SIGNALBOX_DATABASE_URL": server.url("postgres"),
            }
            command = [sys.executable, "-m", "pytest", *arguments]
            return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - pytest


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
