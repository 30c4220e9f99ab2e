"""The private PostgreSQL with real processes: started, shared, stopped, killed at every joint."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from tests.embedded_user import PATIENCE_S, EmbeddedUser, alive, eventually, supervisors_of
from tests.postgresql import temporary_directory

from signalbox.ledger import postgres_cluster
from signalbox.ledger.deadline import EmbeddedPostgresError
from signalbox.ledger.embedded import EmbeddedServer, open_embedded
from signalbox.ledger.embedded_placement import Status, place, socket_directory
from signalbox.ledger.postgres_account import can_reach, can_read_all
from signalbox.ledger.postgres_binaries import find_programs, run_as

AS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def prepared_dir() -> Iterator[Path]:
    """A data directory whose cluster exists already: creating one takes longer than everything else here."""
    with temporary_directory() as directory:
        with open_embedded(directory, fsync=False):
            pass
        yield directory


@pytest.fixture
def fresh_dir() -> Iterator[Path]:
    """An empty data directory; no server may be left on it."""
    with temporary_directory() as directory:
        yield directory
        eventually(lambda: not supervisors_of(directory), "the supervisor ends")


@pytest.fixture
def new_user() -> Iterator[Callable[..., EmbeddedUser]]:
    """Starts processes that use a private server; those that are left are killed at the end."""
    users = []

    def start(*arguments: object, **options: object) -> EmbeddedUser:
        user = EmbeddedUser(*arguments, **options)  # type: ignore[arg-type] # passed on as given
        users.append(user)
        return user

    yield start
    for user in users:
        user.close()


async def fetch_value(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url, timeout=PATIENCE_S)
    try:
        return await connection.fetchval(statement, timeout=PATIENCE_S)
    finally:
        await connection.close()


def execute(url: str, statement: str) -> object:
    return asyncio.run(fetch_value(url, statement))


def remember(server: EmbeddedServer) -> None:
    execute(server.url("postgres"), "DROP TABLE IF EXISTS kept")
    execute(server.url("postgres"), "CREATE TABLE kept AS SELECT 42 AS answer")


def remembered(server: EmbeddedServer) -> bool:
    return execute(server.url("postgres"), "SELECT answer FROM kept") == 42


def gone(status: Status) -> bool:
    return not alive(status.supervisor_pid) and not alive(status.postmaster_pid)


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Signal one process that this test started (through the supervisor)."""
    assert psutil.Process(pid).name().startswith(("postgres", "python"))
    os.kill(pid, number)


# --- start, share, stop ---------------------------------------------------------------------------------------------


def test_it_starts_when_opened_and_is_gone_after_close(prepared_dir: Path) -> None:
    server = open_embedded(prepared_dir)
    status = server.status
    assert execute(server.url("postgres"), "SELECT 1") == 1
    server.close()
    assert gone(status)
    assert not Path(status.socket_directory).exists()
    server.close()  # twice does no harm


def test_it_is_durable_and_listens_on_a_private_socket_only(prepared_dir: Path) -> None:
    with open_embedded(prepared_dir) as server:
        shown = {
            name: execute(server.url("postgres"), f"SHOW {name}")
            for name in ("fsync", "synchronous_commit", "data_checksums", "listen_addresses", "server_encoding")
        }
        assert shown == {
            "fsync": "on",
            "synchronous_commit": "on",
            "data_checksums": "on",
            "listen_addresses": "",
            "server_encoding": "UTF8",
        }
        assert Path(server.status.socket_directory).stat().st_mode & 0o777 == 0o700


def test_ensure_is_cheap_and_changes_nothing_while_the_server_runs(prepared_dir: Path) -> None:
    with open_embedded(prepared_dir, fsync=False) as server:
        before = server.status
        for _ in range(20):
            server.ensure()
        assert server.status == before


