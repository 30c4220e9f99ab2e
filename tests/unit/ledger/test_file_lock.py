"""Locks between open files; within one process they exclude each other as between processes."""

import os
from pathlib import Path

import pytest

from signalbox.ledger.file_lock import FileLock


def test_users_share_and_exclude_whoever_wants_it_alone(tmp_path: Path) -> None:
    one, two, alone = (FileLock(tmp_path / "lock") for _ in range(3))
    assert one.try_shared()
    assert two.try_shared()
    assert not alone.try_exclusive()
    one.close()
    assert not alone.try_exclusive()
    two.release()
    assert alone.try_exclusive()
    assert not two.try_shared()
    two.close()
    alone.close()
    alone.close()  # twice does no harm


def test_a_lock_lives_on_in_the_descriptor_that_was_handed_over(tmp_path: Path) -> None:
    starter, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert starter.try_exclusive()
    heir = FileLock.inherited(starter.path, os.dup(starter.descriptor))
    starter.close()
    assert not other.try_exclusive()
    heir.close()
    assert other.try_exclusive()
    other.close()


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        FileLock(tmp_path / "lock")
    assert not (tmp_path / "elsewhere").exists()
