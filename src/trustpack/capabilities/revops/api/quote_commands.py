"""Routes that change a quote: parse, authorise, open one unit of work, call the use case, present."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import APIRouter, Response

from trustpack.capabilities.policy import DecisionMode
from trustpack.capabilities.revops.api.answering import PREFIX, TAG, AtDesk, AtReadingDesk, Desk, Outcome, answer_with
from trustpack.capabilities.revops.api.links import leading_on, links_of_quote
from trustpack.capabilities.revops.api.quote_answers import ActivationAnswer, ApprovalsPreview, QuoteAnswer, SubmissionAnswer
from trustpack.capabilities.revops.api.quote_shapes import QuoteApproveBody, QuoteBody
from trustpack.capabilities.revops.api.wire import OptionalReasonBody, ReasonBody
from trustpack.capabilities.revops.model import Quote, QuoteMoved
from trustpack.capabilities.revops.service import activating, quotes, reading, submitting, voting
from trustpack.capabilities.revops.service.deciding import PREPARATIONS, Asked, ask_policy
from trustpack.capabilities.revops.service.shapes import QuoteChangeBody
from trustpack.kernel.errors import Refused
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.problems import PROBLEM_RESPONSES
from trustpack.platform.web.routing import StrictRoute

router = APIRouter(prefix=PREFIX, tags=[TAG], route_class=StrictRoute, responses=PROBLEM_RESPONSES)
_LEADING_ON = leading_on(200, links=links_of_quote())
_CREATED = leading_on(201, links=links_of_quote())


@router.post("/quotes", status_code=201, response_model=QuoteAnswer, responses=_CREATED, summary="Write a quote")
async def create_quote(body: QuoteBody, desk: AtDesk) -> Response:
    """Write a quote as a draft, priced exactly."""

    async def work(tx: Transaction) -> Outcome:
        quote = await quotes.create_quote(
            tx, desk.actor, opportunity_id=body.opportunity_id, written=body.to_written(), title=body.title
        )
        return await _shown(tx, quote, HTTPStatus.CREATED)

    return await desk.decide(work)


@router.patch("/quotes/{quote_id}", response_model=QuoteAnswer, responses=_LEADING_ON, summary="Change a quote")
async def change_quote(quote_id: str, body: QuoteChangeBody, desk: AtReadingDesk) -> Response:
    """Other terms make a new revision, which voids approvals; another title alone keeps them."""
    written = body.terms.to_written() if body.terms is not None else None
    has_title = "title" in body.model_fields_set

    async def work(tx: Transaction) -> Outcome:
        return await _shown(
            tx, await quotes.change_quote(tx, desk.actor, quote_id, written=written, title=body.title, has_title=has_title)
        )

    return await desk.decide(work)


@router.post(
    "/quotes/{quote_id}/clone",
    status_code=201,
    response_model=QuoteAnswer,
    responses=_CREATED,
    summary="Copy a quote into a new draft",
)
async def clone_quote(quote_id: str, desk: AtDesk) -> Response:
    """Copy the terms; no approval comes along."""

    async def work(tx: Transaction) -> Outcome:
        return await _shown(tx, await quotes.clone_quote(tx, desk.actor, quote_id), HTTPStatus.CREATED)

    return await desk.decide(work)


@router.post("/quotes/{quote_id}/preview-approvals", response_model=ApprovalsPreview, summary="Say what submitting would need")
async def preview_approvals(quote_id: str, desk: AtDesk) -> Response:
    """Answer which approvals would be needed, why, and who could give them; that somebody asked is recorded."""
    if (kept := await desk.kept()) is not None:
        return answer_with(kept)
    asked = await ask_policy(desk.revops, desk.actor, quote_id, action="submit", mode=DecisionMode.PREVIEW)

    async def work(tx: Transaction) -> Outcome:
        outcome = await submitting.preview(tx, desk.actor, asked)
        return outcome if isinstance(outcome, Refused) else (HTTPStatus.OK, outcome)

    return await desk.decide(work)


@router.post(
    "/quotes/{quote_id}/submit-for-approval",
    response_model=SubmissionAnswer,
    responses=_LEADING_ON,
    summary="Ask for the approvals",
)
async def submit_quote(quote_id: str, desk: AtDesk) -> Response:
    """Put the quote to policy and begin to wait for the approvals that it asks for."""
    return await _decide_with_policy(
        desk,
        quote_id,
        "submit",
        lambda tx, asked: submitting.submit(tx, desk.revops, desk.actor, asked),
        reading.present_submission,
    )


@router.post(
    "/quotes/{quote_id}/approve",
    response_model=QuoteAnswer,
    responses=_LEADING_ON,
    summary="Vote yes on exactly the terms that were shown",
)
async def approve_quote(quote_id: str, body: QuoteApproveBody, desk: AtDesk) -> Response:
    """Record one person's yes; the quote is approved once different people fill every required role."""

    async def work(tx: Transaction) -> Outcome:
        outcome = await voting.approve(
            tx, desk.revops, desk.actor, quote_id, digest=body.terms_digest, comment=body.comment, role=body.role
        )
        return await _shown(tx, outcome)

    return await desk.decide(work)


