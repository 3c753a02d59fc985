"""The HTTP routes of evidence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Response

from trustpack.capabilities.directory import SignedIn
from trustpack.capabilities.evidence.service import deal_bundle, operation_bundle
from trustpack.kernel.actor import Actor
from trustpack.platform.unit_of_work import Transaction, UnitOfWork
from trustpack.platform.web.problems import PROBLEM_RESPONSES
from trustpack.platform.web.routing import Store
from trustpack.proof.canonical import digest_of

router = APIRouter(prefix="/evidence", tags=["evidence"], responses=PROBLEM_RESPONSES)


_HEADERS = {
    name: {"description": description, "required": True, "schema": {"type": "string"}}
    for name, description in {
        "ETag": "The digest of the bundle's bytes.",
        "Content-Disposition": "A file name with the id of the case in it.",
    }.items()
}
_DOWNLOAD: dict[int | str, dict[str, Any]] = {200: {"headers": _HEADERS}}


@router.get(
    "/high-risk-ops/{request_id}",
    response_model=dict[str, Any],
    responses=_DOWNLOAD,
    summary="Download the evidence of one request",
)
async def download_evidence(request_id: str, actor: SignedIn, unit_of_work: Store) -> Response:
    """Return the bundle of a high-risk request: the same bytes as long as the case is unchanged."""
    return await _download(unit_of_work, actor, request_id, operation_bundle)


@router.get(
    "/revops/deals/{deal_id}",
    response_model=dict[str, Any],
    responses=_DOWNLOAD,
    summary="Download the evidence of one deal, by opportunity or by quote",
)
async def download_deal_evidence(deal_id: str, actor: SignedIn, unit_of_work: Store) -> Response:
    """Return the bundle of an opportunity with all its quotes, or of one quote: the same bytes as long as it is unchanged."""
    return await _download(unit_of_work, actor, deal_id, deal_bundle)


async def _download(
    unit_of_work: UnitOfWork, actor: Actor, case_id: str, bundle_of: Callable[[Transaction, Actor, str], Awaitable[bytes]]
) -> Response:
    async with unit_of_work.transaction(actor.tenant_id, consistent=True) as tx:
        content = await bundle_of(tx, actor, case_id)
    headers = {"Content-Disposition": f'attachment; filename="{case_id}.evidence.json"', "ETag": f'"{digest_of(content)}"'}
    return Response(content, media_type="application/json", headers=headers)
