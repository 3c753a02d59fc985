"""What people decide about a request: each form names the digest of what it showed, and nothing else is decided.

What meets another request than the one on the screen leaves no vote and no receipt; the answer shows the difference. Credentials
and the early end are about a live grant, whose effect cannot change any more: no digest holds them up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, TypeVar

from fastapi import APIRouter
from pydantic import Field, StringConstraints
from starlette.responses import Response

from trustpack.capabilities.approvals import AlreadyVoted
from trustpack.capabilities.directory import RecentlySignedIn
from trustpack.capabilities.operations.model import (
    ApprovalsVoid,
    HighRiskRequest,
    Refused,
    StaleDigest,
    WindowClosed,
    WrongState,
)
from trustpack.capabilities.operations.pages.moved import moved_shown, was_done_already
from trustpack.capabilities.operations.pages.one_request import operations_of, query_of, show_one
from trustpack.capabilities.operations.pages.views import REQUESTS, short
from trustpack.capabilities.operations.service import attempting, reading, voting
from trustpack.capabilities.operations.service.context import Operations
from trustpack.capabilities.operations.service.credentials import Credentials
from trustpack.capabilities.operations.service.recording import require_as_shown
from trustpack.kernel.errors import TrustpackError
from trustpack.platform.jobs import JobRunner
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import Form, FormReading, Page, ThisPage
from trustpack.platform.web.problems import OF_NO_OBJECT, STATUS_OF_KIND

router = APIRouter(prefix=REQUESTS, include_in_schema=False)
_SHORTEST_REASON = 8
_MOVED = (StaleDigest, WrongState, WindowClosed, AlreadyVoted, ApprovalsVoid)
Written = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]


class Decision(Form):
    """A decision on what was shown: its digest, and the version that the page was made from, if it says so."""

    digest: str = Field(max_length=200)
    version: int = Field(0, ge=0, le=2**31 - 1)
    text: Written = ""


class Rejection(Decision):
    """A no, which says why."""

    text: Annotated[Written, Field(min_length=_SHORTEST_REASON)]


class Reversal(Decision):
    """The early end of an access, by somebody who says which and why."""

    text: Annotated[Written, Field(min_length=_SHORTEST_REASON)]
    typed_id: str = Field(max_length=200)


class Handing(Decision):
    """Asking for credentials; `rotate` replaces those that were shown before."""

    rotate: bool = False


D = TypeVar("D", bound=Decision)
Vote = Callable[[Transaction, Operations, D], Awaitable[HighRiskRequest | Refused]]


@router.post("/{request_id}/approve")
async def approve(_: RecentlySignedIn, page: ThisPage, request_id: str) -> Response:
    """Vote yes on exactly what was shown."""
    actor = page.viewer.actor
    return await _vote(
        page,
        request_id,
        "approve",
        Decision,
        lambda tx, operations, form: voting.approve(
            tx, operations, actor, request_id, digest=form.digest, comment=form.text or None, role=None
        ),
    )


@router.post("/{request_id}/reject")
async def reject(_: RecentlySignedIn, page: ThisPage, request_id: str) -> Response:
    """Vote no, which ends the request."""
    actor = page.viewer.actor
    return await _vote(
        page,
        request_id,
        "reject",
        Rejection,
        lambda tx, operations, form: voting.reject(tx, operations, actor, request_id, reason=form.text),
    )


@router.post("/{request_id}/cancel")
async def cancel(_: RecentlySignedIn, page: ThisPage, request_id: str) -> Response:
    """Take one's own request back."""
    actor = page.viewer.actor
    return await _vote(
        page,
        request_id,
        "cancel",
        Decision,
        lambda tx, _operations, form: voting.cancel(tx, actor, request_id, reason=form.text or None),
    )


