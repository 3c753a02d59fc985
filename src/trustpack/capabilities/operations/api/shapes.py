"""What goes over the wire: request bodies, strictly, and the shape of answers for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from trustpack.capabilities.operations.model import NewRequest, RecordMode
from trustpack.capabilities.operations.rules import texts
from trustpack.kernel.actor import Role
from trustpack.platform.web.routing import Body

Name = Annotated[str, StringConstraints(min_length=1, max_length=texts.LONGEST_NAME, pattern=texts.NAME)]
ScopeValue = Annotated[str, StringConstraints(min_length=1, max_length=texts.LONGEST_SCOPE, pattern=texts.ONE_VISIBLE_LINE)]
Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=texts.JUSTIFICATION_BYTES, strip_whitespace=True, pattern=texts.SOMETHING_VISIBLE),
    AfterValidator(texts.within_bytes),
]
Ticket = Annotated[str, StringConstraints(min_length=1, max_length=texts.LONGEST_TICKET, pattern=texts.TICKET)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Duration = Annotated[int, Field(gt=0, le=texts.LONGEST_DURATION_SECONDS)]


class _Scope(Body):
    tenant: ScopeValue


class _TargetChoice(Body):
    database: Name
    scope: _Scope


_ONE_DURATION: JsonDict = {
    "oneOf": [
        {"required": [name], "properties": {name: {"type": "integer"}}} for name in ("duration_minutes", "duration_seconds")
    ]
}
_SAMPLE: JsonDict = {
    "type": "TEMP_DB_READ_ACCESS",
    "environment": "prod",
    "target": {"database": "orders-prod", "scope": {"tenant": "acme"}},
    "duration_minutes": 60,
    "justification": "Investigate stuck refunds",
    "ticket": "INC-2041",
}


class RequestBody(Body):
    """What a requester asks for: exactly one of `duration_minutes` and `duration_seconds`."""

    model_config = ConfigDict(json_schema_extra={**_ONE_DURATION, "examples": [_SAMPLE]})

    type: Literal["TEMP_DB_READ_ACCESS"]
    environment: Name
    target: _TargetChoice
    duration_minutes: Duration | None = None
    duration_seconds: Duration | None = None
    justification: Text
    ticket: Ticket | None = None

    @model_validator(mode="after")
    def _check_whole(self) -> RequestBody:
        if (self.duration_minutes is None) == (self.duration_seconds is None):
            raise ValueError("give exactly one of duration_minutes and duration_seconds")
        return self

    def to_new_request(self) -> NewRequest:
        """Return the request as the flow knows it, in seconds."""
        seconds = self.duration_seconds if self.duration_seconds is not None else (self.duration_minutes or 0) * 60
        return NewRequest(
            type=self.type,
            environment=self.environment,
            target=self.target.database,
            scope=self.target.scope.tenant,
            duration_seconds=seconds,
            justification=self.justification,
            ticket=self.ticket,
        )


class ApproveBody(Body):
    """A yes. `effect_digest` binds it to what was shown; `role` says which required role it is meant for."""

    effect_digest: Digest | None = None
    comment: Text | None = None
    role: Annotated[Role, Field(strict=False)] | None = None


class RejectBody(Body):
    """A no, with its reason."""

    reason: Text


class CancelBody(Body):
    """Taking a request back."""

    reason: Text | None = None


class CredentialsBody(Body):
    """Asking for credentials; `rotate` replaces the ones shown before."""

    rotate: bool = False


class RevertBody(Body):
    """Ending access early, with the reason."""

    reason: Text


class _Person(BaseModel):
    id: str
    handle: str | None


class AccessRecordAnswer(BaseModel):
    """What was done with an access. One view read by one statement counts as one; no rollback lowers `touched`."""

    mode: RecordMode
    touched: int | None
    recorded: int | None
    not_kept: int | None = Field(description="Counted only: beyond the 1,000 that are kept with their text, or by choice.")
    rolled_back: int | None
    unavailable: str | None = Field(description="Why the target's record could not be read.")
    summary: str


class GrantAnswer(BaseModel):
    """The access itself; `access_record` is null before its end is proven."""

    id: str
    status: str
    role_name: str
    granted_at: str | None
    expires_at: str | None
    target_expires_at: str | None
    credentials_issued: int
    ended_at: str | None
    revert_proof: dict[str, Any] | None
    revert_blockers: list[str]
    access_record: AccessRecordAnswer | None


class RequestAnswer(BaseModel):
    """A request as it stands."""

    id: str
    type: str
    environment: str
    target: dict[str, Any]
    duration_seconds: int
    duration_minutes: int | None
    justification: str
    ticket: str | None
    status: str
    version: int
    workspace: str
    requester: _Person
    effect: dict[str, Any]
    effect_digest: str
    required_approvals: list[str]
    approvals: list[dict[str, Any]]
    decisions: list[str]
    execution: dict[str, Any] | None
    grant: GrantAnswer | None
    created_at: str
    approval_expires_at: str
    use_by: str | None


class RequestPage(BaseModel):
    """One page of requests, newest first; `next_cursor` leads on."""

    items: list[RequestAnswer]
    next_cursor: str | None


class PreviewAnswer(BaseModel):
    """What policy would say, what it would take, and who could give it."""

    allowed: bool
    reasons: list[dict[str, Any]]
    required_approvals: list[str]
    could_approve: dict[str, list[_Person]]
    effect: dict[str, Any]
    effect_digest: str


class Statement(BaseModel):
    """One recorded statement: its place among all that touched the data, and its text up to 2,000 characters."""

    number: int
    at: str
    pid: int
    application_name: str
    statement: str


class StatementPage(BaseModel):
    """One page of statements, oldest first; `next_cursor` leads on."""

    items: list[Statement]
    next_cursor: str | None


class ReceiptsAnswer(BaseModel):
    """Every receipt of a request in order."""

    items: list[dict[str, Any]]


class CredentialsAnswer(BaseModel):
    """Credentials, shown this once."""

    host: str
    port: int
    database: str
    user: str
    password: str
    uri: str
    expires_at: str
