"""Routes that change something: parse, authorise, open one unit of work, call the use case, present."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response

from trustpack.capabilities.operations.api.answering import PREFIX, TAG, AtDesk, answer_json, answer_with
from trustpack.capabilities.operations.api.links import leading_on, links_of_request
from trustpack.capabilities.operations.api.shapes import (
    ApproveBody,
    CancelBody,
    CredentialsAnswer,
    CredentialsBody,
    RejectBody,
    RequestAnswer,
    RequestBody,
    RevertBody,
)
from trustpack.capabilities.operations.service import attempting, creating, voting
from trustpack.capabilities.operations.service.credentials import Credentials
from trustpack.capabilities.policy import DecisionMode
from trustpack.kernel.clock import format_time
from trustpack.platform.web.problems import PROBLEM_RESPONSES
from trustpack.platform.web.routing import StrictRoute

router = APIRouter(prefix=PREFIX, tags=[TAG], route_class=StrictRoute, responses=PROBLEM_RESPONSES)
_LEADING_ON = leading_on(200, links=links_of_request())
_LEADING_ON_OR_STILL_WORKING: dict[int | str, dict[str, Any]] = {
    **_LEADING_ON,
    202: {
        "model": RequestAnswer,
        "description": "The target is still being worked on; read the request to see how it went",
        "links": links_of_request(),
    },
}


@router.post(
    "/requests",
    status_code=201,
    response_model=RequestAnswer,
    responses=leading_on(201, links=links_of_request()),
    summary="Ask for a high-risk operation",
)
async def create_request(body: RequestBody, desk: AtDesk) -> Response:
    """Put a request to policy and store what came of it."""
    operations, actor = desk.operations, desk.actor
    if (kept := await desk.kept()) is not None:
        return answer_with(kept)
    proposal = await creating.propose(operations, actor, body.to_new_request(), mode=DecisionMode.ENFORCE)
    return await desk.decide(lambda tx: creating.create_request(tx, operations, actor, proposal), status=HTTPStatus.CREATED)


@router.post(
    "/requests/{request_id}/approve",
    response_model=RequestAnswer,
    responses=_LEADING_ON,
    summary="Vote yes on exactly what was shown",
)
async def approve_request(request_id: str, body: ApproveBody, desk: AtDesk) -> Response:
    """Record one person's yes; the request is approved once different people fill every required role."""
    return await desk.decide(
        lambda tx: voting.approve(
            tx,
            desk.operations,
            desk.actor,
            request_id,
            digest=body.effect_digest,
            comment=body.comment,
            role=body.role,
        )
    )


@router.post(
    "/requests/{request_id}/reject",
    response_model=RequestAnswer,
    responses=_LEADING_ON,
    summary="Vote no, which ends the request",
)
async def reject_request(request_id: str, body: RejectBody, desk: AtDesk) -> Response:
    """End a request with one person's no."""
    return await desk.decide(lambda tx: voting.reject(tx, desk.operations, desk.actor, request_id, reason=body.reason))


@router.post(
    "/requests/{request_id}/cancel",
    response_model=RequestAnswer,
    responses=_LEADING_ON,
    summary="Take a request back before execution",
)
async def cancel_request(request_id: str, desk: AtDesk, body: CancelBody | None = None) -> Response:
    """End a request before its execution, by its requester."""
    reason = body.reason if body is not None else None
    return await desk.decide(lambda tx: voting.cancel(tx, desk.actor, request_id, reason=reason))


@router.post(
    "/requests/{request_id}/execute",
    response_model=RequestAnswer,
    responses=_LEADING_ON_OR_STILL_WORKING,
    summary="Carry the approved effect out",
)
async def execute_request(request_id: str, desk: AtDesk) -> Response:
    """Check everything once more, commit the intent, carry it out, and answer with how it went."""
    call = desk.call(request_id)
    return await call.answer(await attempting.execute(desk.operations, desk.runner, desk.actor, request_id, call))


@router.post("/requests/{request_id}/credentials", response_model=CredentialsAnswer, summary="Get credentials, once")
async def issue_credentials(request_id: str, desk: AtDesk, body: CredentialsBody | None = None) -> Response:
    """Make credentials for the active access and show them this once."""
    call = desk.call(request_id)
    rotate = body is not None and body.rotate
    made = await attempting.hand_out_credentials(desk.operations, desk.actor, request_id, call, rotate=rotate)
    if not isinstance(made, Credentials):
        return await call.answer(made)
    return answer_json(
        {
            "host": made.details.host,
            "port": made.details.port,
            "database": made.details.database,
            "user": made.user,
            "password": made.password,
            "uri": made.uri,
            "expires_at": format_time(made.expires_at),
        }
    )


@router.post(
    "/requests/{request_id}/revert",
    response_model=RequestAnswer,
    responses=_LEADING_ON_OR_STILL_WORKING,
    summary="End access early",
)
async def revert_request(request_id: str, body: RevertBody, desk: AtDesk) -> Response:
    """End access now, and answer with the proof or with what stands in its way."""
    call = desk.call(request_id)
    outcome = await attempting.revert(desk.operations, desk.runner, desk.actor, request_id, call, reason=body.reason)
    return await call.answer(outcome)