async def test_databases_are_created_copied_and_dropped_while_a_loop_runs(prepared_dir: Path) -> None:
    name, copy = 'odd "name"', "odd copy"
    with open_embedded(prepared_dir, fsync=False) as server:
        server.ensure_database(name)
        server.ensure_database(name)
        await fetch_value(server.url(name), "CREATE TABLE here AS SELECT 1 AS value")
        server.create_database(copy, template=name)
        assert await fetch_value(server.url(copy), "SELECT value FROM here") == 1
        for database in (name, copy):
            assert server.database_exists(database)
            server.drop_database(database)
            assert not server.database_exists(database)


def test_two_processes_share_it_and_the_last_one_stops_it(
    prepared_dir: Path, new_user: Callable[..., EmbeddedUser]
) -> None:
    first, second = new_user(prepared_dir), new_user(prepared_dir)
    about_first, about_second = first.wait_ready(), second.wait_ready()
    assert about_first["postmaster_pid"] == about_second["postmaster_pid"]
    first.leave()
    assert alive(about_first["postmaster_pid"])
    second.leave()
    assert not alive(about_first["postmaster_pid"])
    assert not alive(about_first["supervisor_pid"])


def test_first_users_at_the_same_moment_get_one_server(fresh_dir: Path, new_user: Callable[..., EmbeddedUser]) -> None:
    users = [new_user(fresh_dir) for _ in range(3)]
    assert len({user.wait_ready()["postmaster_pid"] for user in users}) == 1
    for user in users:
        user.leave()


def test_who_comes_while_it_stops_gets_a_new_one(prepared_dir: Path, new_user: Callable[..., EmbeddedUser]) -> None:
    first = new_user(prepared_dir)
    about_first = first.wait_ready()
    kill(about_first["postmaster_pid"], signal.SIGSTOP)  # so that stopping takes as long as we want
    first.kill()
    status_file = place(prepared_dir).status_file

    def stopping() -> bool:
        status = Status.read(status_file)
        return status is not None and status.state == "stopping"

    eventually(stopping, "the server stops after its last user")
    second = new_user(prepared_dir)
    kill(about_first["postmaster_pid"], signal.SIGCONT)
    about_second = second.wait_ready()
    assert about_second["postmaster_pid"] != about_first["postmaster_pid"]
    assert alive(about_second["postmaster_pid"])
    assert not alive(about_first["postmaster_pid"])
    second.leave()


# --- killed ---------------------------------------------------------------------------------------------------------


def test_killing_the_only_user_stops_it(prepared_dir: Path, new_user: Callable[..., EmbeddedUser]) -> None:
    user = new_user(prepared_dir)
    about = user.wait_ready()
    user.kill()
    eventually(lambda: not alive(about["postmaster_pid"]), "postgres ends")
    eventually(lambda: not alive(about["supervisor_pid"]), "the supervisor ends")


def test_killing_one_user_leaves_it_to_the_other(prepared_dir: Path, new_user: Callable[..., EmbeddedUser]) -> None:
    user = new_user(prepared_dir)
    about = user.wait_ready()
    with open_embedded(prepared_dir, fsync=False) as server:
        user.kill()
        server.ensure()
        assert server.status.postmaster_pid == about["postmaster_pid"]
        assert execute(server.url("postgres"), "SELECT 1") == 1


def test_killed_postgres_is_started_again_with_all_committed_rows(prepared_dir: Path) -> None:
    with open_embedded(prepared_dir, fsync=False) as server:
        remember(server)
        killed = server.status
        kill(killed.postmaster_pid)
        eventually(lambda: not alive(killed.postmaster_pid), "postgres is dead")
        server.ensure()
        assert server.status.postmaster_pid != killed.postmaster_pid
        assert server.status.supervisor_pid == killed.supervisor_pid
        assert remembered(server)


