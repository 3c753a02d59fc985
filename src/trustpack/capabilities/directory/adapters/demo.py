"""Sign in as anybody by one click: for a store of demo data and no other (ADR-0024)."""

from __future__ import annotations

from collections.abc import Mapping

from trustpack.capabilities.directory.model.sessions import DemoSignInRefused
from trustpack.capabilities.directory.service.demo import DEMO, demo_account, require_demo_store
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.auth.ports import SignInFailed
from trustpack.platform.unit_of_work import Pool, UnitOfWork


class DemoSignIn:
    """`answer` has `tenant` and `handle`. Whether the store is still a demo's is asked at every click."""

    name = DEMO

    def __init__(self, unit_of_work: UnitOfWork, system_pool: Pool) -> None:
        self._unit_of_work = unit_of_work
        self._system_pool = system_pool

    async def begin(self, *, account_id: str | None = None) -> None:
        """Nothing is asked before the click."""

    async def finish(self, answer: Mapping[str, str], *, kept: JsonObject) -> str:
        try:
            tenants = {tenant.tenant_id for tenant in await require_demo_store(self._system_pool)}
        except DemoSignInRefused as refusal:
            raise SignInFailed from refusal
        tenant_id, handle = answer.get("tenant", ""), answer.get("handle", "")
        account_id = await demo_account(self._unit_of_work, tenant_id, handle) if tenant_id in tenants else None
        if account_id is None:
            raise SignInFailed
        return account_id
