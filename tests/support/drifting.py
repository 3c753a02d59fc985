"""A target of its own for tests of drift, a tenant that grants access on it, and somebody who changes it behind our back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from psycopg import sql

from tests.support.targets import TargetDatabase, prepare
from tests.support.world import World
from tests.support.worlds import world_on
from trustpack.capabilities.operations.rules.target_definition import definition_document

numbers = count(1)
HAS_GRANTORS = 16
"""From this version on a membership has a grantor, and only that one, or a superuser, takes it back."""


@pytest.fixture(scope="module", params=["superuser", "owner"])
def shop(request, server) -> TargetDatabase:
    version, cluster = server
    return prepare(cluster, version=version, installed_by=request.param, name=f"drift-{next(numbers)}-{request.param}")


@dataclass
class Secret:
    """Where the tenant's connection string leads."""

    url: str


@pytest.fixture
def secret(shop) -> Secret:
    return Secret(shop.service_url)


@pytest.fixture
async def world(container, clock, shop, secret) -> AsyncIterator[World]:
    """A tenant that grants access on the shop; what it has granted is taken back at the end."""
    adapter = shop.adapter(issuer=container.operations.store_id, resolve_secret=lambda _: secret.url)
    async with world_on(container, clock, adapter, definition_document(shop.definition)) as opened:
        yield opened
        for request in (await opened.call("user-auditor", "GET", "/high-risk-ops/requests?status=active")).json()["items"]:
            await opened.act("user-admin", request["id"], "revert", {"reason": "the test is over"})


class Dba:
    """Somebody with a superuser's session, and the names of our roles."""

    def __init__(self, shop: TargetDatabase) -> None:
        self.conn = shop.superuser()
        self.names = shop.names
        self.version = shop.version

    def run(self, statement: str, /, **names: str) -> None:
        known = {kind: getattr(self.names, kind) for kind in ("reader", "provisioner", "state", "api", "views")}
        identifiers = {key: sql.Identifier(value) for key, value in (known | names).items()}
        self.conn.execute(sql.SQL(statement).format(**identifiers))  # type: ignore[arg-type]

    def value(self, query: str, *parameters: Any) -> Any:
        row = self.conn.execute(query, parameters).fetchone()  # type: ignore[arg-type]
        return None if row is None else row[0]

    def exists(self, role: str) -> bool:
        return bool(self.value("select count(*) from pg_roles where rolname = %s", role))

    def restore(self, role: str) -> None:
        """Make a role as a dump of the cluster would: with its memberships and under another oid."""
        self.run("create role {role} login password 'from-the-backup' valid until 'infinity'", role=role)
        if self.version >= HAS_GRANTORS:
            self.run("grant {role} to {provisioner} with admin true, inherit false, set false", role=role)
            self.run("grant {reader} to {role} with inherit true, set false granted by {provisioner}", role=role)
        else:
            self.run("grant {reader} to {role}", role=role)

    def restore_record(self, role: str) -> None:
        """Bring the target's own record back as well: the grant looks alive."""
        self.conn.execute(
            sql.SQL(
                "update {}.grants set dropped_at = null, expires_at = clock_timestamp() + interval '1 hour',"
                " role_oid = (select oid from pg_roles where rolname = role_name) where role_name = %s"
            ).format(sql.Identifier(self.names.state)),
            (role,),
        )


@pytest.fixture
def dba(shop):
    somebody = Dba(shop)
    yield somebody
    somebody.conn.close()


async def granted_to(world: World, shop: TargetDatabase) -> tuple[str, str, str]:
    """Return request, role and password of access that is live."""
    request = await world.active(target={"database": shop.definition.name, "scope": {"tenant": "acme"}})
    credentials = (await world.act("user-engineer", request["id"], "credentials")).json()
    return request["id"], credentials["user"], credentials["password"]
