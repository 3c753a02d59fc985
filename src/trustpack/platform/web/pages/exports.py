"""A filtered list as a file: read page by page in one moment of the store, and sent while it is read."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

import structlog
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.kernel.json_types import JsonObject
from trustpack.kernel.keysets import Keyset
from trustpack.platform.unit_of_work import Transaction, UnitOfWork
from trustpack.platform.web.pages.lists import Key, ListState
from trustpack.platform.web.pages.page import Page

MOST_ROWS = 10_000
BATCH = 200
MOST_AT_ONCE: Final = 4
MOST_OF_PERSON: Final = 2
LONGEST_SECONDS: Final = 60.0
"""A file that is being sent holds a connection to the store: whoever reads it slowly must not take those of all others."""
MEDIA_TYPES: Mapping[str, str] = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
_BEGINS_A_FORMULA = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")
"""The last four are the first four in full width, which spreadsheets may read alike."""
_log = structlog.get_logger("trustpack.export")
_running: Final[list[tuple[str, str]]] = []

Read = Callable[[Transaction, Keyset, int], Awaitable[Sequence[tuple[Key, JsonObject]]]]
"""Reads so many rows of the list from a place on: each as the API shows it, with its place."""


class TooManyExports(TrustpackError):
    """The person, or the whole process, is sending as many files as it may."""

    kind = ErrorKind.LIMITED
    code = "export.too_many"
    title = "Too many downloads at once"
    detail = "Other lists are still being sent as files."
    next_step = "Wait until they are there, then try again."


@dataclass(frozen=True, slots=True)
class Export:
    """One list as a file. `columns` say what a CSV takes from each item, by the names of its columns."""

    name: str
    read: Read
    columns: Mapping[str, Callable[[JsonObject], object]]


@dataclass(frozen=True, slots=True)
class _Batch:
    items: Sequence[JsonObject]
    is_last: bool
    is_cut: bool


class _Stream(StreamingResponse):
    """Closes what it reads from, also when the reader goes away, or takes too long."""

    def __init__(self, content: AsyncGenerator[str], *, media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(content, media_type=media_type, headers=headers)
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            # A file that is cut so has no end, which every reader notices.
            with suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_SECONDS):
                    await super().__call__(scope, receive, send)
        finally:
            await self._content.aclose()


async def send_export(page: Page, store: UnitOfWork, state: ListState, export: Export, *, kind: str) -> Response:
    """Send the list as "csv" or "json", from its beginning, at most `MOST_ROWS` of it; the log says who took what.

    Raises `TooManyExports`.
    """
    texts = _json_of if kind == "json" else _csv_of
    content = _noted(page, state, kind, texts(_batches(page, store, replace(state, after="", before=""), export), export))
    first = await anext(content)  # what goes wrong before anything is sent becomes a page
    headers = {"Content-Disposition": f'attachment; filename="{export.name}-{page.site.clock.now():%Y-%m-%d}.{kind}"'}
    return _Stream(_resumed(first, content), media_type=MEDIA_TYPES[kind], headers=headers)


def cell_of(value: object) -> str:
    """Return a value as a cell that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_BEGINS_A_FORMULA) else text


async def _batches(page: Page, store: UnitOfWork, state: ListState, export: Export) -> AsyncGenerator[_Batch]:
    keyset, left = state.keyset(), MOST_ROWS
    async with store.transaction(page.viewer.actor.tenant_id, consistent=True) as tx:
        for _ in count():
            size = min(BATCH, left)
            found = await export.read(tx, keyset, size + 1)
            taken, has_more = found[:size], len(found) > size
            left -= len(taken)
            is_last = not (has_more and left)
            yield _Batch([item for _, item in taken], is_last, has_more and not left)
            if is_last:
                return
            keyset = replace(keyset, past=taken[-1][0])


async def _csv_of(batches: AsyncGenerator[_Batch], export: Export) -> AsyncGenerator[tuple[str, int]]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(export.columns)
    async for batch in batches:
        writer.writerows([cell_of(value_of(item)) for value_of in export.columns.values()] for item in batch.items)
        if batch.is_cut:
            writer.writerow([_note()])
        yield text.getvalue(), len(batch.items)
        text.seek(0)
        text.truncate()


async def _json_of(batches: AsyncGenerator[_Batch], _: Export) -> AsyncGenerator[tuple[str, int]]:
    lead = '{"items":['
    async for batch in batches:
        text = lead + ",".join(json.dumps(item, ensure_ascii=False) for item in batch.items)
        lead = "," if batch.items else lead
        end = f'],"truncated":{json.dumps(batch.is_cut)},"note":{json.dumps(_note() if batch.is_cut else None)}}}'
        yield (text + end if batch.is_last else text), len(batch.items)


async def _noted(page: Page, state: ListState, kind: str, texts: AsyncGenerator[tuple[str, int]]) -> AsyncGenerator[str]:
    rows, is_complete, actor = 0, False, page.viewer.actor
    whose = actor.tenant_id, actor.id
    if _running.count(whose) >= MOST_OF_PERSON or len(_running) >= MOST_AT_ONCE:
        raise TooManyExports
    _running.append(whose)
    try:
        async for text, more in texts:
            rows += more
            yield text
        is_complete = True
    finally:
        _running.remove(whose)
        await texts.aclose()
        # Which filters were set, but not what to: people type names into them.
        _log.info(
            "list_exported", tenant_id=actor.tenant_id, person_id=actor.id, list=state.shape.path, format=kind,
            filters=sorted(state.asked), rows=rows, complete=is_complete,
        )  # fmt: skip


async def _resumed(first: str, rest: AsyncGenerator[str]) -> AsyncGenerator[str]:
    try:
        yield first
        async for text in rest:
            yield text
    finally:
        await rest.aclose()


def _note() -> str:
    return f"Cut after {MOST_ROWS:,} rows. Filter the list to get the rest."
