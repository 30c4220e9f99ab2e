"""Who runs PostgreSQL, and what that account can reach."""

import os
from pathlib import Path

import pytest
from tests.postgresql import temporary_directory

from signalbox.ledger.deadline import EmbeddedPostgresError
from signalbox.ledger.embedded_placement import place
from signalbox.ledger.postgres_account import Account, account_for_root, can_reach, can_read_all, make_directories

STRANGER = Account(name="stranger", uid=64_000, gid=64_000)
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="changing owners needs root")


@pytest.mark.parametrize(("mode", "reachable"), [(0o700, False), (0o710, False), (0o711, True), (0o744, False)])
def test_every_directory_above_must_let_the_account_in(mode: int, reachable: bool) -> None:
    with temporary_directory() as directory:
        directory.chmod(0o711)
        (directory / "middle" / "inside").mkdir(parents=True)
        (directory / "middle").chmod(mode)
        assert can_reach(STRANGER, directory / "middle" / "inside") is reachable


@root_only
def test_the_owner_is_judged_by_the_owners_bits() -> None:
    with temporary_directory() as directory:
        os.chown(directory, STRANGER.uid, STRANGER.gid)
        directory.chmod(0o700)
        assert can_reach(STRANGER, directory)
        directory.chmod(0o011)
        assert not can_reach(STRANGER, directory)


def test_one_unreadable_file_is_enough_to_need_a_copy() -> None:
    with temporary_directory() as directory:
        directory.chmod(0o711)
        part = directory / "share"
        part.mkdir(mode=0o755)
        file = part / "postgres.bki"
        file.write_text("")
        file.chmod(0o644)
        assert can_read_all(STRANGER, [part])
        file.chmod(0o600)
        assert not can_read_all(STRANGER, [part])


def test_existing_directories_keep_their_permissions(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    make_directories(tmp_path / "new" / "newer", 0o711)
    make_directories(tmp_path, 0o777)
    assert tmp_path.stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "new" / "newer").stat().st_mode & 0o777 == 0o711


@root_only
def test_an_existing_cluster_keeps_its_owner() -> None:
    with temporary_directory() as directory:
        os.chown(directory, STRANGER.uid, STRANGER.gid)
        account = account_for_root(directory)
        assert (account.uid, account.gid) == (STRANGER.uid, STRANGER.gid)


@root_only
def test_a_cluster_of_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="belongs to root"):
        account_for_root(tmp_path)


@root_only
def test_root_refuses_a_directory_of_somebody_else() -> None:
    with temporary_directory() as directory:
        theirs = directory / "postgresql"
        theirs.mkdir(mode=0o755)
        os.chown(theirs, STRANGER.uid, STRANGER.gid)
        with pytest.raises(EmbeddedPostgresError, match=r"belongs to '64000'.*SIGNALBOX_DATA_DIR"):
            place(directory)


@root_only
def test_as_root_data_that_exists_wins_over_a_better_place() -> None:
    with temporary_directory() as directory:
        hidden, system = directory / "hidden", directory / "system"
        hidden.mkdir(mode=0o700)
        replaced = place(hidden, system_directory=system)
        assert replaced.directory.is_relative_to(system / "clusters")
        assert replaced.notice is not None
        make_directories(replaced.cluster, 0o711)
        os.chown(replaced.cluster, STRANGER.uid, STRANGER.gid)
        hidden.chmod(0o711)
        again = place(hidden, system_directory=system)
        assert again.directory == replaced.directory
        assert again.account is not None
        assert again.account.uid == STRANGER.uid


@pytest.mark.skipif(os.geteuid() == 0, reason="root's PostgreSQL may need another place")
def test_an_ordinary_user_gets_what_he_asked_for(tmp_path: Path) -> None:
    placement = place(tmp_path)
    assert placement.directory == tmp_path.resolve() / "postgresql"
    assert placement.account is None
    assert placement.notice is None
