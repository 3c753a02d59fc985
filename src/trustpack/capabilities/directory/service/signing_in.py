"""From a browser's answer to a session: sign in, confirm, change the tenant, sign out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trustpack.capabilities.directory.model.sessions import (
    MethodNotAllowed,
    NobodyInTenant,
    OpenedSession,
    Session,
    SessionEnd,
    SessionNeeded,
    SessionStatus,
    TenantOfAccount,
)
from trustpack.capabilities.directory.rules import CEREMONY_LIFETIME
from trustpack.capabilities.directory.service.context import SignIn
from trustpack.capabilities.directory.service.sessions import carry_session, end_session, open_session, resume_session
from trustpack.capabilities.directory.store import accounts
from trustpack.capabilities.directory.store import sessions as store
from trustpack.kernel.errors import NotFound
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.auth.ports import Ceremony, SignInFailed, SignInMethod
from trustpack.platform.entropy import new_secret
from trustpack.proof.canonical import digest_of


@dataclass(frozen=True, slots=True)
class Begun:
    """A ceremony under way: what the browser is asked, and the ticket that ties its answer to it."""

    ask: JsonObject
    ticket: str | None = field(repr=False)


async def begin(sign_in: SignIn, method: str, *, account_id: str | None = None) -> Begun:
    """Begin to sign in; with an account, to confirm that its owner is there. Raises `MethodNotAllowed`."""
    ceremony = await _method(sign_in, method).begin(account_id=account_id)
    if ceremony is None:
        return Begun(ask={}, ticket=None)
    return await keep(sign_in, _kind(method), ceremony, account_id=account_id)


async def sign_in_by(
    sign_in: SignIn,
    method: str,
    answer: Mapping[str, str],
    *,
    ticket: str | None,
    tenant_id: str | None,
    client: str,
    replaces: str | None = None,
) -> OpenedSession:
    """Open a session for whoever the answer proves, in the named tenant or the first of theirs.

    A session that the browser still holds is ended. Raises `SignInFailed`, `NobodyInTenant`, `MethodNotAllowed`.
    """
    account_id = await _prove(sign_in, method, answer, ticket=ticket)
    tenants = [tenant.tenant_id for tenant in await tenants_of_account(sign_in, account_id)]
    chosen = tenant_id if tenant_id is not None else next(iter(tenants), None)
    if chosen is None or chosen not in tenants:
        raise NobodyInTenant
    async with sign_in.unit_of_work.transaction(chosen) as tx:
        opened = await open_session(tx, account_id, method=method, client=client, limits=sign_in.limits)
    if replaces is not None:
        await _end_held(sign_in, replaces, reason=SessionEnd.REPLACED)
    return opened


async def confirm_by(
    sign_in: SignIn, session: Session, method: str, answer: Mapping[str, str], *, ticket: str | None, client: str
) -> OpenedSession:
    """Open a session as recent as now in place of one, if the answer proves the same account.

    Raises `SignInFailed`, `SessionNeeded` if the session was ended meanwhile.
    """
    account_id = await _prove(sign_in, method, answer, ticket=ticket, account_id=session.actor.account_id)
    async with sign_in.unit_of_work.transaction(session.actor.tenant_id) as tx:
        old = await end_session(tx, session.actor, session.id, reason=SessionEnd.CONFIRMED)
        if old.status != SessionStatus.ACTIVE:
            raise SessionNeeded
        return await open_session(tx, account_id, method=method, client=client, limits=sign_in.limits, follows=old)


async def switch_tenant(sign_in: SignIn, session: Session, tenant_id: str, *, client: str) -> OpenedSession:
    """Open a session in another tenant of the account in place of one. Raises `NotFound`.

    The new one is opened first: if the process dies in between, nobody holds its secret, and the old one goes on.
    """
    account_id = session.actor.account_id
    assert account_id is not None  # whoever has a session signed in by an account
    if tenant_id not in {tenant.tenant_id for tenant in await tenants_of_account(sign_in, account_id)}:
        raise NotFound
    async with sign_in.unit_of_work.transaction(tenant_id) as tx:
        opened = await carry_session(tx, session, client=client)
    await sign_out(sign_in, session, reason=SessionEnd.TENANT_SWITCHED)
    return opened


async def sign_out(sign_in: SignIn, session: Session, *, reason: SessionEnd = SessionEnd.SIGNED_OUT) -> None:
    """End the session that a request belongs to."""
    async with sign_in.unit_of_work.transaction(session.actor.tenant_id) as tx:
        await end_session(tx, session.actor, session.id, reason=reason)


async def tenants_of_account(sign_in: SignIn, account_id: str) -> tuple[TenantOfAccount, ...]:
    """Return the tenants in which the account is an active person, by name."""
    return await store.tenants_of_account(sign_in.system_pool, account_id)


async def keep(sign_in: SignIn, kind: str, ceremony: Ceremony, *, account_id: str | None) -> Begun:
    """Remember a ceremony for some minutes and return the ticket that it will be known by."""
    ticket, now = new_secret(), sign_in.unit_of_work.clock.now()
    await accounts.keep_ceremony(
        sign_in.unit_of_work,
        digest=digest_of(ticket.encode()),
        kind=kind,
        kept={"account": account_id, "state": ceremony.kept},
        now=now,
        expires_at=now + CEREMONY_LIFETIME,
    )
    return Begun(ask=ceremony.ask, ticket=ticket)


async def take(sign_in: SignIn, kind: str, ticket: str | None, *, account_id: str | None) -> JsonObject:
    """Return what a ceremony of this kind and account kept, once; nothing without a ticket. Raises `SignInFailed`."""
    if ticket is None:
        return {}
    now = sign_in.unit_of_work.clock.now()
    found = await accounts.take_ceremony(sign_in.unit_of_work, digest=digest_of(ticket.encode()), kind=kind, now=now)
    if found is None or found["account"] != account_id:
        raise SignInFailed
    state: JsonObject = found["state"]
    return state


async def _prove(
    sign_in: SignIn, method: str, answer: Mapping[str, str], *, ticket: str | None, account_id: str | None = None
) -> str:
    way = _method(sign_in, method)
    proven = await way.finish(answer, kept=await take(sign_in, _kind(method), ticket, account_id=account_id))
    if account_id is not None and proven != account_id:
        raise SignInFailed
    return proven


async def _end_held(sign_in: SignIn, text: str, *, reason: SessionEnd) -> None:
    try:
        session = await resume_session(sign_in, text)
    except SessionNeeded:
        return
    await sign_out(sign_in, session, reason=reason)


def _method(sign_in: SignIn, name: str) -> SignInMethod:
    if name not in sign_in.methods:
        raise MethodNotAllowed
    return sign_in.methods[name]


def _kind(method: str) -> str:
    return f"sign_in:{method}"