@router.post(
    "/quotes/{quote_id}/reject", response_model=QuoteAnswer, responses=_LEADING_ON, summary="Vote no, which ends the submission"
)
async def reject_quote(quote_id: str, body: ReasonBody, desk: AtDesk) -> Response:
    """End the submission with one person's no."""

    async def work(tx: Transaction) -> Outcome:
        return await _shown(tx, await voting.reject(tx, desk.actor, quote_id, reason=body.reason))

    return await desk.decide(work)


@router.post(
    "/quotes/{quote_id}/recall", response_model=QuoteAnswer, responses=_LEADING_ON, summary="Take a submitted quote back"
)
async def recall_quote(quote_id: str, desk: AtDesk, body: OptionalReasonBody | None = None) -> Response:
    """Take a submitted or approved quote back; it can be revised and submitted again."""
    reason = body.reason if body is not None else None

    async def work(tx: Transaction) -> Outcome:
        return await _shown(tx, await quotes.recall_quote(tx, desk.actor, quote_id, reason=reason))

    return await desk.decide(work)


@router.post(
    "/quotes/{quote_id}/activate",
    response_model=ActivationAnswer,
    responses=leading_on(200, links=links_of_quote("/quote")),
    summary="Make the contract",
)
async def activate_quote(quote_id: str, desk: AtDesk) -> Response:
    """Ask policy once more and make the contract of the approved terms."""
    return await _decide_with_policy(
        desk,
        quote_id,
        "activate",
        lambda tx, asked: activating.activate(tx, desk.actor, asked),
        reading.present_activation,
    )


async def _decide_with_policy(
    desk: Desk,
    quote_id: str,
    action: str,
    act: Callable[[Transaction, Asked], Awaitable[Quote | Refused | None]],
    show: Callable[[reading.QuoteView], JsonObject],
) -> Response:
    """Ask policy outside a transaction, then act inside one; again, as long as the quote moves in between."""
    for _ in range(PREPARATIONS):
        if (kept := await desk.kept()) is not None:
            return answer_with(kept)
        asked = await ask_policy(desk.revops, desk.actor, quote_id, action=action, mode=DecisionMode.ENFORCE)

        async def work(tx: Transaction, asked: Asked = asked) -> Outcome:
            outcome = await act(tx, asked)
            if outcome is None:
                raise QuoteMoved
            return await _shown(tx, outcome, show=show)

        try:
            return await desk.decide(work)
        except QuoteMoved:
            continue
    raise QuoteMoved


async def _shown(
    tx: Transaction,
    outcome: Quote | Refused,
    status: int = HTTPStatus.OK,
    show: Callable[[reading.QuoteView], JsonObject] = reading.present,
) -> Outcome:
    if isinstance(outcome, Refused):
        return outcome
    return status, show(await reading.view_of(tx, outcome))
