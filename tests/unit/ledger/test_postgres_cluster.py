"""What PostgreSQL's files say, and whom they may name."""

import os
from pathlib import Path

import pytest

from signalbox.ledger import databases
from signalbox.ledger.deadline import EmbeddedPostgresError
from signalbox.ledger.embedded_placement import Status
from signalbox.ledger.postgres_binaries import Programs, find_programs
from signalbox.ledger.postgres_cluster import (
    PostmasterFile,
    living_postmaster,
    postmaster_file,
    processes_of,
    read_postmaster_file,
    refuse_other_major,
)

READY = "4711\n/data\n1700000000\n5432\n/tmp/s\n\n  12345  0\nready   \n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (READY, PostmasterFile(pid=4711, ready=True)),
        (READY.replace("ready   ", "starting"), PostmasterFile(pid=4711, ready=False)),
        ("4711\n/data\n", PostmasterFile(pid=4711, ready=False)),
        ("", None),
        ("not a number\n", None),
        (None, None),
    ],
)
def test_the_postmaster_file_is_read_whole_partial_or_damaged(
    text: str | None, expected: PostmasterFile | None, tmp_path: Path
) -> None:
    if text is not None:
        postmaster_file(tmp_path).write_text(text)
    assert read_postmaster_file(tmp_path) == expected


def test_a_living_stranger_is_not_taken_for_the_postmaster(tmp_path: Path) -> None:
    postmaster_file(tmp_path).write_text(f"{os.getpid()}\n")
    assert living_postmaster(tmp_path) is None
    assert processes_of(tmp_path) == []


def test_another_major_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("16\n")
    refuse_other_major(tmp_path, Programs(directory=tmp_path, version="16.14"))
    with pytest.raises(EmbeddedPostgresError, match=r"made by PostgreSQL 16, but the installed one is 18\.4.*pg_dump"):
        refuse_other_major(tmp_path, Programs(directory=tmp_path, version="18.4"))


def test_a_directory_without_programs_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match=f"'postgres' in {tmp_path}"):
        find_programs(tmp_path)


def test_a_status_is_replaced_as_a_whole_and_nonsense_is_no_status(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    assert Status.read(path) is None
    for status in (Status(state="starting"), Status(state="failed", message="the disk is full")):
        status.write(path)
        assert Status.read(path) == status
    path.write_text('{"state":"dreaming"}')
    assert Status.read(path) is None


def test_the_name_in_a_url_can_be_exchanged() -> None:
    url = "postgresql://signalbox@/postgres?host=/tmp/s&port=5432"
    other = databases.with_database(url, "odd name")
    assert other == "postgresql://signalbox@/odd%20name?host=/tmp/s&port=5432"
    assert databases.database_name(other) == "odd name"
    assert databases.with_database("postgresql://u:p@db.example:5433/a", "b") == "postgresql://u:p@db.example:5433/b"
