"""Hand the requester credentials, once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from trustpack.capabilities.operations.model import (
    Case,
    Command,
    ConnectionDetails,
    CredentialsAlreadyShown,
    Refused,
    RequesterOnly,
    Status,
    WrongState,
)
from trustpack.capabilities.operations.rules.connection_uri import connection_uri
from trustpack.capabilities.operations.rules.transitions import allows, next_status
from trustpack.capabilities.operations.service.context import Operations
from trustpack.capabilities.operations.service.reading import load_case
from trustpack.capabilities.operations.service.recording import advance, lock_readable, record_refusal, refuse
from trustpack.capabilities.operations.store import grants as grant_store
from trustpack.capabilities.operations.store import requests as store
from trustpack.kernel.actor import Actor
from trustpack.kernel.errors import TrustpackError
from trustpack.kernel.json_types import JsonValue
from trustpack.platform.entropy import new_secret
from trustpack.platform.unit_of_work import Transaction


@dataclass(frozen=True, slots=True)
class Credentials:
    """What opens the access; exists in memory and in one answer only."""

    details: ConnectionDetails
    user: str
    password: str = field(repr=False)
    expires_at: datetime = field()

    @property
    def uri(self) -> str:
        """The connection URI: `psql "$uri"` works as it is."""
        return connection_uri(self.details, user=self.user, password=self.password)


async def claim_credentials(tx: Transaction, actor: Actor, request_id: str, *, rotate: bool) -> Case | Refused:
    """Record that credentials are handed out now, before they exist, so that none can exist without a receipt.

    Returns `Refused` for anybody but the requester. Raises `NotFound`, `WrongState`, `CredentialsAlreadyShown`.
    """
    request = await lock_readable(tx, actor, request_id)
    if actor.id != request.requester_id:
        return await refuse(tx, request, RequesterOnly(), actor=actor, attempted="credentials")
    next_status(request.status, Command.ISSUE_CREDENTIALS)
    case = await load_case(tx, request)
    assert case.grant is not None  # an active case has both
    assert case.grant.expires_at is not None
    if tx.now >= case.grant.expires_at:
        raise WrongState("The access has ended.", request_status=Status.ACTIVE.value)
    if case.grant.credentials_issued and not rotate:
        raise CredentialsAlreadyShown
    action = "credentials_rotated" if case.grant.credentials_issued else "credentials_issued"
    payload: dict[str, JsonValue] = {"grant_id": case.grant.id, "role_name": case.grant.role_name}
    changed = await advance(tx, request, Command.ISSUE_CREDENTIALS, actor=actor, action=action, payload=payload)
    grant = replace(case.grant, seq=changed.version, credentials_issued=case.grant.credentials_issued + 1)
    await grant_store.update_grant(tx, grant)
    return replace(case, request=changed, grant=grant)


async def make_credentials(operations: Operations, case: Case) -> Credentials:
    """Make a password and give the target its verifier.

    Of two calls at once the one with the later receipt wins. Raises `TargetUnavailable`, `TargetRefused`, `TargetDrifted`; the
    caller then withdraws what `claim_credentials` announced.
    """
    assert case.grant is not None  # `claim_credentials` saw both
    assert case.grant.expires_at is not None
    password = new_secret()
    adapter = operations.adapter_of(case.target)
    details = await adapter.set_verifier(case.target.definition, case.grant.mark, password=password, generation=case.grant.seq)
    return Credentials(details=details, user=case.grant.role_name, password=password, expires_at=case.grant.expires_at)


async def withdraw_credentials(tx: Transaction, actor: Actor, case: Case, error: TrustpackError) -> Refused:
    """Record that announced credentials never came to be; the next call may issue them without rotating."""
    request = await store.lock_request(tx, case.request.id)
    assert request is not None  # requests are never deleted
    grant = (await grant_store.grants_of(tx, (request.id,)))[request.id]
    if allows(request.status, Command.REFUSE):
        told = await record_refusal(tx, request, error, actor=actor, attempted="credentials")
        withdrawn = replace(grant, seq=told.version, credentials_issued=max(grant.credentials_issued - 1, 0))
        await grant_store.update_grant(tx, withdrawn)
    return Refused(error)
