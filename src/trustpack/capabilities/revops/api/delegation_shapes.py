"""What is answered about delegations, for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from trustpack.capabilities.revops.api.wire import PersonAnswer


class DelegationAnswer(BaseModel):
    """A delegation; `in_force` says whether it lends its role today, which also takes a delegator who holds it."""

    id: str
    version: int
    status: str
    in_force: bool
    role: str
    delegator: Annotated[PersonAnswer, Field(alias="from")]
    delegate: Annotated[PersonAnswer, Field(alias="to")]
    from_date: str
    until_date: str
    reason: str | None
    created_by: PersonAnswer
    created_at: str
    ended_at: str | None


class DelegationPage(BaseModel):
    """One page of delegations, newest first; `next_cursor` leads on."""

    items: list[DelegationAnswer]
    next_cursor: str | None
