"""How long the server takes for each page of the console, whatever its lists are filtered or sorted by.

The pages are those of the route table. A path's parameters are filled with ids of the tenant, or by the links of pages that were
read before; what nothing leads to is named by the tenant. Every link and every choice of a form that leads to another page of the
table is measured too. Of each page the slowest of all that leads to it is told.
"""

from __future__ import annotations

import asyncio
import gzip
import http.client
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from console_tenant import PEOPLE, ConsoleTenant, counts_of_store
from fastapi.routing import APIRoute, iter_route_contexts
from latencies import quantiles_of
from page_links import addresses_on, shape_of
from progress import Progress
from server_process import ServerProcess, running_server
from store_counts import settle_store
from tables import Table

from trustpack.app.bootstrap import open_container
from trustpack.app.http import build_app
from trustpack.platform.auth.cookies import SESSION_COOKIE
from trustpack.platform.settings import Settings
from trustpack.platform.web.pages.headers import BASE_PATH

_OK: Final = 200
_LOOKS: Final = 3
"""So often each address is read to find the slowest of its page."""
_MOST_ADDRESSES: Final = 24
"""Of one page for one person."""
_FEWEST_READS: Final = 5
_MOST_READS: Final = 60
_AIM_MS: Final = 50.0
_KIBIBYTE: Final = 1024
_FILES: Final = ("/static/", "/export/")
"""No pages: what never changes, and up to ten thousand rows of a list."""
_TIMEOUT_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class PageRoute:
    """A page that the application has, with what tells its addresses from those of others."""

    path: str
    route: APIRoute

    def fits(self, address: str) -> bool:
        return self.route.path_regex.match(urlsplit(address).path) is not None

    @property
    def is_file(self) -> bool:
        return any(part in self.path for part in _FILES)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to a reading browser."""

    status: int
    media_type: str
    body: bytes
    seconds: float

    @property
    def is_page(self) -> bool:
        return self.media_type.startswith("text/html")


@dataclass(slots=True)
class Reader:
    """A browser of one person that only reads."""

    port: int
    session: str
    _connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("localhost", self.port, timeout=_TIMEOUT_SECONDS)

    def read(self, address: str) -> Answer:
        wishes = {"Accept": "text/html", "Accept-Encoding": "gzip", "Sec-Fetch-Site": "same-origin"}
        started = time.perf_counter()
        self._connection.request("GET", address, headers={"Cookie": f"{SESSION_COOKIE}={self.session}", **wishes})
        response = self._connection.getresponse()
        body = response.read()
        seconds = time.perf_counter() - started
        if response.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return Answer(response.status, response.headers.get("content-type", ""), body, seconds)


@dataclass(slots=True)
class Walk:
    """Everything that one person's pages lead to: the median time of each address by page, and what could not be read."""

    reader: Reader
    routes: Sequence[PageRoute]
    medians: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    refused: dict[str, str] = field(default_factory=dict)

    def go(self, seeds: Sequence[str]) -> None:
        """Read the seeds and all that they lead to."""
        waiting, met = deque(seeds), {shape_of(seed) for seed in seeds}
        while waiting:
            address = waiting.popleft()
            page = self._page_at(address)
            if page is None or len(self.medians[page]) >= _MOST_ADDRESSES:
                continue
            for found in self._look_at(page, address):
                if shape_of(found) not in met:
                    met.add(shape_of(found))
                    waiting.append(found)

    def _page_at(self, address: str) -> str | None:
        fitting = next((page for page in self.routes if page.fits(address)), None)
        return fitting.path if fitting is not None and not fitting.is_file else None

    def _look_at(self, page: str, address: str) -> list[str]:
        answer = self.reader.read(address)
        if answer.status != _OK:
            self.refused.setdefault(page, str(answer.status))
            return []
        times = sorted([answer.seconds, *(self.reader.read(address).seconds for _ in range(_LOOKS - 1))])
        self.medians[page][address] = times[len(times) // 2]
        return addresses_on(answer.body.decode(), at=address) if answer.is_page else []


def measure_pages(settings: Settings, tenant: ConsoleTenant, *, seconds: float) -> Table:
    """Read every page as every person, and return the times of the slowest address of each, worst first.

    The slowest is read again for `seconds`, or until it has been read often enough.
    """
    settle_store(settings)
    routes = page_routes(settings)
    seeds = [*tenant.addresses, *(address for page in routes if (address := _filled(page.path, tenant.ids)) is not None)]
    progress = Progress("pages")
    rows: list[tuple[float, tuple[str, ...]]] = []
    unread: dict[str, set[str]] = {page.path: set() for page in routes if not page.is_file}
    with running_server(settings) as server:
        for handle in PEOPLE:
            walk = Walk(Reader(server.port, tenant.sessions[handle]), routes)
            walk.go(seeds)
            for page, reasons in unread.items():
                if medians := walk.medians[page]:
                    rows.append(_row(server, walk.reader, (page, handle), medians, seconds=seconds))
                reasons.add("" if medians else walk.refused.get(page, "nothing leads there"))
            progress.tell(f"{len(rows)} pages, the last as {handle}")
    rows.sort(reverse=True)
    late = sum(p95 > _AIM_MS / 1e3 for p95, _ in rows)
    notes = (
        f"In the store: {counts_of_store(settings)}. One browser; times are from the request to the last byte of the answer.",
        f"Each row is the slowest of up to {_MOST_ADDRESSES} addresses that lead to a page: links, and choices of forms.",
        "Processor: what the server's process alone used for one answer.",
        f"{late} of {len(rows)} rows are above the aim of {_AIM_MS:.0f} ms at p95.",
        *(f"Not measured: `{page}` ({', '.join(sorted(why))})." for page, why in sorted(unread.items()) if "" not in why),
    )
    head = ("page", "as", "slowest at", "addresses", "KiB", "processor ms", "p50 ms", "p95 ms")
    return Table("Pages of the console", head, tuple(row for _, row in rows), notes, text_columns=3)


def page_routes(settings: Settings) -> tuple[PageRoute, ...]:
    """Return the pages and files of the application in the order in which they are tried."""

    async def find() -> tuple[PageRoute, ...]:
        async with open_container(settings) as container:
            app = build_app(container, with_worker=False)
            contexts = [context for context in iter_route_contexts(app.routes) if "GET" in (context.methods or ())]
            streams = app.state.site.events_path
            return tuple(
                PageRoute(context.path, context.original_route)
                for context in contexts
                if isinstance(context.original_route, APIRoute)
                and context.path
                and context.path.startswith(f"{BASE_PATH}/")
                and context.path != streams
            )

    return asyncio.run(find())


def _filled(path: str, ids: dict[str, str]) -> str | None:
    for parameter, known in ids.items():
        path = path.replace(f"{{{parameter}}}", known)
    return None if "{" in path else path


def _row(
    server: ServerProcess, reader: Reader, row: tuple[str, str], medians: dict[str, float], *, seconds: float
) -> tuple[float, tuple[str, ...]]:
    slowest = max(medians, key=lambda address: medians[address])
    before, until = server.cpu_seconds(), time.monotonic() + seconds
    answers = [reader.read(slowest) for _ in range(_FEWEST_READS)]
    while time.monotonic() < until and len(answers) < _MOST_READS:
        answers.append(reader.read(slowest))
    used = (server.cpu_seconds() - before) / len(answers)
    times = quantiles_of([answer.seconds for answer in answers])
    asked = shape_of(slowest).partition("?")[2]
    numbers = (str(len(medians)), f"{len(answers[0].body) / _KIBIBYTE:.0f}", f"{used * 1e3:.1f}", *times.in_ms()[:2])
    return times.p95, (*row, f"{row[0]}?{asked}" if asked else "", *numbers)
