"""Use cases of the directory. Every change locks its subject, raises its version and leaves a receipt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from psycopg.errors import UniqueViolation

from trustpack.capabilities.directory import store
from trustpack.capabilities.directory.model import (
    AccountTaken,
    AlreadyExists,
    Handle,
    IssuedToken,
    NotSignedIn,
    Person,
    PersonStatus,
    Team,
    Tenant,
    Token,
    UnknownName,
)
from trustpack.capabilities.directory.rules import (
    DEFAULT_TOKEN_LIFETIME,
    LAST_USE_GRAIN,
    read_token,
    require_may_change_role,
    require_name,
    token_end,
    token_text,
)
from trustpack.capabilities.directory.service.recording import locked_person, person_by_handle, record_change
from trustpack.kernel.actor import Actor, ActorKind, Role
from trustpack.kernel.clock import format_time
from trustpack.kernel.ids import require_id
from trustpack.kernel.json_types import JsonValue
from trustpack.platform.entropy import new_secret
from trustpack.platform.unit_of_work import Transaction, UnitOfWork
from trustpack.platform.web.idempotency import schedule_sweep
from trustpack.proof.canonical import digest_of

accounts_of = store.accounts_of
people = store.people
people_for_share = store.people_for_share
people_with_ids = store.people_with_ids
tokens_of = store.tokens_of

MOST_CALLED_SO = 50
"""How many people one text may stand for: who types less than a name meant none of them in particular."""


async def create_tenant(tx: Transaction, actor: Actor, *, name: str, is_demo: bool) -> Tenant:
    """Make the tenant that the transaction is open for. Raises `AlreadyExists`, `InvalidName`."""
    require_name(tx.tenant_id)
    async with _refusing_duplicates(tx):
        await store.insert_tenant(tx, name=name, is_demo=is_demo)
        await record_change(
            tx, actor, ("tenant", tx.tenant_id, 1), ("created", "active"), {"is_demo": is_demo}, personal={"name": name}
        )
    await schedule_sweep(tx)
    return Tenant(id=tx.tenant_id, version=1, status="active", name=name, is_demo=is_demo)


async def add_person(
    tx: Transaction,
    actor: Actor,
    *,
    handle: str,
    display_name: str,
    kind: ActorKind = ActorKind.PERSON,
    roles: frozenset[Role] = frozenset(),
    account_id: str | None = None,
) -> Person:
    """Add a person (or bot) with a first account, new unless `account_id` names one. Raises `AlreadyExists`, `AccountTaken`."""
    person = Person(
        id=tx.new_id("usr"),
        version=1,
        status=PersonStatus.ACTIVE,
        handle=require_name(handle),
        display_name=display_name,
        kind=kind,
        roles=roles,
        team_ids=frozenset(),
    )
    account = _account(tx, account_id)
    await require_tenant(tx)
    async with _refusing_duplicates(tx):
        await store.insert_person(tx, person)
    payload: dict[str, JsonValue] = {"kind": kind.value, "roles": sorted(roles), "account": account}
    async with _refusing_duplicates(tx, AccountTaken):
        await store.insert_account(tx, account)
        await store.insert_person_account(tx, account_id=account, person=person)
        await record_change(
            tx,
            actor,
            ("person", person.id, 1),
            ("added", person.status),
            payload,
            personal={"handle": handle, "display_name": display_name},
        )
    return person


async def link_account(tx: Transaction, actor: Actor, *, handle: str, account_id: str | None = None) -> str:
    """Give a person one more account and return its id; they stay one person for every rule. Raises `AccountTaken`."""
    account = _account(tx, account_id)
    person = await locked_person(tx, handle)
    changed = replace(person, version=person.version + 1)
    async with _refusing_duplicates(tx, AccountTaken):
        await store.insert_account(tx, account)
        await store.update_person(tx, changed)
        await store.insert_person_account(tx, account_id=account, person=changed)
        await record_change(
            tx, actor, ("person", person.id, changed.version), ("account_linked", person.status), {"account": account}
        )
    return account


async def change_role(tx: Transaction, actor: Actor, *, handle: str, role: Role, grant: bool) -> Person:
    """Give or take a role. Raises `OwnApprovalRoleForbidden`, `UnknownName`. Guarantee: no change, no receipt."""
    person = await locked_person(tx, handle)
    require_may_change_role(actor, person, role, grant=grant)
    roles = person.roles | {role} if grant else person.roles - {role}
    if roles == person.roles:
        return person
    changed = replace(person, version=person.version + 1, roles=roles)
    await store.update_person(tx, changed)
    action = "role_granted" if grant else "role_revoked"
    await record_change(tx, actor, ("person", person.id, changed.version), (action, person.status), {"role": role.value})
    return changed


async def set_person_status(tx: Transaction, actor: Actor, *, handle: str, status: PersonStatus) -> Person:
    """Let a person act, or stop them from acting; their tokens count only while they are active. Raises `UnknownName`."""
    person = await locked_person(tx, handle)
    if person.status == status:
        return person
    changed = replace(person, version=person.version + 1, status=status)
    await store.update_person(tx, changed)
    action = "reactivated" if status == PersonStatus.ACTIVE else "deactivated"
    await record_change(tx, actor, ("person", person.id, changed.version), (action, status), {})
    return changed


async def add_team(tx: Transaction, actor: Actor, *, name: str) -> Team:
    """Add a team. Raises `AlreadyExists`, `InvalidName`, `UnknownName` for a tenant that does not exist."""
    team = Team(id=tx.new_id("team"), version=1, status="active", name=require_name(name))
    await require_tenant(tx)
    async with _refusing_duplicates(tx):
        await store.insert_team(tx, team)
        await record_change(tx, actor, ("team", team.id, 1), ("added", team.status), {}, personal={"name": name})
    return team


async def team_by_name(tx: Transaction, name: str) -> Team:
    """Return a team. Raises `UnknownName`."""
    team = await store.team_by_name(tx, name)
    if team is None:
        raise UnknownName(f"There is no team called {name}.")
    return team


async def join_team(tx: Transaction, actor: Actor, *, handle: str, team: str, join: bool = True) -> Person:
    """Add a person to a team, or take them out of it. Raises `UnknownName`. Guarantee: no change, no receipt."""
    person = await locked_person(tx, handle)
    team_id = (await team_by_name(tx, team)).id
    team_ids = person.team_ids | {team_id} if join else person.team_ids - {team_id}
    if team_ids == person.team_ids:
        return person
    changed = replace(person, version=person.version + 1, team_ids=team_ids)
    await store.update_person(tx, changed)
    action = "team_joined" if join else "team_left"
    await record_change(tx, actor, ("person", person.id, changed.version), (action, person.status), {"team": team_id})
    return changed


async def issue_token(
    tx: Transaction,
    actor: Actor,
    *,
    handle: str,
    label: str,
    lifetime: timedelta = DEFAULT_TOKEN_LIFETIME,
    account_id: str | None = None,
) -> IssuedToken:
    """Make an API token for one of a person's accounts (the first, unless named); its secret is returned here only.

    Raises `UnknownName`.
    """
    person = await person_by_handle(tx, handle)
    accounts = await store.accounts_of(tx, person.id)
    account = account_id or accounts[0]
    if account not in accounts:
        raise UnknownName(f"{handle} has no account {account}.")
    secret = token_text(tx.tenant_id, new_secret())
    token = Token(
        id=tx.new_id("tok"),
        version=1,
        status="active",
        person_id=person.id,
        account_id=account,
        label=label,
        created_at=tx.now,
        expires_at=token_end(tx.now, lifetime),
        last_used_at=None,
    )
    await store.insert_token(tx, token, digest=digest_of(secret.encode()))
    payload: dict[str, JsonValue] = {"person": person.id, "account": account, "expires_at": format_time(token.expires_at)}
    await record_change(tx, actor, ("token", token.id, 1), ("issued", token.status), payload, personal={"label": label})
    return IssuedToken(id=token.id, secret=secret, expires_at=token.expires_at)


async def revoke_token(tx: Transaction, actor: Actor, *, token_id: str) -> None:
    """End a token at once. Raises `UnknownName`. Guarantee: revoking twice changes nothing."""
    token = await store.lock_token(tx, token_id)
    if token is None:
        raise UnknownName(f"There is no token {token_id}.")
    if token.status == "revoked":
        return
    await store.update_token(tx, token_id=token_id, version=token.version + 1, status="revoked")
    await record_change(tx, actor, ("token", token_id, token.version + 1), ("revoked", "revoked"), {})


async def authenticate(unit_of_work: UnitOfWork, token: str) -> Actor:
    """Return who holds a bearer token, with their roles and teams as of now. Raises `NotSignedIn`."""
    tenant_id, digest = read_token(token)
    row = await store.signed_in(
        unit_of_work, tenant_id=tenant_id, digest=digest, now=unit_of_work.clock.now(), grain=LAST_USE_GRAIN
    )
    if row is None:
        raise NotSignedIn
    return Actor(
        tenant_id=tenant_id,
        id=row["id"],
        kind=ActorKind(row["kind"]),
        handle=row["handle"],
        account_id=row["account_id"],
        roles=frozenset(Role(role) for role in row["roles"]),
        team_ids=frozenset(row["team_ids"]),
    )


async def actor_of(tx: Transaction, handle: str) -> Actor:
    """Return a person as they act by their first account, with their roles and teams as of now. Raises `UnknownName`."""
    person = await person_by_handle(tx, handle)
    accounts = await store.accounts_of(tx, person.id)
    return Actor(
        tenant_id=tx.tenant_id,
        id=person.id,
        kind=person.kind,
        handle=person.handle,
        account_id=accounts[0],
        roles=person.roles,
        team_ids=person.team_ids,
    )


async def people_with_any_role(tx: Transaction, roles: Sequence[Role]) -> tuple[Person, ...]:
    """Return the active people who hold one of the roles."""
    wanted = frozenset(roles)
    everybody = await store.people(tx)
    return tuple(
        person
        for person in everybody
        if person.roles & wanted and person.status == PersonStatus.ACTIVE and person.kind == ActorKind.PERSON
    )


async def people_called(tx: Transaction, text: str) -> tuple[str, ...]:
    """Return the ids of some people, also of former ones, whose handle or name holds a text."""
    return await store.people_called(tx, text, limit=MOST_CALLED_SO)


async def handles_of(tx: Transaction, person_ids: Sequence[str]) -> dict[str, str]:
    """Return the handle of each person by id, with their name for pages; ids that are not people's are left out."""
    return {person.id: Handle.of(person) for person in await store.people_with_ids(tx, sorted(set(person_ids)))}


