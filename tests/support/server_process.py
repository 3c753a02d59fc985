"""The real server in a process of its own, which a test may kill."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

STARTUP_SECONDS = 180
"""Where much else is done at the same time, a server has taken more than a minute to answer."""
PATIENT = {"TRUSTPACK_POLICY_DEADLINE_MS": "5000"}
"""Policy that answers late on a machine that is busy denies, in every process of ours that a test starts."""
UNLIMITED = {**PATIENT, "TRUSTPACK_TOKEN_REQUESTS_PER_SECOND": "0", "TRUSTPACK_FAILED_SIGN_INS_PER_MINUTE": "0"}
"""A test may send as much as it likes with one token, from one address, on a machine that may be busy."""


@dataclass(slots=True)
class ServerProcess:
    """`trustpack serve` on a data directory. `start` may be called again after `kill`, on the same address."""

    data_dir: Path
    port: int = 0
    more: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until it answers."""
        command = [sys.executable, "-c", "from trustpack.app.cli import main; main()", "serve", "--port", str(self.port)]
        set_here = {"TRUSTPACK_DATA_DIR": str(self.data_dir), "TRUSTPACK_WORKER_POLL_SECONDS": "0.1"}
        environment = {**os.environ, **set_here, **UNLIMITED, **self.more}
        log = (self.data_dir / "server.log").open("ab")
        with log:
            self._process = subprocess.Popen(command, cwd=self.data_dir, env=environment, stdout=log, stderr=log)
        wait_until(self._answers, seconds=STARTUP_SECONDS, what=f"the server to start; see {self.data_dir / 'server.log'}")

    def kill(self) -> None:
        """End it at once, as the kernel does when memory runs out."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the server ended by itself"
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=1).status_code == 200
        except httpx2.TransportError:
            return False


@contextmanager
def server_process(data_dir: Path, **more: str) -> Iterator[ServerProcess]:
    """Have a server process on a free port with `more` in its environment, started by the test; at the end it is killed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        server = ServerProcess(data_dir, probe.getsockname()[1], more)
    try:
        yield server
    finally:
        server.kill()


def wait_until(holds: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Wait for a condition that another process brings about; fail when it does not come in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.02)
