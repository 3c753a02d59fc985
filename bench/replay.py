"""Replay sent statements with pgbench: the ceiling that the product is compared with.

Every statement runs as it was sent, as the application's role, with its parameters sent as parameters. What differs between two
equal cases is made anew per transaction, so that every key, constraint, trigger and deferred check really runs: ids end in a
running number, times move on by as many microseconds, and bodies and digests that hold them are put together by the server, which
costs the ceiling a few microseconds that the product spends in Python (`rebuilding_us` says how many).
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import psycopg
from latencies import Quantiles, quantiles_of
from machine import POSTGRES_PROGRAMS
from sent_statements import SentFlow, SentStatement
from server_process import postgres_cpu_seconds

from trustpack.kernel.clock import format_time
from trustpack.platform.database import APP_ROLE, DATABASE, embedded_cluster
from trustpack.platform.settings import Settings

PROTOCOL: Final = "prepared"
"""As the product's driver does: each connection prepares a statement once and then sends parameters."""
_ID: Final = re.compile(r"\b[a-z]{2,8}_[0-9a-f]{32}\b")
_RUNNING_DIGITS: Final = 12
_CLIENT_SLOTS: Final = 64
_REBUILDS: Final = 1000
_LEAVING_SECONDS: Final = 10
"""How long pgbench's sessions may take to end after it has; their processor time is known for good only then."""
_NUMBERS_OF_A_RUN: Final = 10**8
_NUMBERED: Final = re.compile(r"\$(\d+)")
_TIMES: Final = frozenset({"timestamp with time zone", "timestamp with time zone[]"})
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d [0-9:.]+\+00")
_TIME_FORMAT: Final = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
_SESSION_OPTIONS: Final = "-c lock_timeout=5s -c statement_timeout=15s -c idle_in_transaction_session_timeout=30s -c timezone=UTC"
"""As the product's pool: a time limit arms a timer for every statement."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What pgbench reached: scripts per second, their durations, and PostgreSQL's processor time for one."""

    transactions: int
    per_second: float
    durations: Quantiles
    postgres_cpu_seconds: float


@dataclass(slots=True)
class Replay:
    """The scripts of one flow. Numbers never repeat within one store: each run of scripts takes a fresh `generation`."""

    creation: str
    approvals: str
    variables: dict[str, str]
    rebuilt: tuple[str, ...]
    generation: int = field(default=0)

    def creation_pipelined(self) -> str:
        """Return the script of the creation with all its statements on their way at once."""
        head, *statements = self.creation.split("\n\n")
        return "\n\n".join((head, "\\startpipeline", *statements, "\\endpipeline")) + "\n"


def build_replay(first: SentFlow, second: SentFlow) -> Replay:
    """Return the scripts that send what `first` sent, anew each time; `second` is an equal case and shows what differs."""
    writer = _ScriptWriter(first, second)
    creation = writer.script(first.creation, second.creation)
    approvals = writer.script(first.approvals, second.approvals)
    return Replay(creation, approvals, writer.variables, tuple(writer.rebuilt))