async def require_tenant(tx: Transaction) -> Tenant:
    """Return the tenant that the transaction is open for. Raises `UnknownName`."""
    tenant = await store.find_tenant(tx)
    if tenant is None:
        raise UnknownName(f"There is no tenant called {tx.tenant_id}.")
    return tenant


async def everybody(tx: Transaction) -> tuple[Person, ...]:
    """Return the people of a tenant by handle. Raises `UnknownName` for a tenant that does not exist."""
    await require_tenant(tx)
    return await store.people(tx)


async def is_demo_tenant(tx: Transaction) -> bool | None:
    """Say whether the tenant is marked as demo; None if it does not exist."""
    tenant = await store.find_tenant(tx)
    return tenant.is_demo if tenant is not None else None


def _account(tx: Transaction, account_id: str | None) -> str:
    # Accounts are global and hold no personal data, so what is given must be an id and not an address.
    return tx.new_id("acc") if account_id is None else require_id(account_id, prefix="acc")


@asynccontextmanager
async def _refusing_duplicates(tx: Transaction, error: type[AlreadyExists | AccountTaken] = AlreadyExists) -> AsyncIterator[None]:
    # In pipeline mode a statement's failure may show at any later one, so all of them stand inside.
    try:
        yield
        await tx.flush()
    except UniqueViolation as violation:
        raise error from violation