@router.post("/{request_id}/execute")
async def execute(_: RecentlySignedIn, page: ThisPage, request_id: str) -> Response:
    """Carry out exactly what was shown; the request says how it goes."""

    async def work(form: Decision) -> HighRiskRequest | Refused | None:
        call = attempting.SingleCall()
        return await attempting.execute(
            operations_of(page.request), _runner(page), page.viewer.actor, request_id, call, shown_digest=form.digest
        )

    return await _decide(page, request_id, "execute", await page.read(Decision), work)


@router.post("/{request_id}/revert")
async def revert(_: RecentlySignedIn, page: ThisPage, request_id: str) -> Response:
    """End an access now; the request says how it goes."""
    form = await page.read(Reversal)
    if form.form is not None and form.form.typed_id.lower() not in {request_id, short(request_id)}:
        fault = {"typed_id": f"This is another id. Type {short(request_id)}."}
        form = replace(form, errors=fault, form=None)

    async def work(given: Reversal) -> HighRiskRequest | Refused | None:
        call = attempting.SingleCall()
        operations = operations_of(page.request)
        return await attempting.revert(operations, _runner(page), page.viewer.actor, request_id, call, reason=given.text)

    return await _decide(page, request_id, "revert", form, work)


@router.post("/{request_id}/credentials")
async def credentials(_: RecentlySignedIn, page: ThisPage, request_id: str) -> Response:
    """Make credentials and show them this once; they are in no address and in no other answer."""
    form = await page.read(Handing)
    made: list[Credentials] = []

    async def work(given: Handing) -> Refused | None:
        call = attempting.SingleCall()
        operations = operations_of(page.request)
        outcome = await attempting.hand_out_credentials(operations, page.viewer.actor, request_id, call, rotate=given.rotate)
        if isinstance(outcome, Credentials):
            made.append(outcome)
            return None
        return outcome

    answer = await _decide(page, request_id, "credentials", form, work)
    if made:
        return await show_one(page, request_id, template="operations/credentials.html", credentials=made[0])
    return answer


async def _vote(page: Page, request_id: str, command: str, shape: type[D], vote: Vote[D]) -> Response:
    operations, actor = operations_of(page.request), page.viewer.actor

    async def work(form: D) -> HighRiskRequest | Refused:
        async with operations.unit_of_work.transaction(actor.tenant_id) as tx:
            await require_as_shown(tx, actor, request_id, digest=form.digest)
            return await vote(tx, operations, form)

    return await _decide(page, request_id, command, await page.read(shape), work)


async def _decide(
    page: Page,
    request_id: str,
    command: str,
    given: FormReading[D],
    work: Callable[[D], Awaitable[HighRiskRequest | Refused | None]],
) -> Response:
    if given.form is None:
        return await show_one(page, request_id, ask=command, form=given, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        outcome = await work(given.form)
        # Raised only now: the refusal has a receipt of its own, which the transaction keeps.
        if isinstance(outcome, Refused):
            raise outcome.error
    except _MOVED as error:
        return await _show_moved(page, request_id, error, command=command, form=given.form)
    except TrustpackError as error:
        if error.kind in OF_NO_OBJECT:
            raise
        return await show_one(page, request_id, ask=command, form=given, refusal=error, status=STATUS_OF_KIND[error.kind])
    return page.go(f"{REQUESTS}/{request_id}{query_of(page.request)}")


async def _show_moved(page: Page, request_id: str, error: TrustpackError, *, command: str, form: Decision) -> Response:
    actor = page.viewer.actor
    async with operations_of(page.request).unit_of_work.transaction(actor.tenant_id, consistent=True) as tx:
        view = await reading.read_request(tx, actor, request_id)
        receipts = await reading.read_receipts(tx, actor, request_id)
    if was_done_already(receipts, actor, command=command, version=form.version):
        return page.go(f"{REQUESTS}/{request_id}{query_of(page.request)}")
    shown = moved_shown(view, receipts, error, command=command, digest=form.digest, version=form.version, written=form.text)
    return await show_one(page, request_id, status=HTTPStatus.CONFLICT, template="operations/moved.html", moved=shown)


def _runner(page: Page) -> JobRunner:
    found: JobRunner = page.request.app.state.job_runner
    return found