def test_killed_postgres_is_started_again_only_when_its_last_process_is_gone(prepared_dir: Path) -> None:
    with open_embedded(prepared_dir, fsync=False) as server:
        remember(server)
        cluster, killed = server.placement.cluster, server.status
        orphan = next(
            process for process in postgres_cluster.processes_of(cluster) if process.pid != killed.postmaster_pid
        )
        kill(orphan.pid, signal.SIGSTOP)  # still attached to the shared memory
        kill(killed.postmaster_pid)

        def starting() -> bool:
            status = Status.read(server.placement.status_file)
            return status is not None and status.state == "starting"

        eventually(starting, "the supervisor notices")
        assert alive(orphan.pid)
        kill(orphan.pid, signal.SIGCONT)
        server.ensure()
        assert not alive(orphan.pid)
        assert remembered(server)


def test_a_supervisor_whose_directory_was_moved_away_gives_up(prepared_dir: Path) -> None:
    with open_embedded(prepared_dir, fsync=False) as server:
        status, directory = server.status, server.data_directory
        moved = directory.with_name("moved")
        directory.rename(moved)
        try:
            kill(status.postmaster_pid)
            eventually(lambda: gone(status), "the supervisor ends")
        finally:
            moved.rename(directory)
        server.ensure()
        assert server.status.postmaster_pid != status.postmaster_pid


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux")
def test_killed_supervisor_takes_postgres_along_and_ensure_starts_both_again(prepared_dir: Path) -> None:
    with open_embedded(prepared_dir, fsync=False) as server:
        remember(server)
        killed = server.status
        kill(killed.supervisor_pid)
        eventually(lambda: gone(killed), "postgres follows its supervisor")
        server.ensure()
        assert server.status.supervisor_pid != killed.supervisor_pid
        assert remembered(server)


def test_postgres_that_outlived_its_supervisor_is_stopped_before_the_next_start(prepared_dir: Path) -> None:
    with open_embedded(prepared_dir, fsync=False) as server:
        remember(server)
        killed = server.status
        kill(killed.postmaster_pid, signal.SIGSTOP)  # it cannot follow its supervisor ...
        kill(killed.supervisor_pid)
        eventually(lambda: not alive(killed.supervisor_pid), "the supervisor is dead")
        assert alive(killed.postmaster_pid)
        user = EmbeddedUser(prepared_dir)
        try:
            eventually(lambda: supervisors_of(prepared_dir), "the next supervisor")
            kill(killed.postmaster_pid, signal.SIGCONT)  # ... before the next one looks for it
            assert user.wait_ready()["postmaster_pid"] != killed.postmaster_pid
            assert not alive(killed.postmaster_pid)
            server.ensure()
            assert remembered(server)
        finally:
            user.close()


def test_everything_killed_at_once_recovers(prepared_dir: Path, new_user: Callable[..., EmbeddedUser]) -> None:
    with open_embedded(prepared_dir, fsync=False) as server:
        remember(server)
    user = new_user(prepared_dir)
    about = user.wait_ready()
    for name in ("supervisor_pid", "postmaster_pid"):
        kill(about[name], signal.SIGSTOP)
    user.kill()
    kill(about["supervisor_pid"])
    kill(about["postmaster_pid"])
    eventually(lambda: not alive(about["postmaster_pid"]), "postgres is dead")
    assert postgres_cluster.read_postmaster_file(place(prepared_dir).cluster) is not None
    with open_embedded(prepared_dir, fsync=False) as server:
        assert remembered(server)


