"""The HTTP routes of policy: decisions, for whoever may read their subject."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query

from trustpack.capabilities.directory import SignedIn
from trustpack.capabilities.policy.rules.answers import present_decision
from trustpack.capabilities.policy.service import decisions_of, find_decision
from trustpack.kernel.actor import Actor
from trustpack.platform.unit_of_work import Transaction, UnitOfWork
from trustpack.platform.web.problems import PROBLEM_RESPONSES

RequireReadable = Callable[[Transaction, Actor, str], Awaitable[object]]
"""Raises `NotFound` unless the actor may read the subject of that id: policy does not know its subjects, their owners do."""


def build_router(unit_of_work: UnitOfWork, require_readable: RequireReadable) -> APIRouter:
    """Return the routes under `/policy`."""
    router = APIRouter(prefix="/policy", tags=["policy"], responses=PROBLEM_RESPONSES)

    @router.get("/decisions/{decision_id}", response_model=dict[str, Any], summary="Read one decision")
    async def read_decision(decision_id: str, actor: SignedIn) -> dict[str, Any]:
        async with unit_of_work.transaction(actor.tenant_id) as tx:
            decision = await find_decision(tx, decision_id)
            await require_readable(tx, actor, decision.subject_id)
        return present_decision(decision)

    @router.get("/decisions", response_model=dict[str, Any], summary="Read the decisions about one subject")
    async def list_decisions(subject: Annotated[str, Query(max_length=64)], actor: SignedIn) -> dict[str, Any]:
        async with unit_of_work.transaction(actor.tenant_id) as tx:
            await require_readable(tx, actor, subject)
            decisions = await decisions_of(tx, subject)
        return {"items": [present_decision(decision) for decision in decisions]}

    return router
