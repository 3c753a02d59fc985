"""Whom one click signs in as: everybody in a store of demo data, nobody in any other (ADR-0024)."""

from __future__ import annotations

from typing import Final

from trustpack.capabilities.directory import store as people
from trustpack.capabilities.directory.model import Person
from trustpack.capabilities.directory.model.sessions import DemoDoor, DemoSignInRefused, TenantOfAccount
from trustpack.capabilities.directory.service.context import SignIn
from trustpack.capabilities.directory.store import sessions as store
from trustpack.kernel.actor import ActorKind
from trustpack.platform.unit_of_work import Pool, UnitOfWork

DEMO: Final = "demo"


async def require_demo_store(system_pool: Pool) -> tuple[TenantOfAccount, ...]:
    """Return the demo's tenants. Raises `DemoSignInRefused` if the store holds any other."""
    tenants = await store.demo_tenants(system_pool)
    if tenants is None:
        raise DemoSignInRefused
    return tenants


async def demo_doors(sign_in: SignIn) -> tuple[DemoDoor, ...]:
    """Return everybody whom one click signs in as. Raises `DemoSignInRefused`."""
    tenants = await require_demo_store(sign_in.system_pool)
    return tuple([DemoDoor(tenant, await _people(sign_in.unit_of_work, tenant.tenant_id)) for tenant in tenants])


async def demo_account(unit_of_work: UnitOfWork, tenant_id: str, handle: str) -> str | None:
    """Return the first account of an active person of a tenant, or None."""
    async with unit_of_work.transaction(tenant_id) as tx:
        person = await people.person_by_handle(tx, handle)
        return (await people.accounts_of(tx, person.id))[0] if person is not None and _may_sign_in(person) else None


async def _people(unit_of_work: UnitOfWork, tenant_id: str) -> tuple[Person, ...]:
    async with unit_of_work.transaction(tenant_id) as tx:
        return tuple(person for person in await people.people(tx) if _may_sign_in(person))


def _may_sign_in(person: Person) -> bool:
    return person.is_active and person.kind == ActorKind.PERSON
