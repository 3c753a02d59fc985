"""Where the server's processor time goes: samples of the real server under load, by what the time was spent on.

    python bench/time_shares.py SAMPLES.json serve --no-worker --port 8001

runs the command `trustpack` with a sampler in it. A timer interrupts the main thread; each sample counts the processor time that
the thread has used since the last one, so waiting weighs nothing, and goes to the innermost frame of a known package. A call
into C counts for the Python frame that makes it.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

from bench_tenant import BenchTenant
from checked_load import WARM_UP_SECONDS
from http_load import Plan, apply_load
from server_process import postgres_cpu_seconds, running_server
from store_counts import settle_store
from tables import Table

from trustpack.app.cli import main as trustpack
from trustpack.platform.settings import Settings

CLIENTS: Final = 8
_INTERVAL_SECONDS: Final = 0.002
_OWN_CODE: Final = "our own code: routes, use cases, stores"
_LOOP: Final = "event loop, sockets"
_GROUPS: Final = (
    ("driver: psycopg and its pool", ("/psycopg/", "/psycopg_pool/", "/psycopg_binary/")),
    ("FastAPI, Starlette, pydantic", ("/fastapi/", "/starlette/", "/pydantic/", "/pydantic_core/", "/anyio/")),
    ("uvicorn, httptools", ("/uvicorn/", "/httptools/")),
    (
        "policy: limits, schema, hand-over to Wasm",
        ("/capabilities/policy/", "/jsonschema_rs/", "/wasmtime/", "/concurrent/futures/"),
    ),
    ("canonical JSON, hashes", ("/rfc8785/", "/trustpack/proof/")),
    ("logs, metrics", ("/structlog/", "/logging/", "/prometheus_client/", "/platform/telemetry/")),
    (_OWN_CODE, ("/trustpack/",)),
    (_LOOP, ("/asyncio/", "/uvloop/", "/selectors.py")),
)
_OTHER: Final = "other"
_WASM: Final = "policy: Wasm, in threads of its own"


class Sampler:
    """Collects samples of the main thread while it is switched on: SIGUSR1 begins, SIGUSR2 ends."""

    def __init__(self) -> None:
        self.seconds_by_group: defaultdict[str, float] = defaultdict(float)
        self.seconds_by_place: defaultdict[str, float] = defaultdict(float)
        self.other_threads_seconds = 0.0
        self._last = 0.0

    def install(self) -> None:
        """Listen for the signals, on the main thread."""
        signal.signal(signal.SIGUSR1, self._begin)
        signal.signal(signal.SIGUSR2, self._end)
        signal.signal(signal.SIGALRM, self._sample)
        # The web server ends its process by the signal that it was stopped with; this way what was found is still written.
        signal.signal(signal.SIGTERM, _leave)

    def _begin(self, _: int, __: FrameType | None) -> None:
        self._last = time.thread_time()
        self.other_threads_seconds -= time.process_time() - self._last
        signal.setitimer(signal.ITIMER_REAL, _INTERVAL_SECONDS, _INTERVAL_SECONDS)

    def _end(self, _: int, __: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.other_threads_seconds += time.process_time() - time.thread_time()

    def _sample(self, _: int, frame: FrameType | None) -> None:
        now = time.thread_time()
        spent, self._last = now - self._last, now
        group, place = _attribute(frame)
        self.seconds_by_group[group] += spent
        self.seconds_by_place[f"{group}: {place}"] += spent


def _leave(_: int, __: FrameType | None) -> NoReturn:
    sys.exit(0)


def _attribute(frame: FrameType | None) -> tuple[str, str]:
    """Return the group and the function of the innermost frame that belongs to one; the standard library is its caller's."""
    for inner in _outwards(frame):
        path = inner.f_code.co_filename
        for group, parts in _GROUPS:
            if any(part in path for part in parts):
                return group, f"{Path(path).name}:{inner.f_code.co_qualname}"
    return _OTHER, "(none)"


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def measure_shares(settings: Settings, tenant: BenchTenant, *, seconds: float, places: int = 0) -> Table:
    """Load a sampled server with creations and return what its time went to; with `places` also the costliest functions."""
    samples = settings.data_dir / "samples.json"
    settle_store(settings)
    with running_server(settings, command=(sys.executable, str(Path(__file__).resolve()), str(samples))) as server:
        plan = Plan(port=server.port, connections=((tenant.asking(),),) * CLIENTS, warm_up_seconds=0, seconds=WARM_UP_SECONDS)
        apply_load(plan).require_only(201)
        server.send(signal.SIGUSR1)
        before = (server.cpu_seconds(), postgres_cpu_seconds(settings))
        outcome = apply_load(Plan(port=plan.port, connections=plan.connections, warm_up_seconds=0, seconds=seconds))
        spent = (server.cpu_seconds() - before[0], postgres_cpu_seconds(settings) - before[1])
        server.send(signal.SIGUSR2)
    answers = outcome.require_only(201)
    found: dict[str, Any] = json.loads(samples.read_text(encoding="utf-8"))
    groups = Counter(found["groups"])
    groups[_WASM] = found["other_threads"]
    total = groups.total()
    rows = [(name, f"{part / answers * 1e6:.0f}", f"{part / total:.0%}") for name, part in groups.most_common()]
    rows += [(f"  {place}", f"{part / answers * 1e6:.0f}", "") for place, part in Counter(found["places"]).most_common(places)]
    return Table(
        "Where the server's time goes: POST /requests",
        ("what", "us per request", "share"),
        tuple(rows),
        (
            f"{CLIENTS} clients, {outcome.per_second:.0f} requests per second, sampled every {_INTERVAL_SECONDS * 1e3:.0f} ms.",
            (
                f"Processor time per request: server {spent[0] / answers * 1e6:.0f} us,"
                f" PostgreSQL {spent[1] / answers * 1e6:.0f} us, load {outcome.client_cpu_seconds / answers * 1e6:.0f} us."
            ),
        ),
    )


def main() -> None:
    """Run `trustpack` with the sampler in it and write what it found."""
    samples = Path(sys.argv[1])
    sys.argv = ["trustpack", *sys.argv[2:]]
    sampler = Sampler()
    sampler.install()
    try:
        trustpack()
    finally:
        found = {
            "groups": sampler.seconds_by_group,
            "places": sampler.seconds_by_place,
            "other_threads": sampler.other_threads_seconds,
        }
        samples.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
