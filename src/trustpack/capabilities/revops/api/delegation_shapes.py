"""What goes over the wire about delegations: the body, strictly, and the shape of answers for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from trustpack.capabilities.revops.api.wire import PersonAnswer, Text
from trustpack.capabilities.revops.model import WrittenDelegation
from trustpack.capabilities.revops.service.shapes import Day
from trustpack.kernel.actor import Role
from trustpack.platform.web.routing import Body

PersonName = Annotated[str, StringConstraints(pattern=r"^(usr_[0-9a-f]{32}|[a-z][a-z0-9-]{1,39})$")]
"""A person's id or handle."""


class DelegationBody(Body):
    """A role to lend; administrators may name in `from` whose it is."""

    role: Literal["manager", "finance"]
    delegator: Annotated[PersonName | None, Field(alias="from")] = None
    delegate: Annotated[PersonName, Field(alias="to")]
    from_date: Day
    until_date: Day
    reason: Text

    def to_written(self) -> WrittenDelegation:
        """Return the delegation as the rules read it."""
        return WrittenDelegation(
            role=Role(self.role),
            delegator=self.delegator,
            delegate=self.delegate,
            from_date=self.from_date,
            until_date=self.until_date,
            reason=self.reason,
        )


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
