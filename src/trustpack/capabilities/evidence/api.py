"""The HTTP routes of evidence."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from trustpack.capabilities.directory import SignedIn
from trustpack.capabilities.evidence.service import operation_bundle
from trustpack.platform.web.problems import PROBLEM_RESPONSES
from trustpack.platform.web.routing import Store
from trustpack.proof.canonical import digest_of

router = APIRouter(prefix="/evidence", tags=["evidence"], responses=PROBLEM_RESPONSES)


_HEADERS = {
    name: {"description": description, "required": True, "schema": {"type": "string"}}
    for name, description in {
        "ETag": "The digest of the bundle's bytes.",
        "Content-Disposition": "A file name with the id of the request in it.",
    }.items()
}


@router.get(
    "/high-risk-ops/{request_id}",
    response_model=dict[str, Any],
    responses={200: {"headers": _HEADERS}},
    summary="Download the evidence of one request",
)
async def download_evidence(request_id: str, actor: SignedIn, unit_of_work: Store) -> Response:
    """Return the bundle of a high-risk request: the same bytes as long as the case is unchanged."""
    async with unit_of_work.transaction(actor.tenant_id, consistent=True) as tx:
        content = await operation_bundle(tx, actor, request_id)
    headers = {"Content-Disposition": f'attachment; filename="{request_id}.evidence.json"', "ETag": f'"{digest_of(content)}"'}
    return Response(content, media_type="application/json", headers=headers)
