"""Named points between every two steps of the flow, at any of which the server can be made to die.

The points are put around the doors through which the flow reaches store, target and client, in the process that a test starts
(`tests/support/zygote.py`): the product knows nothing of them. A point is named after the job that is being done, if any, the
two innermost functions of the product that are at work, and the step that is about to be taken; a step is the statement, call or
answer that comes next, so that a point before each, and one after the last, lie between every two.

Whether workers look after the targets by themselves, when they start and each minute, is for the test to say as well.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final

from wasmtime import Config, Engine, Module

import trustpack
from trustpack.app import server
from trustpack.app.bootstrap import policy_directory
from trustpack.capabilities.operations.adapters.postgres import adapter, revert
from trustpack.capabilities.operations.adapters.postgres.idle_sessions import IdleSessions
from trustpack.capabilities.operations.adapters.postgres.session import TargetSession
from trustpack.capabilities.policy.adapters import wasm
from trustpack.platform.jobs import Job, JobRunner, Worker
from trustpack.platform.settings import Settings
from trustpack.platform.unit_of_work import Transaction, UnitOfWork

SOURCE = Path(trustpack.__file__).parent
STATEMENTS = ("fetch_one", "fetch_all", "write", "flush")
PASSED_THROUGH = frozenset(
    {
        "PostgresTargetAdapter._session",
        "RevertRun._call",
        "TargetSession.call",
        "TargetSession.renew",
        "UnitOfWork.transaction",
        "_connect",
        "open_session",
    }
)
"""Functions that only hand a step on: the point is named after whoever asked for it."""
_RECORD_BYTES = 512
_job_kind: Final[ContextVar[str]] = ContextVar("_job_kind", default="")


@dataclass(frozen=True, slots=True)
class Crossing:
    """One point that a server has come by, and the line of the product that it lies on."""

    point: str
    path: str
    line: int

    def is_of_job(self, kind: str) -> bool:
        """Say whether it lies in the work of a job of this kind."""
        return self.point.startswith(f"{kind} | ")

    @property
    def is_of_renewal(self) -> bool:
        """Say whether a lease is renewed there, which only work that takes long comes by."""
        return "JobRunner._keep_lease" in self.point


@dataclass(frozen=True, slots=True)
class Wire:
    """How a test tells running servers where to die or that they shall note every point; a directory that both can reach."""

    directory: Path

    @property
    def orders(self) -> Path:
        return self.directory / "crash-orders"

    @property
    def notes(self) -> Path:
        return self.directory / "crash-notes"

    @property
    def watch(self) -> Path:
        return self.directory / "crash-watch"

    @property
    def compiled_policies(self) -> Path:
        return self.directory / "compiled-policies"

    def lay(self) -> None:
        """Make the files, without any order."""
        self.release()
        self.notes.touch()
        self.watch.touch()

    def kill_at(self, point: str, *, occurrence: int = 1) -> None:
        """Have the first process that comes by this point for the given time from now on die there."""
        self._order(f"kill\t{occurrence}\t{point}")

    def note_points(self) -> None:
        """Have every point noted from now on."""
        self._order("note")

    def release(self) -> None:
        """Take the order back."""
        self._order("")

    def take_notes(self) -> list[Crossing]:
        """Return the points that were noted since the last call, in order."""
        lines = self.notes.read_text(encoding="utf-8").splitlines()
        os.truncate(self.notes, 0)
        fields = (line.split("\t") for line in lines)
        return [Crossing(point, path, int(line)) for point, path, line in fields]

    def _order(self, text: str) -> None:
        # One write of one size: a reader sees the old order or the new one, never a mixture.
        descriptor = os.open(self.orders, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, text.encode().ljust(_RECORD_BYTES), 0)
        finally:
            os.close(descriptor)


class Sentry:
    """Stands at every point of one process and does as the wire says."""

    def __init__(self, wire: Wire) -> None:
        self._orders = os.open(wire.orders, os.O_RDONLY)
        self._notes = os.open(wire.notes, os.O_WRONLY | os.O_APPEND)
        self._order = b""
        self._seen: Counter[str] = Counter()

    def come_by(self, step: str) -> None:
        """Note the point before this step, or die there."""
        order = os.pread(self._orders, _RECORD_BYTES, 0).rstrip()
        if order != self._order:
            self._order = order
            self._seen.clear()
        if not order:
            return
        crossing = _crossing(step)
        verb, *wanted = order.decode().split("\t")
        self._seen[crossing.point] += 1
        is_last = verb == "kill" and wanted == [str(self._seen[crossing.point]), crossing.point]
        if verb == "note" or is_last:
            os.write(self._notes, f"{crossing.point}\t{crossing.path}\t{crossing.line}\n".encode())
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)


def _crossing(step: str) -> Crossing:
    """Name the point by whoever of the product asked for the step."""
    names: list[str] = []
    path, line = "", 0
    frame = sys._getframe(1)
    while frame is not None and len(names) < 2:
        code = frame.f_code
        if code.co_filename.startswith(f"{SOURCE}/") and code.co_qualname not in PASSED_THROUGH:
            where = Path(code.co_filename).relative_to(SOURCE)
            if not names:
                path, line = str(where), frame.f_lineno
            names.append(f"{where.with_suffix('').as_posix().replace('/', '.')}.{code.co_qualname}")
        frame = frame.f_back
    shown = " > ".join(name.removeprefix("capabilities.") for name in reversed(names))
    job = f"{kind} | " if (kind := _job_kind.get()) else ""
    return Crossing(f"{job}{shown}: {step}", path, line)


def keep_compiled_policies(wire: Wire) -> None:
    """Compile the policies once, for every server to come: it is most of what a start takes."""
    config = Config()
    config.epoch_interruption = True
    engine = Engine(config)
    wire.compiled_policies.mkdir(exist_ok=True)
    for path in policy_directory(Settings(_env_file=None)).glob("*.wasm"):
        source = path.read_bytes()
        (wire.compiled_policies / _name_of(source)).write_bytes(Module(engine, source).serialize())


def _name_of(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()


def install(wire: Wire) -> None:
    """Put a sentry at every door of this process; nothing of the product is at work in it yet."""
    compiled = {path.name: path.read_bytes() for path in wire.compiled_policies.iterdir()}
    wasm.Module = lambda engine, source: Module.deserialize(engine, compiled[_name_of(source)])
    come_by = Sentry(wire).come_by
    for name in STATEMENTS:
        setattr(Transaction, name, _watched(getattr(Transaction, name), lambda _, name=name: come_by(name)))
    UnitOfWork.call = _watched(UnitOfWork.call, lambda _: come_by("call"))
    UnitOfWork.transaction = _watched_transaction(UnitOfWork.transaction, come_by)
    TargetSession.call = _watched(TargetSession.call, lambda arguments: come_by(f"call {arguments[1]}"))
    adapter.open_session = _watched_session(adapter.open_session, come_by)
    IdleSessions.session = _watched_session(IdleSessions.session, come_by)
    revert.attempt_login = _watched(revert.attempt_login, lambda _: come_by("attempt_login"))
    server.build_app = _watched_app(server.build_app, come_by)
    JobRunner.run = _named_after_job(JobRunner.run)
    Worker._tick_if_due = _only_while_watching(Worker._tick_if_due, wire)


def _named_after_job(run: Any) -> Any:
    @wraps(run)
    async def named(runner: JobRunner, job: Job) -> None:
        token = _job_kind.set(job.kind)
        try:
            await run(runner, job)
        finally:
            _job_kind.reset(token)

    return named


def _only_while_watching(tick: Any, wire: Wire) -> Any:
    @wraps(tick)
    async def gated(worker: Any) -> None:
        if wire.watch.exists():
            await tick(worker)
        else:
            worker._ticked_at = None

    return gated


def _watched(step: Callable[..., Awaitable[Any]], come_by: Callable[[tuple[Any, ...]], None]) -> Any:
    @wraps(step)
    async def watched(*arguments: Any, **named: Any) -> Any:
        come_by(arguments)
        return await step(*arguments, **named)

    return watched


def _watched_transaction(transaction: Any, come_by: Callable[[str], None]) -> Any:
    @asynccontextmanager
    async def watched(*arguments: Any, **named: Any) -> Any:
        come_by("begin")
        async with transaction(*arguments, **named) as tx:
            yield tx
            come_by("commit")
        come_by("committed")

    return watched


def _watched_session(open_session: Any, come_by: Callable[[str], None]) -> Any:
    @asynccontextmanager
    async def watched(*arguments: Any, **named: Any) -> Any:
        come_by("connect")
        async with open_session(*arguments, **named) as session:
            yield session
            come_by("disconnect")

    return watched


def _watched_app(build_app: Any, come_by: Callable[[str], None]) -> Any:
    def build(*arguments: Any, **named: Any) -> Any:
        app = build_app(*arguments, **named)

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            async def watched(message: Any) -> None:
                if message["type"] == "http.response.start":
                    come_by("answer")
                await send(message)
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    come_by("answered")

            await app(scope, receive, watched if scope["type"] == "http" else send)

        # The server ends the application's streams before it stops.
        answer.state = app.state
        return answer

    return build
