"""Load one HTTP server with closed loops over keep-alive connections; run as a process of its own, cheap enough not to matter.

    python bench/http_load.py < plan.json > outcome.json

Each connection sends its requests one after the other, the next when the last is answered. Requests are ready-made bytes and of
an answer only the status and the length are read, so that one request costs the client some 30 microseconds. Durations within
the warm-up are not counted; statuses always are, so that whoever asked can compare them with what was stored.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any, Final, cast

import uvloop
from latencies import Quantiles, quantiles_of

_END_OF_HEAD: Final = b"\r\n\r\n"
_CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_STATUS: Final = slice(9, 12)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send: one list of requests per connection, sent once, or again and again for `seconds` after the warm-up.

    With `pace_seconds` the connections take turns and no request is sent before its turn, which comes once in that time.
    """

    port: int
    connections: tuple[tuple[str, ...], ...]
    warm_up_seconds: float = 0
    seconds: float | None = None
    pace_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back. `statuses` counts every answer; `answers`, `seconds` and `durations` are of the measured time alone."""

    statuses: dict[str, int]
    answers: int
    seconds: float
    durations: Quantiles
    client_cpu_seconds: float

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds

    def require_only(self, *expected: int) -> int:
        """Return how many answers there were; end the program if one of them had another status."""
        if not self.statuses.keys() <= {str(status) for status in expected}:
            raise SystemExit(f"every answer should have been {' or '.join(map(str, expected))}, but: {self.statuses}")
        return sum(self.statuses.values())


def apply_load(plan: Plan) -> Outcome:
    """Carry the plan out in a process of its own and return what came back."""
    finished = subprocess.run(
        (sys.executable, str(Path(__file__).resolve())),
        input=json.dumps(asdict(plan)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    outcome: dict[str, Any] = json.loads(finished.stdout)
    return Outcome(**{**outcome, "durations": Quantiles(**outcome["durations"])})


def http_request(path: str, *, token: str, body: object) -> str:
    """Return the text of one POST request with a JSON body."""
    content = json.dumps(body)
    head = f"{_head('POST', path, token)}Content-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content.encode())}\r\n\r\n{content}"


def http_read(path: str, *, token: str) -> str:
    """Return the text of one GET request."""
    return f"{_head('GET', path, token)}\r\n"


def _head(method: str, path: str, token: str) -> str:
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"


class _ClosedLoop(asyncio.Protocol):
    """One connection: its requests, and when each was answered and how long it took."""

    def __init__(self, requests: Iterator[bytes], *, deadline: float | None, turns: Iterator[float]) -> None:
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self.answered: list[tuple[float, float]] = []
        self.statuses: Counter[str] = Counter()
        self._requests = requests
        self._deadline = deadline
        self._turns = turns
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # by what it can do; uvloop's own class is not derived from it
        self._await_turn()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end_of_head = self._received.find(_END_OF_HEAD)
        if end_of_head < 0:
            return
        length = _CONTENT_LENGTH.search(self._received, 0, end_of_head)
        if length is None:
            self._fail("an answer has no Content-Length")
            return
        if len(self._received) < end_of_head + len(_END_OF_HEAD) + int(length[1]):
            return
        now = time.perf_counter()
        self.answered.append((now, now - self._sent_at))
        self.statuses[self._received[_STATUS].decode()] += 1
        self._received = b""
        self._await_turn()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the server closed a connection")

    def _await_turn(self) -> None:
        pause = next(self._turns) - time.perf_counter()
        if pause > 0:
            self._loop.call_later(pause, self._send_next)
        else:
            self._send_next()

    def _send_next(self) -> None:
        self._sent_at = time.perf_counter()
        request = next(self._requests, None)
        if request is None or (self._deadline is not None and self._sent_at >= self._deadline):
            self.done.set_result(None)
            self._transport.close()
            return
        self._transport.write(request)

    def _fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(reason))


async def _carry_out(plan: Plan) -> Outcome:
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    measured_from = started + plan.warm_up_seconds
    deadline = None if plan.seconds is None else measured_from + plan.seconds

    def requests_of(texts: Sequence[str]) -> Iterator[bytes]:
        once = [text.encode() for text in texts]
        return iter(once) if deadline is None else chain.from_iterable(repeat(once))

    loops = [
        _ClosedLoop(
            requests_of(texts),
            deadline=deadline,
            turns=count(started + number * plan.pace_seconds, len(plan.connections) * plan.pace_seconds),
        )
        for number, texts in enumerate(plan.connections)
    ]
    for closed_loop in loops:
        await loop.create_connection(lambda made=closed_loop: made, "127.0.0.1", plan.port)  # type: ignore[misc]
    await asyncio.gather(*(closed_loop.done for closed_loop in loops))
    # Without a deadline the time ends with the first connection that has nothing left to send: from then on fewer are at work.
    measured_to = deadline or min(closed_loop.answered[-1][0] for closed_loop in loops)
    durations = [
        duration for closed_loop in loops for moment, duration in closed_loop.answered if measured_from <= moment <= measured_to
    ]
    return Outcome(
        statuses=dict(sum((closed_loop.statuses for closed_loop in loops), Counter())),
        answers=len(durations),
        seconds=measured_to - measured_from,
        durations=quantiles_of(durations),
        client_cpu_seconds=time.process_time(),
    )


def main() -> None:
    """Read a plan, carry it out, write the outcome."""
    plan = Plan(**json.load(sys.stdin))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(_carry_out(plan))
    json.dump(asdict(outcome), sys.stdout)


if __name__ == "__main__":
    main()