class _ScriptWriter:
    def __init__(self, first: SentFlow, second: SentFlow) -> None:
        sent, sent_again = ("\n".join(_readable_values(flow)) for flow in (first, second))
        made = dict.fromkeys(found for found in _ID.findall(sent) if found not in sent_again)
        self._tokens: dict[str, str] = {}
        self.variables: dict[str, str] = {}
        self.rebuilt: list[str] = []
        for found in made:
            self._tokens[found] = self._id_expression(found)
        for moment in _moments(first, second):
            stored = f"to_char({self._moment(moment)} AT TIME ZONE 'UTC', {self._variable(_TIME_FORMAT)})"
            self._tokens[format_time(datetime.fromisoformat(moment))] = stored
        # In the order of sending, so that a digest is known before a later body names it.
        for statement in (*first.creation, *first.approvals):
            self._learn_digests(statement)

    def script(self, sent: Sequence[SentStatement], sent_again: Sequence[SentStatement]) -> str:
        head = f"\\set n :n + 1\n\\set uid :base + :n * {_CLIENT_SLOTS} + :client_id"
        if [statement.text for statement in sent] != [statement.text for statement in sent_again]:
            raise SystemExit("two equal cases sent different statements")
        written = (self._statement(one, other) for one, other in zip(sent, sent_again, strict=True))
        return "\n\n".join((head, *written)) + "\n"

    def _statement(self, sent: SentStatement, sent_again: SentStatement) -> str:
        expressions = [
            self._parameter(value, other, kind)
            for value, other, kind in zip(sent.values, sent_again.values, sent.types, strict=True)
        ]
        text = " ".join(line.strip() for line in sent.text.strip().splitlines())
        return _NUMBERED.sub(lambda match: expressions[int(match[1]) - 1], text) + ";"

    def _parameter(self, value: str | None, other: str | None, kind: str) -> str:
        if value is None:
            return f"NULL::{kind}"
        if kind in _TIMES and value != other:
            moments = [self._moment(moment) for moment in _TIME.findall(value)]
            return f"ARRAY[{', '.join(moments)}]" if kind.endswith("[]") else moments[0]
        readable = _readable(value, kind)
        if not any(token in readable for token in self._tokens):
            return self._variable(value)
        expression = self._text(readable)
        expression = f"convert_to({expression}, 'UTF8')" if kind == "bytea" else f"({expression})::{kind}"
        self.rebuilt.append(expression)
        return expression

    def _text(self, text: str) -> str:
        pattern = "|".join(re.escape(token) for token in self._tokens)
        parts = [part for part in re.split(f"({pattern})", text) if part]
        return " || ".join(self._tokens.get(part) or self._variable(part) for part in parts)

    def _learn_digests(self, statement: SentStatement) -> None:
        for value, kind in zip(statement.values, statement.types, strict=True):
            if kind != "bytea" or value is None:
                continue
            readable = _readable(value, kind)
            if any(token in readable for token in self._tokens):
                digest = "sha256:" + hashlib.sha256(bytes.fromhex(value[2:])).hexdigest()
                self._tokens.setdefault(
                    digest, f"('sha256:' || encode(sha256(convert_to({self._text(readable)}, 'UTF8')), 'hex'))"
                )

    def _id_expression(self, found: str) -> str:
        return f"({self._variable(found[:-_RUNNING_DIGITS])} || lpad(:uid::text, {_RUNNING_DIGITS}, '0'))"

    def _moment(self, moment: str) -> str:
        return f"({self._variable(moment)}::timestamptz + :uid::float8 * interval '1 microsecond')"

    def _variable(self, value: str) -> str:
        # A variable becomes a parameter of the statement, as the value was one when the product sent it.
        if not value:
            return "''"  # pgbench has no empty variable
        for name, known in self.variables.items():
            if known == value:
                return f":{name}"
        name = f"v{len(self.variables)}"
        self.variables[name] = value
        return f":{name}"


def _moments(first: SentFlow, second: SentFlow) -> Iterator[str]:
    """Yield every time that was sent as a parameter and was another one in the second case."""
    for sent, sent_again in zip((*first.creation, *first.approvals), (*second.creation, *second.approvals), strict=True):
        for value, other, kind in zip(sent.values, sent_again.values, sent.types, strict=True):
            if value is not None and value != other and kind in _TIMES:
                yield from _TIME.findall(value)


def _readable(value: str, kind: str) -> str:
    """Return the value as text in which ids and digests can be found."""
    if kind != "bytea":
        return value
    try:
        return bytes.fromhex(value[2:]).decode()
    except UnicodeDecodeError:
        return value


def _readable_values(flow: SentFlow) -> Iterator[str]:
    for statement in (*flow.creation, *flow.approvals):
        yield from (
            _readable(value, kind) for value, kind in zip(statement.values, statement.types, strict=True) if value is not None
        )


