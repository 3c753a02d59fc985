"""`/switchboard/security/requests/{id}[/{part}]`: one request beside the list, or the inbox for whoever comes from there."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from trustpack.capabilities.operations.pages.accesses import access_shown
from trustpack.capabilities.operations.pages.details import PARTS, Paths, approvals_shown, detail_of, facts_of, lines_of
from trustpack.capabilities.operations.pages.inbox import PLACE, InboxRow, list_inbox
from trustpack.capabilities.operations.pages.proofs import cancellation_of, proof_shown
from trustpack.capabilities.operations.pages.related import related_shown
from trustpack.capabilities.operations.pages.requests import list_requests
from trustpack.capabilities.operations.pages.views import REQUESTS, Row
from trustpack.capabilities.operations.pages.wording import NAMES_OF_COMMANDS
from trustpack.capabilities.operations.service import reading
from trustpack.capabilities.operations.service.context import Operations
from trustpack.capabilities.operations.service.needing import Approvals, approvals_of
from trustpack.capabilities.operations.service.reading import RequestView
from trustpack.kernel.errors import NotFound, TrustpackError
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import FormReading, Page, ThisPage
from trustpack.platform.web.pages.inboxes import InboxPane, stands_beside
from trustpack.platform.web.pages.panes import ListPane

router = APIRouter(prefix=REQUESTS, include_in_schema=False)
_WITH_PARTS = "operations/request.html"
COMMANDS = frozenset(NAMES_OF_COMMANDS.values())
Ask = Annotated[str, Query(max_length=20)]
Cursor = Annotated[str, Query(max_length=200)]


@router.get("/{request_id}")
async def show_request(page: ThisPage, request_id: str, ask: Ask = "") -> Response:
    """Show one request; with `ask`, the form of a decision stands on the page instead of in a dialog."""
    return await show_one(page, request_id, ask=ask)


@router.get("/{request_id}/{part}")
async def show_part(page: ThisPage, request_id: str, part: str, ask: Ask = "", statements: Cursor = "") -> Response:
    """Show another part of one request. The address that a form was sent to leads to that form. Raises `NotFound`."""
    if part in COMMANDS:
        return page.go(Paths(f"{REQUESTS}/{request_id}", query_of(page.request)).ask(part))
    if part not in PARTS:
        raise NotFound
    return await show_one(page, request_id, part=part, ask=ask, statements=statements)


async def show_one(
    page: Page,
    request_id: str,
    *,
    part: str = PARTS[0],
    ask: str = "",
    statements: str = "",
    form: FormReading[Any] | None = None,
    refusal: TrustpackError | None = None,
    status: int = HTTPStatus.OK,
    template: str = _WITH_PARTS,
    **values: Any,
) -> Response:
    """Answer with one request beside the list. Raises `NotFound`.

    `form` is what was sent with `ask`, to be corrected or, where `ask` is not theirs to send, taken along; `refusal` is why that
    could not be done.
    """
    operations, actor = operations_of(page.request), page.viewer.actor
    async with operations.unit_of_work.transaction(actor.tenant_id, consistent=True) as tx:
        view = await reading.read_request(tx, actor, request_id)
        needed = await approvals_of(tx, operations, actor, view.request, view.votes)
        one = detail_of(view, needed, actor, now=tx.now)
        listed, beside = await _beside(page, tx)
        paths = Paths(one.path, listed.query)
        shown = await _part_of(page, tx, view, needed, paths, part=part, statements=statements) if template == _WITH_PARTS else {}
    return await page.show(
        template,
        status=status,
        view=listed,
        current=one.id,
        one=one,
        part=part,
        parts=PARTS,
        ask=ask if ask in one.options else "",
        refused_ask=ask if ask in COMMANDS and ask not in one.options else "",
        reading=form,
        refusal=refusal,
        paths=paths,
        back_path=listed.back_path,
        **beside,
        **shown,
        **values,
    )


def query_of(request: Request) -> str:
    """Return what the address says of the list, to stand after another path: addresses of forms say nothing else."""
    return f"?{request.url.query}" if request.url.query else ""


def operations_of(request: Request) -> Operations:
    """Return the collaborators of the flow."""
    found: Operations = request.app.state.operations
    return found


async def _beside(page: Page, tx: Transaction) -> tuple[ListPane[Row] | InboxPane[InboxRow], Mapping[str, Any]]:
    if stands_beside(page.request.query_params):
        # The address is the request's, but where the viewer is, is the inbox.
        inbox = await list_inbox(page, tx, operations_of(page.request))
        return inbox, {"beside": "operations/inbox_list.html", "place": PLACE}
    return await list_requests(page, tx), {"beside": "operations/list.html"}


async def _part_of(
    page: Page, tx: Transaction, view: RequestView, needed: Approvals, paths: Paths, *, part: str, statements: str
) -> Mapping[str, Any]:
    actor = page.viewer.actor
    if part == "access":
        return {"shown": await access_shown(tx, actor, view, paths, cursor=statements)}
    if part == "evidence":
        return {"shown": await proof_shown(page, tx, view)}
    if part == "related":
        return {"shown": await related_shown(tx, actor, view)}
    cancellation = await cancellation_of(tx, view) if part == PARTS[0] else None
    return {
        "cancellation": cancellation,
        "facts": facts_of(view),
        "lines": lines_of(view),
        "approvals": approvals_shown(view, needed),
    }
