"""Real clusters: closed to others, stopped and started, killed, and asked for by several processes at once."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.store import running_cluster
from trustpack.platform.embedded_postgres import Cluster, EmbeddedPostgresError, free_port


def await_end(process: int) -> None:
    """Wait until a killed process has stopped running; its parent need not have collected it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.01)
    raise AssertionError(f"process {process} still runs")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster") / "store") as made:
        yield made


def test_the_socket_directory_may_be_entered_by_its_owner_only(cluster: Cluster):
    mode = stat.S_IMODE(cluster.socket_path.stat().st_mode)

    assert mode == 0o700


def test_a_socket_directory_that_was_opened_is_closed_on_the_next_start(cluster: Cluster):
    cluster.socket_path.chmod(0o777)

    cluster.ensure_running()

    assert stat.S_IMODE(cluster.socket_path.stat().st_mode) == 0o700


def test_a_cluster_without_password_listens_on_no_address(cluster: Cluster):
    with psycopg.connect(cluster.url()) as connection:
        row = connection.execute("SELECT current_setting('listen_addresses')").fetchone()

    assert row == ("",)


def test_a_running_cluster_is_left_alone(cluster: Cluster):
    with psycopg.connect(cluster.url()) as connection:
        assert cluster.ensure_running() is False

        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_data_outlives_a_stop_and_a_start(cluster: Cluster):
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept_over_stop (x int)")

    cluster.stop()
    stopped = cluster.is_running()
    started = cluster.ensure_running()

    assert (stopped, started) == (False, True)
    with psycopg.connect(cluster.url()) as connection:
        assert connection.execute("SELECT count(*) FROM kept_over_stop").fetchone() == (0,)


def test_stopping_a_stopped_cluster_is_no_error(cluster: Cluster):
    cluster.stop()

    cluster.stop()

    assert cluster.is_running() is False
    cluster.ensure_running()


def test_committed_data_outlives_kill_9_of_the_postmaster(cluster: Cluster):
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept_over_kill (x int)")
    postmaster = int((cluster.data_path / "postmaster.pid").read_text().splitlines()[0])

    os.kill(postmaster, signal.SIGKILL)
    await_end(postmaster)
    started = cluster.ensure_running()

    assert started is True
    with psycopg.connect(cluster.url()) as connection:
        assert connection.execute("SELECT count(*) FROM kept_over_kill").fetchone() == (0,)


def test_a_killed_server_that_its_parent_has_not_collected_yet_does_not_count_as_running(cluster: Cluster):
    postmaster = int((cluster.data_path / "postmaster.pid").read_text().splitlines()[0])

    os.kill(postmaster, signal.SIGKILL)
    await_end(postmaster)

    assert cluster.is_running() is False
    cluster.ensure_running()


def test_two_processes_that_ask_at_once_get_one_running_cluster(tmp_path: Path):
    directory = tmp_path / "store"
    program = (
        "import sys, pathlib\nfrom trustpack.platform.embedded_postgres import Cluster\n"
        "print(Cluster(pathlib.Path(sys.argv[1])).ensure_running())"
    )

    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(directory)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    answers = sorted(process.communicate(timeout=100)[0].strip() for process in started)

    cluster = Cluster(directory)
    assert answers == ["False", "True"]
    assert cluster.is_running()
    cluster.stop(mode="immediate")


def test_a_first_run_that_was_killed_half_way_is_begun_again(tmp_path: Path):
    half_made = tmp_path / "store" / "pgdata"
    (half_made / "base").mkdir(parents=True)
    (half_made / "postgresql.conf").write_text("nonsense")

    with running_cluster(tmp_path / "store") as cluster:
        assert cluster.is_running()


def test_the_last_user_to_leave_stops_the_server(tmp_path: Path):
    used = Cluster(tmp_path / "store")

    with used.in_use():
        with used.in_use():
            pass
        after_the_first = used.is_running()

    assert after_the_first
    assert not used.is_running()


def test_a_killed_user_does_not_keep_the_server_running(tmp_path: Path):
    used = Cluster(tmp_path / "store")
    script = (
        "import pathlib, sys, time; from trustpack.platform.embedded_postgres import Cluster\n"
        "with Cluster(pathlib.Path(sys.argv[1])).in_use():\n    print('in use', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(used.directory)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in use\n"
        with used.in_use():
            pass
        while_used = used.is_running()
        process.kill()

    with used.in_use():
        pass

    assert while_used
    assert not used.is_running()


def test_the_password_is_not_printed_with_the_cluster(tmp_path: Path):
    assert "hunter2" not in repr(Cluster(tmp_path, password="hunter2"))


def test_a_path_too_long_for_a_socket_still_works(tmp_path: Path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)

    with running_cluster(deep) as cluster, psycopg.connect(cluster.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert stat.S_IMODE(cluster.socket_path.stat().st_mode) == 0o700
    shutil.rmtree(cluster.socket_path)


def test_a_path_with_spaces_and_a_quote_works(tmp_path: Path):
    with running_cluster(tmp_path / "my data's") as cluster, psycopg.connect(cluster.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory that belongs to somebody else")
def test_a_socket_directory_of_somebody_else_is_not_used(tmp_path: Path):
    cluster = Cluster(tmp_path / "store")
    cluster.socket_path.mkdir(parents=True)
    os.chown(cluster.socket_path, 12_345, 12_345)

    with pytest.raises(EmbeddedPostgresError, match="belongs to somebody else"):
        cluster.ensure_running()


def test_a_cluster_that_cannot_start_is_a_named_error_with_the_log(tmp_path: Path):
    broken = Cluster(tmp_path / "store", options=("no_such_setting=1",))

    with pytest.raises(EmbeddedPostgresError, match=r"server\.log"):
        broken.ensure_running()

    assert "no_such_setting" in broken.log_path.read_text()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("target") / "target", password="p'ass wörd%/@", port=free_port()) as made:
        yield made


def test_a_cluster_with_a_password_lets_its_superuser_in(target: Cluster):
    with psycopg.connect(target.url()) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("postgres",)


def test_a_cluster_with_a_password_refuses_a_wrong_one(target: Cluster):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(target.url(password="wrong"))


def test_a_cluster_with_a_password_asks_every_login_for_scram(target: Cluster):
    with psycopg.connect(target.url()) as connection:
        methods = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()

    assert methods == [("scram-sha-256",)]


def test_a_cluster_with_a_password_has_no_socket_and_one_local_address(target: Cluster):
    with psycopg.connect(target.url()) as connection:
        row = connection.execute(
            "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')"
        ).fetchone()

    assert row == ("127.0.0.1", "")


def test_the_password_lies_in_no_file_of_the_cluster(target: Cluster):
    holders = [path for path in target.directory.rglob("*") if path.is_file() and "p'ass wörd".encode() in path.read_bytes()]

    assert holders == []
