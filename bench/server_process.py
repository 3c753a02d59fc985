"""The server under test: `trustpack serve` as a process of its own, and what it and PostgreSQL spend of the processors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trustpack.platform.database import embedded_cluster
from trustpack.platform.embedded_postgres import Cluster, free_port
from trustpack.platform.settings import Settings

SERVE: Final = (sys.executable, "-P", "-c", "from trustpack.app.cli import main; main()")
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_START_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server that answers on 127.0.0.1 at `port`."""

    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """Return the processor time that the server has used so far."""
        return _cpu_seconds(self.pid)

    def resident_bytes(self) -> int:
        """Return how much memory the server holds now."""
        pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * _PAGE_BYTES

    def send(self, signum: signal.Signals) -> None:
        """Send a signal to the server."""
        os.kill(self.pid, signum)


@contextmanager
def running_server(settings: Settings, *, command: Sequence[str] = SERVE, with_worker: bool = False) -> Iterator[ServerProcess]:
    """Run `trustpack serve` on a free port, until the block ends; its worker only where it is asked for."""
    port = free_port()
    environment = {
        **os.environ,
        "TRUSTPACK_DATA_DIR": str(settings.data_dir),
        "TRUSTPACK_LOG_LEVEL": settings.log_level,
        "TRUSTPACK_TOKEN_REQUESTS_PER_SECOND": "0",  # one token sends the whole load
    }
    arguments = (*command, "serve", "--worker" if with_worker else "--no-worker", "--port", str(port))
    with subprocess.Popen(arguments, env=environment, cwd=settings.data_dir) as process:
        try:
            _wait_until_ready(process, f"http://127.0.0.1:{port}/readyz")
            yield ServerProcess(process.pid, port)
        finally:
            process.terminate()


def postgres_cpu_seconds(settings: Settings) -> float:
    """Return the processor time that the embedded server has used so far, sessions that ended included."""
    return cluster_cpu_seconds(embedded_cluster(settings))


def cluster_cpu_seconds(cluster: Cluster) -> float:
    """Return the processor time that a PostgreSQL server has used so far, sessions that ended included."""
    pid_file = cluster.data_path / "postmaster.pid"
    postmaster = int(pid_file.read_text(encoding="ascii").splitlines()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split()
    return _cpu_seconds(postmaster, with_ended_children=True) + sum(_cpu_seconds(int(child)) for child in children)


def _cpu_seconds(pid: int, *, with_ended_children: bool = False) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    # proc(5): utime, stime, cutime, cstime are fields 14 to 17; the first of this list is field 3.
    return sum(int(ticks) for ticks in fields[11 : 15 if with_ended_children else 13]) / _TICKS_PER_SECOND


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url):  # noqa: S310 - the address is ours
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise SystemExit("the server did not become ready")
