"""Sessions: opened, resumed by every request in one round trip, ended. Each beginning and end leaves a receipt."""

from __future__ import annotations

from datetime import datetime

from trustpack.capabilities.directory import store as people_store
from trustpack.capabilities.directory.model import Person
from trustpack.capabilities.directory.model.sessions import (
    KeptSession,
    NobodyInTenant,
    OpenedSession,
    Session,
    SessionEnd,
    SessionLimits,
    SessionNeeded,
    SessionStatus,
)
from trustpack.capabilities.directory.rules import LONGEST_CLIENT, SESSION_GRAIN, read_session_text, session_text
from trustpack.capabilities.directory.service.context import SignIn
from trustpack.capabilities.directory.service.recording import person_by_handle, record_change
from trustpack.capabilities.directory.store import sessions as store
from trustpack.kernel.actor import Actor, ActorKind, Role
from trustpack.kernel.clock import format_time
from trustpack.kernel.errors import NotFound
from trustpack.kernel.ids import require_id
from trustpack.platform.entropy import new_secret
from trustpack.platform.unit_of_work import Transaction
from trustpack.proof.canonical import digest_of

SESSION_KIND = "session"


async def open_session(
    tx: Transaction,
    account_id: str,
    *,
    method: str,
    client: str,
    limits: SessionLimits,
    follows: Session | KeptSession | None = None,
) -> OpenedSession:
    """Open a session of the person who signs in with an account that has been proven just now. Raises `NobodyInTenant`.

    One that `follows` another keeps its absolute end, so that no chain of sessions outlives it.
    """
    absolute_end = follows.absolute_end if follows is not None else tx.now + limits.absolute
    return await _open(tx, account_id, method=method, client=client, authenticated_at=tx.now, absolute_end=absolute_end)


async def carry_session(tx: Transaction, session: Session, *, client: str) -> OpenedSession:
    """Open a session in another tenant for the account of a session, as recent and ending as late. Raises `NobodyInTenant`."""
    assert session.actor.account_id is not None  # whoever has a session signed in by an account
    return await _open(
        tx,
        session.actor.account_id,
        method=session.method,
        client=client,
        authenticated_at=session.authenticated_at,
        absolute_end=session.absolute_end,
    )


async def resume_session(sign_in: SignIn, text: str | None, *, is_use: bool = True) -> Session:
    """Return the session that a browser holds, with its person's roles and teams as of now. Raises `SessionNeeded`.

    What is no use, such as the heartbeat of a stream, leaves the session as idle as it was.
    """
    parts = read_session_text(text) if text is not None else None
    if text is None or parts is None:
        raise SessionNeeded
    tenant_id, digest = parts
    row = await store.resumed(
        sign_in.unit_of_work,
        tenant_id=tenant_id,
        digest=digest,
        now=sign_in.unit_of_work.clock.now(),
        idle=sign_in.limits.idle,
        grain=SESSION_GRAIN if is_use else sign_in.limits.absolute,
    )
    if row is None:
        raise SessionNeeded
    return Session(
        id=row["id"],
        actor=Actor(
            tenant_id=tenant_id,
            id=row["person_id"],
            kind=ActorKind(row["kind"]),
            handle=row["handle"],
            account_id=row["account_id"],
            roles=frozenset(Role(role) for role in row["roles"]),
            team_ids=frozenset(row["team_ids"]),
        ),
        display_name=row["display_name"],
        tenant_name=row["tenant_name"],
        is_demo=row["is_demo"],
        method=row["method"],
        authenticated_at=row["authenticated_at"],
        absolute_end=row["absolute_end"],
        text=text,
    )


async def end_session(tx: Transaction, actor: Actor, session_id: str, *, reason: SessionEnd) -> KeptSession:
    """End one of the actor's own sessions at once. Raises `NotFound`. Guarantee: ending twice changes nothing."""
    session = await store.lock_session(tx, require_id(session_id, prefix="ses"))
    if session is None or session.person_id != actor.id:
        raise NotFound
    if session.status == SessionStatus.ACTIVE:
        await _end(tx, actor, session, reason=reason)
    return session


async def end_all_sessions(tx: Transaction, actor: Actor, *, but: str | None = None) -> int:
    """End all of the actor's own sessions in the tenant, or all but one; return how many."""
    return await _end_all(tx, actor, actor.id, reason=SessionEnd.ENDED_BY_OWNER, but=but)


async def sign_out_person(tx: Transaction, actor: Actor, *, handle: str) -> int:
    """End every session of somebody in the tenant; return how many. Raises `UnknownName`."""
    person = await person_by_handle(tx, handle)
    return await _end_all(tx, actor, person.id, reason=SessionEnd.ENDED_BY_OPERATOR)


async def sessions_of(tx: Transaction, actor: Actor, limits: SessionLimits) -> tuple[KeptSession, ...]:
    """Return the actor's own sessions that are open now, newest first."""
    return await store.live_sessions_of(tx, actor.id, seen_after=tx.now - limits.idle)


async def _open(
    tx: Transaction, account_id: str, *, method: str, client: str, authenticated_at: datetime, absolute_end: datetime
) -> OpenedSession:
    person = await people_store.person_of_account(tx, account_id)
    if person is None or not person.is_active or person.kind != ActorKind.PERSON:
        raise NobodyInTenant
    text = session_text(tx.tenant_id, new_secret())
    session = KeptSession(
        id=tx.new_id("ses"),
        version=1,
        status=SessionStatus.ACTIVE,
        account_id=account_id,
        person_id=person.id,
        method=method,
        client=client[:LONGEST_CLIENT],
        authenticated_at=authenticated_at,
        created_at=tx.now,
        absolute_end=absolute_end,
        last_seen_at=tx.now,
    )
    await store.insert_session(tx, session, digest=digest_of(text.encode()))
    await record_change(
        tx,
        actor_of(person, tenant_id=tx.tenant_id, account_id=account_id),
        (SESSION_KIND, session.id, 1),
        ("signed_in", session.status),
        {
            "person": person.id,
            "account": account_id,
            "method": method,
            "authenticated_at": format_time(authenticated_at),
            "absolute_end": format_time(absolute_end),
        },
        personal={"client": session.client},
    )
    return OpenedSession(id=session.id, tenant_id=tx.tenant_id, text=text)


def actor_of(person: Person, *, tenant_id: str, account_id: str) -> Actor:
    """Return a person as the one who acts, signed in by an account."""
    return Actor(
        tenant_id=tenant_id,
        id=person.id,
        kind=person.kind,
        handle=person.handle,
        account_id=account_id,
        roles=person.roles,
        team_ids=person.team_ids,
    )


async def _end_all(tx: Transaction, actor: Actor, person_id: str, *, reason: SessionEnd, but: str | None = None) -> int:
    ending = [session for session in await store.lock_active_sessions(tx, person_id) if session.id != but]
    for session in ending:
        await _end(tx, actor, session, reason=reason)
    return len(ending)


async def _end(tx: Transaction, actor: Actor, session: KeptSession, *, reason: SessionEnd) -> None:
    version = session.version + 1
    await store.update_session(tx, session_id=session.id, version=version, status=SessionStatus.ENDED)
    await record_change(tx, actor, (SESSION_KIND, session.id, version), ("ended", SessionStatus.ENDED), {"reason": reason.value})