def run_for(settings: Settings, replay: Replay, script: str, *, clients: int, seconds: float) -> Ceiling:
    """Run a script with a number of clients for a time, on numbers that no earlier run used."""
    replay.generation += 1
    return _run(settings, replay, script, clients=clients, length=("--time", str(max(1, round(seconds)))))


def run_times(settings: Settings, replay: Replay, script: str, *, clients: int, times: int, anew: bool) -> Ceiling:
    """Run a script a number of times per client; not `anew`: on the numbers of the run before, to go on with its cases."""
    replay.generation += anew
    return _run(settings, replay, script, clients=clients, length=("--transactions", str(times)))


def _run(settings: Settings, replay: Replay, script: str, *, clients: int, length: tuple[str, str]) -> Ceiling:
    cluster = embedded_cluster(settings)
    directory = settings.data_dir / "pgbench"
    directory.mkdir(exist_ok=True)
    (directory / "script.sql").write_text(script, encoding="utf-8")
    variables = {**replay.variables, "n": "0", "base": str(replay.generation * _NUMBERS_OF_A_RUN)}
    command = [str(POSTGRES_PROGRAMS / "pgbench"), "--no-vacuum", "--exit-on-abort", "--protocol", PROTOCOL, "--file=script.sql"]
    command += ["--host", str(cluster.socket_path), "--port", str(cluster.port), "--username", APP_ROLE]
    command += [
        "--client",
        str(clients),
        "--jobs",
        str(min(clients, os.cpu_count() or 1)),
        *length,
        "--log",
        "--log-prefix=durations",
    ]
    command += [f"--define={name}={value}" for name, value in variables.items()]
    for old in directory.glob("durations.*"):
        old.unlink()
    spent = postgres_cpu_seconds(settings)
    environment = {**os.environ, "PGOPTIONS": _SESSION_OPTIONS}
    finished = subprocess.run((*command, DATABASE), cwd=directory, env=environment, capture_output=True, text=True, check=False)
    _await_end_of_sessions(cluster.url(database=DATABASE))
    spent = postgres_cpu_seconds(settings) - spent
    reached = re.search(r"^tps = ([0-9.]+)", finished.stdout, re.MULTILINE)
    if finished.returncode != 0 or reached is None:
        raise SystemExit(f"pgbench failed:\n{finished.stdout}\n{finished.stderr}")
    # A line of pgbench's log: client, number, microseconds, script, moment.
    durations = [int(line.split()[2]) / 1e6 for log in directory.glob("durations.*") for line in log.open(encoding="ascii")]
    return Ceiling(len(durations), float(reached[1]), quantiles_of(durations), spent / len(durations))


def _await_end_of_sessions(url: str) -> None:
    deadline = time.monotonic() + _LEAVING_SECONDS
    with psycopg.connect(url, autocommit=True) as connection:
        while (
            connection.execute("SELECT FROM pg_stat_activity WHERE application_name = 'pgbench' LIMIT 1").fetchone() is not None
        ):
            if time.monotonic() > deadline:
                raise SystemExit(f"pgbench's sessions did not end within {_LEAVING_SECONDS} s")
            time.sleep(0.02)


def rebuilding_us(replay: Replay, connection: psycopg.Connection) -> float:
    """Return how many microseconds of one creation and its two approvals go into what the server puts together by itself."""
    # Only what depends on a row is computed again for every row; the running number is the row's.
    constants = {"uid": "i", **{name: _literal(value) for name, value in replay.variables.items()}}
    rebuilt = [re.sub(r"(?<!:):([a-z]+\d*)", lambda match: constants[match[1]], text) for text in replay.rebuilt]
    sizes = " + ".join(f"length(({text})::text)" for text in rebuilt)
    started = time.perf_counter()
    query = f"SELECT sum({sizes}) FROM generate_series(1, {_REBUILDS}) AS i"  # noqa: S608 - the text is ours
    connection.execute(query.encode())
    return (time.perf_counter() - started) / _REBUILDS * 1e6


def _literal(value: str) -> str:
    escaped = value.replace("'", "''")
    return f"'{escaped}'::text"