def test_a_stale_postmaster_file_never_harms_the_process_it_names(prepared_dir: Path) -> None:
    placement = place(prepared_dir)
    stranger = subprocess.Popen(["/bin/sleep", "600"], **run_as(placement.account))
    try:
        write_postmaster_file(placement.cluster, stranger.pid)
        with open_embedded(prepared_dir, fsync=False) as server:
            assert server.status.postmaster_pid != stranger.pid
            assert execute(server.url("postgres"), "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_stale_postmaster_file_never_harms_another_postgres(prepared_dir: Path, fresh_dir: Path) -> None:
    with open_embedded(fresh_dir, fsync=False) as other:
        postmaster = other.status.postmaster_pid
        write_postmaster_file(place(prepared_dir).cluster, postmaster)
        with open_embedded(prepared_dir, fsync=False) as server:
            assert server.status.postmaster_pid != postmaster
        other.ensure()
        assert other.status.postmaster_pid == postmaster


def write_postmaster_file(cluster: Path, pid: int) -> None:
    """What a power cut leaves behind when the pid was given to somebody else afterwards."""
    file = postgres_cluster.postmaster_file(cluster)
    file.write_text(f"{pid}\n{cluster}\n1700000000\n5432\n/tmp\n\n        0         0\nready   \n")
    owner = cluster.stat()
    os.chown(file, owner.st_uid, owner.st_gid)


@pytest.mark.parametrize("supervisor_too", [False, True], ids=["user", "user and supervisor"])
def test_killed_while_the_cluster_is_created(
    supervisor_too: bool, fresh_dir: Path, new_user: Callable[..., EmbeddedUser]
) -> None:
    placement = place(fresh_dir)
    user = new_user(fresh_dir)
    eventually(lambda: list(placement.directory.glob("cluster.new-*/base")), "initdb is at work")
    if supervisor_too:
        for pid in supervisors_of(fresh_dir):
            kill(pid)
    user.kill()
    eventually(lambda: not supervisors_of(fresh_dir), "the supervisor ends")
    assert not placement.cluster.exists()
    with open_embedded(fresh_dir, fsync=False) as server:
        assert server.database_exists("postgres")
    assert not list(placement.directory.glob("cluster.new-*"))


# --- refusals -------------------------------------------------------------------------------------------------------


def test_a_cluster_of_another_major_version_is_refused_and_left_alone(prepared_dir: Path) -> None:
    version_file = place(prepared_dir).cluster / "PG_VERSION"
    truth = version_file.read_text()
    version_file.write_text("14\n")
    try:
        with pytest.raises(EmbeddedPostgresError, match=r"made by PostgreSQL 14.*pg_dump.*postgresql\.log"):
            open_embedded(prepared_dir, fsync=False)
        eventually(lambda: not supervisors_of(prepared_dir), "the supervisor ends")
    finally:
        version_file.write_text(truth)
    with open_embedded(prepared_dir, fsync=False):
        pass


def test_a_damaged_cluster_is_reported_with_the_words_of_postgresql(prepared_dir: Path) -> None:
    control = place(prepared_dir).cluster / "global" / "pg_control"
    hidden = control.with_name("hidden")
    control.rename(hidden)
    try:
        with pytest.raises(EmbeddedPostgresError, match=r"could not find the database system.*Its log: "):
            open_embedded(prepared_dir, fsync=False)
        eventually(lambda: not supervisors_of(prepared_dir), "the supervisor ends")
    finally:
        hidden.rename(control)


def test_somebody_elses_socket_directory_is_refused(prepared_dir: Path) -> None:
    squatted = socket_directory(place(prepared_dir))
    squatted.mkdir()
    squatted.chmod(0o777)
    try:
        with pytest.raises(EmbeddedPostgresError, match="somebody else made it"):
            open_embedded(prepared_dir, fsync=False)
        assert squatted.stat().st_mode & 0o777 == 0o777
    finally:
        squatted.rmdir()


def test_a_file_in_place_of_the_data_directory_is_refused(fresh_dir: Path) -> None:
    (fresh_dir / "postgresql").write_text("not a directory")
    with pytest.raises(EmbeddedPostgresError, match="SIGNALBOX_DATA_DIR"):
        open_embedded(fresh_dir)


def test_patience_ends_with_the_name_of_the_log(prepared_dir: Path, new_user: Callable[..., EmbeddedUser]) -> None:
    user = new_user(prepared_dir)
    about = user.wait_ready()
    kill(about["postmaster_pid"], signal.SIGSTOP)
    user.kill()
    try:
        with pytest.raises(EmbeddedPostgresError, match=r"within 0\.5 s.*postgresql\.log"):
            open_embedded(prepared_dir, timeout_s=0.5)
    finally:
        kill(about["postmaster_pid"], signal.SIGCONT)
    eventually(lambda: not alive(about["supervisor_pid"]), "the supervisor ends")


# --- wherever the checkout and the home lie -------------------------------------------------------------------------


def test_a_long_path_of_the_data_directory(fresh_dir: Path) -> None:
    deep = fresh_dir / ("a" * 120) / ("ü" * 60)
    with open_embedded(deep, fsync=False) as server:
        assert len(os.fsencode(server.data_directory)) > 200
        assert execute(server.url("postgres"), "SELECT 1") == 1


@pytest.mark.skipif(not AS_ROOT, reason="root only: an ordinary user's PostgreSQL can read what he can read")
def test_as_root_below_directories_that_only_root_may_enter(fresh_dir: Path) -> None:
    secret = fresh_dir / "root"
    secret.mkdir(mode=0o700)
    programs = installation_below(secret)
    options = {"fsync": False, "binaries": programs, "system_directory": fresh_dir / "system"}
    with open_embedded(secret / "home", **options) as server:  # type: ignore[arg-type] # of mixed types
        assert execute(server.url("postgres"), "SELECT 1") == 1
        assert server.notice is not None
        assert str(server.data_directory) in server.notice
        assert server.data_directory.is_relative_to(fresh_dir / "system" / "clusters")
        assert psutil.Process(server.status.postmaster_pid).uids().effective != 0
        executable = Path(psutil.Process(server.status.postmaster_pid).exe())
    assert executable.is_relative_to(fresh_dir / "system" / "postgresql")
    assert secret.stat().st_mode & 0o777 == 0o700
    made_at = executable.stat().st_ctime_ns
    with open_embedded(secret / "home", **options):  # type: ignore[arg-type] # of mixed types
        assert executable.stat().st_ctime_ns == made_at  # the copy is used again
    with executable.open("ab") as file:
        file.write(b"damage")
    with open_embedded(secret / "home", **options):  # type: ignore[arg-type] # of mixed types
        assert executable.read_bytes() == (programs / "postgres").read_bytes()


def installation_below(directory: Path) -> Path:
    """The wheel's PostgreSQL once more, in `directory`; hard links, to be quick."""
    package = find_programs().parents[1]
    ignored = shutil.ignore_patterns("pginstall", "*.a")
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.is_dir():
            shutil.copytree(
                part,
                directory / part.name,
                copy_function=link_or_copy,
                ignore=ignored,
            )
    return directory / package.name / find_programs().relative_to(package)


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.mark.skipif(not AS_ROOT, reason="all other tests here run as an ordinary user already")
def test_as_an_ordinary_user_with_a_private_home(fresh_dir: Path, new_user: Callable[..., EmbeddedUser]) -> None:
    entry = pwd.getpwnam("nobody")
    account = place(fresh_dir).account
    assert account is not None
    interpreter = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    source = Path(__file__).parents[3]
    reachable = can_reach(account, source) and can_read_all(account, [Path(psutil.__file__).parent])
    if not interpreter.exists() or not reachable:
        pytest.skip("an ordinary user can read neither this checkout nor a Python of this version")
    home = fresh_dir / "home"
    home.mkdir(mode=0o700)
    os.chown(home, entry.pw_uid, entry.pw_gid)
    user = new_user(
        home / "data",
        interpreter=(str(interpreter),),
        user=entry.pw_uid,
        group=entry.pw_gid,
        extra_groups=[],
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "HOME": str(home)},
    )
    about = user.wait_ready()
    assert about["uid"] == entry.pw_uid
    assert about["directory"] == str(home / "data" / "postgresql")
    assert psutil.Process(about["postmaster_pid"]).uids().effective == entry.pw_uid
    user.leave()
    assert not alive(about["postmaster_pid"])
