"""The real command in processes of its own: what it prints, how it ends, and which servers it leaves running."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.server_process import PATIENT, ServerProcess, server_process
from trustpack.app.demo.target import DemoTarget
from trustpack.platform.database import embedded_cluster
from trustpack.platform.embedded_postgres import Cluster
from trustpack.platform.settings import Settings

TENANT = "demo-external"
TOKEN = ("token", "create", "--tenant", TENANT, "--user", "user-engineer")
PATIENCE_SECONDS = 180
"""A command makes clusters and migrates them: on a machine that has much else to do it takes the better part of a minute."""
pytestmark = pytest.mark.timeout(3 * PATIENCE_SECONDS)


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRUSTPACK_")}
    return {**inherited, **PATIENT, "TRUSTPACK_DATA_DIR": str(data_dir), **more}


def trustpack(data_dir: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from trustpack.app.cli import main; main()", *arguments],
        cwd=data_dir,
        env=environment(data_dir, **more),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def clusters(data_dir: Path) -> tuple[Cluster, Cluster]:
    settings = Settings(data_dir=data_dir, _env_file=None)
    return embedded_cluster(settings), DemoTarget(settings).cluster


def running(data_dir: Path) -> tuple[bool, bool]:
    store, target = clusters(data_dir)
    return store.is_running(), target.is_running()


@pytest.fixture(scope="module")
def seeded_store() -> Iterator[Path]:
    # Directly under the temporary directory: the unprivileged user of the servers must be able to enter it.
    data_dir = Path(tempfile.mkdtemp(prefix="trustpack-processes-"))
    data_dir.chmod(0o755)
    seeded = trustpack(data_dir, "seed", "--tenant", TENANT)
    assert seeded.returncode == 0, seeded.stderr
    assert running(data_dir) == (False, False), "seed left a server running"
    yield data_dir
    for cluster in clusters(data_dir):
        cluster.stop(mode="immediate")
    shutil.rmtree(data_dir, ignore_errors=True)


@pytest.fixture
def data_dir(seeded_store: Path) -> Path:
    for cluster in clusters(seeded_store):
        cluster.stop()
    return seeded_store


@pytest.fixture
def server(data_dir: Path) -> Iterator[ServerProcess]:
    with server_process(data_dir) as made:
        made.start()
        yield made


def end(server: ServerProcess, signum: signal.Signals) -> int:
    process = server._process
    assert process is not None
    process.send_signal(signum)
    return process.wait(timeout=PATIENCE_SECONDS)


@pytest.mark.slow
def test_the_demo_tells_both_golden_paths_and_leaves_no_database_running(data_dir: Path):
    told = trustpack(data_dir, "demo", "--once")

    assert told.returncode == 0, told.stdout + told.stderr
    assert "ok a new login with the same credentials is refused by the server" in told.stdout
    assert "ok user-ae approved it alone" in told.stdout
    assert "checks, all verified." in told.stdout
    assert running(data_dir) == (False, False)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_ends_well_and_leaves_no_database_running(
    server: ServerProcess, data_dir: Path, signum: signal.Signals
):
    before = running(data_dir)

    code = end(server, signum)

    assert before == (True, True)
    assert code == 0
    assert running(data_dir) == (False, False)


def test_open_streams_end_at_once_when_the_server_is_told_to_stop(data_dir: Path):
    with server_process(data_dir, TRUSTPACK_DEMO_SIGN_IN="true", TRUSTPACK_SHUTDOWN_GRACE_SECONDS="50") as server:
        server.start()
        click = {"tenant": TENANT, "handle": "user-engineer"}
        entered = httpx2.post(f"{server.url}/switchboard/sign-in/demo", data=click, headers={"Sec-Fetch-Site": "same-origin"})
        [cookie] = [line.partition(";")[0] for line in entered.headers.get_list("set-cookie") if "Max-Age=0" not in line]
        with httpx2.stream("GET", f"{server.url}/switchboard/events", headers={"Cookie": cookie}, timeout=60) as stream:
            lines = stream.iter_lines()
            first = next(lines)
            started = time.monotonic()
            code = end(server, signal.SIGTERM)
            rest = list(lines)

    assert first.startswith("retry:")
    assert rest, "the stream ended before it was told to"
    assert code == 0
    assert time.monotonic() - started < 30, "the server waited for its grace to pass"


def test_a_command_beside_a_server_leaves_both_databases_running(server: ServerProcess, data_dir: Path):
    created = trustpack(data_dir, *TOKEN)

    assert created.returncode == 0, created.stderr
    assert running(data_dir) == (True, True)
    assert httpx2.get(f"{server.url}/readyz").json()["checks"]["worker"] == "ok"


def test_after_kill_9_a_new_server_serves_and_stops_the_databases_at_its_end(server: ServerProcess, data_dir: Path):
    server.kill()
    left = running(data_dir)

    server.start()
    code = end(server, signal.SIGTERM)

    assert left == (True, True)
    assert code == 0
    assert running(data_dir) == (False, False)


def test_a_token_is_all_that_is_printed_even_when_the_store_was_killed_just_before(data_dir: Path):
    store, target = clusters(data_dir)
    store.ensure_running()
    postmaster = int((store.data_path / "postmaster.pid").read_text().split("\n", 1)[0])
    os.kill(postmaster, signal.SIGKILL)

    created = trustpack(data_dir, *TOKEN)

    assert created.returncode == 0, created.stderr
    assert len(created.stdout.split()) == 1
    assert "Traceback" not in created.stderr
    assert not store.is_running()
    assert not target.is_running()


@pytest.mark.parametrize(
    ("variables", "arguments", "named"),
    [
        ({"TRUSTPACK_DATABASE_ULR": "x"}, ("migrate",), "TRUSTPACK_DATABASE_ULR"),
        ({"TRUSTPACK_LISTEN": "8000"}, ("migrate",), "TRUSTPACK_LISTEN"),
        ({"TRUSTPACK_DATABASE_URL": "postgresql://o:hunter2@127.0.0.1:1/x"}, ("migrate",), "connection"),
    ],
    ids=["misspelt setting", "wrong setting", "no database"],
)
def test_what_the_user_can_mend_is_told_in_two_lines(
    tmp_path: Path, variables: dict[str, str], arguments: tuple[str, ...], named: str
):
    ended = trustpack(tmp_path, *arguments, **variables)

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert named in ended.stderr
    assert "hunter2" not in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 2


def test_a_broken_bundle_is_told_in_two_lines(data_dir: Path, tmp_path: Path):
    ended = trustpack(data_dir, "serve", "--port", "0", TRUSTPACK_POLICY_DIR=str(tmp_path))

    assert ended.returncode == 2
    assert len(ended.stderr.strip().splitlines()) == 2, ended.stderr
    assert running(data_dir) == (False, False)


def test_migrate_leaves_no_database_running(data_dir: Path):
    migrated = trustpack(data_dir, "migrate")

    assert migrated.returncode == 0
    assert running(data_dir) == (False, False)


def test_a_command_for_the_directory_starts_no_target(server: ServerProcess, data_dir: Path):
    target = clusters(data_dir)[1]
    target.stop()

    created = trustpack(data_dir, *TOKEN)

    assert created.returncode == 0, created.stderr
    assert not target.is_running()
    assert clusters(data_dir)[0].is_running()
