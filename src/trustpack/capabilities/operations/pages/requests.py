"""`/switchboard/security/requests`: the list of high-risk requests, on its own, beside a request, and as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final, Literal

from fastapi import APIRouter
from starlette.responses import Response

from trustpack.capabilities import directory
from trustpack.capabilities.operations.model import RequestFilter, Status
from trustpack.capabilities.operations.pages.views import NEW, REQUESTS, STATUSES, Row, row_of
from trustpack.capabilities.operations.pages.wording import TYPES
from trustpack.capabilities.operations.service import reading
from trustpack.capabilities.operations.service.reading import RequestView
from trustpack.kernel.actor import Role
from trustpack.kernel.json_types import JsonObject
from trustpack.kernel.keysets import Keyset
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import Page, ThisPage
from trustpack.platform.web.pages.exports import Export, send_export
from trustpack.platform.web.pages.lists import PAGE_SIZE, Key, ListShape, ListState, one_of, read_state
from trustpack.platform.web.pages.panes import Action, Choice, Column, ListPane, Tab
from trustpack.platform.web.routing import Store

router = APIRouter(prefix=REQUESTS, include_in_schema=False)
SHAPE: Final = ListShape(
    REQUESTS, ("show", "status", "type", "target", "requester", "created"), {"created": True, "target": False, "status": False}
)
_ACTIVE: Final = (Status.APPROVED, Status.EXECUTING, Status.ACTIVE, Status.REVERTING, Status.REVERT_FAILED)
_SHOWN: Final = {
    "": tuple(Status),
    "active": _ACTIVE,
    "ended": tuple(status for status in Status if status not in {*_ACTIVE, Status.PENDING_APPROVAL}),
}
_TABS: Final = (
    Tab("All", (("show", ""), ("status", ""))),
    Tab("Active now", (("show", "active"), ("status", ""))),
    Tab("Ended", (("show", "ended"), ("status", ""))),
)
_PERIODS: Final = {
    "24h": ("last 24 hours", 1),
    "7d": ("last 7 days", 7),
    "30d": ("last 30 days", 30),
    "90d": ("last 90 days", 90),
}
_ME: Final = "me"
_COLUMNS: Final = (
    Column("key", "ID"),
    Column("title", "Type"),
    Column("detail", "Target", "target"),
    Column("person", "Requester"),
    Column("status", "Status", "status"),
    Column("when", "Created", "created"),
)
_CELLS: Final = {
    "id": lambda item: item["id"],
    "type": lambda item: item["type"],
    "environment": lambda item: item["environment"],
    "target": lambda item: item["target"]["database"],
    "scope": lambda item: item["target"]["scope"]["tenant"],
    "requester": lambda item: item["requester"]["handle"],
    "status": lambda item: item["status"],
    "ticket": lambda item: item["ticket"],
    "duration_seconds": lambda item: item["duration_seconds"],
    "created_at": lambda item: item["created_at"],
}


@router.get("")
async def show_requests(page: ThisPage, store: Store) -> Response:
    """Show what the viewer may read, as the URL asks for it; a whole id leads to its request."""
    text = read_state(SHAPE, page.request.query_params).text
    async with store.transaction(page.viewer.actor.tenant_id) as tx:
        if text.startswith("hro_"):
            return page.go(f"{REQUESTS}/{(await reading.read_request(tx, page.viewer.actor, text)).request.id}")
        listed = await list_requests(page, tx)
    return await page.show("operations/requests.html", view=listed, current="")


@router.get("/export/{kind}")
async def export_requests(page: ThisPage, store: Store, kind: Literal["csv", "json"]) -> Response:
    """Send what the list shows as a file, with each request as the API shows it."""
    state = read_state(SHAPE, page.request.query_params)
    wanted: RequestFilter | None = None

    async def read(tx: Transaction, keyset: Keyset, limit: int) -> Sequence[tuple[Key, JsonObject]]:
        nonlocal wanted
        wanted = wanted or await _filter_of(page, tx, state)
        views = await reading.list_requests(tx, page.viewer.actor, replace(wanted, keyset=keyset, limit=limit))
        return [(_key(state, view), reading.present(view)) for view in views]

    return await send_export(page, store, state, Export("high-risk-requests", read, _CELLS), kind=kind)


async def list_requests(page: Page, tx: Transaction) -> ListPane[Row]:
    """Return the list as the page's URL asks for it; what the URL says beside is ignored. Raises `InvalidInput`."""
    state = read_state(SHAPE, page.request.query_params)
    wanted = await _filter_of(page, tx, state)
    views = await reading.list_rows(tx, page.viewer.actor, replace(wanted, keyset=state.keyset(), limit=PAGE_SIZE + 1))
    paged = state.page_of(views, lambda view: _key(state, view), size=PAGE_SIZE)
    saved = await directory.saved_views(tx, page.viewer.actor, SHAPE.path)
    return ListPane(
        title="High-risk requests",
        caption="Requests",
        placeholder="Find by id, target, person or ticket…",
        empty=("No requests yet", "What somebody asks for, and what came of it, stands here."),
        state=state,
        saved=tuple((one.name, one.query) for one in saved),
        paged=paged.of(lambda view: row_of(view, state.query)),
        columns=_COLUMNS,
        choices=await _choices(tx, state),
        tabs=_TABS,
        # Whoever asks is decided by policy; here it is only said to those who do.
        actions=(Action("New request", "plus", NEW + state.query),) if Role.ENGINEER in page.viewer.actor.roles else (),
    )


async def _filter_of(page: Page, tx: Transaction, state: ListState) -> RequestFilter:
    asked = state.filters
    shown = [status.value for status in _SHOWN[one_of("view", asked["show"], tuple(_SHOWN)) or ""]]
    status = one_of("status", asked["status"], shown)
    created = one_of("period", asked["created"], tuple(_PERIODS))
    return RequestFilter(
        statuses=(status,) if status else tuple(shown) if asked["show"] else (),
        type=one_of("type", asked["type"], tuple(TYPES)),
        target=asked["target"] or None,
        requester_id=page.viewer.actor.id if asked["requester"] == _ME else asked["requester"] or None,
        created_after=page.site.clock.now() - timedelta(days=_PERIODS[created][1]) if created else None,
        named_by=await reading.named_by(tx, state.text) if state.text else None,
    )


def _key(state: ListState, view: RequestView) -> Key:
    values = {"created": "", "target": view.request.target_name, "status": view.request.status.value}
    return values[state.sort], view.request.id


async def _choices(tx: Transaction, state: ListState) -> tuple[Choice, ...]:
    asked = state.filters
    statuses = {status.value for status in _SHOWN[asked["show"]]}
    targets = await reading.names_of_targets(tx)
    others = {asked["requester"]} - {"", _ME}
    return (
        Choice("status", "Status", tuple(each for each in STATUSES if each[0] in statuses)),
        Choice("type", "Type", tuple(TYPES.items())),
        Choice("target", "Target", tuple((name, name) for name in sorted({*targets, asked["target"]} - {""}))),
        Choice("requester", "Requester", ((_ME, "me"), *((other, other) for other in others))),
        Choice("created", "Created", tuple((period, words) for period, (words, _) in _PERIODS.items())),
    )
