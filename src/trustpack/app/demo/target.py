"""The demo's production database: a second cluster with SCRAM on every login, and several tenants' orders in it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import psycopg
from psycopg import sql

from trustpack.capabilities.operations import parse_definition_file
from trustpack.capabilities.operations.adapters.postgres.install import InstallReport, install
from trustpack.platform.database import read_or_make_secret
from trustpack.platform.embedded_postgres import Cluster, free_port
from trustpack.platform.settings import Settings

DATABASE = "orders_prod"
DSN_FILE = "secrets/orders-prod.dsn"


@dataclass(frozen=True, slots=True)
class DemoTarget:
    """Where the demo's target lies and how it is made."""

    settings: Settings

    @property
    def directory(self) -> Path:
        return self.settings.data_dir.resolve() / "demo-target"

    @property
    def exists(self) -> bool:
        """Whether the target was made in this data directory."""
        return (self.directory / "port").exists()

    @property
    def cluster(self) -> Cluster:
        """The cluster; its port and its superuser's password are kept beside it, readable by their owner only."""
        port_file = self.directory / "port"
        if not port_file.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            port_file.write_text(str(free_port()), encoding="ascii")
        return Cluster(
            self.directory, password=read_or_make_secret(self.directory / "superuser-password"), port=int(port_file.read_text())
        )

    @property
    def definition_text(self) -> str:
        """The target's definition as its YAML file has it."""
        return resources.files(__package__).joinpath("orders-prod.yaml").read_text(encoding="utf-8")

    def ensure(self) -> InstallReport:
        """Run the cluster, fill its database on the first run, and install or refresh our schema in it. Idempotent."""
        cluster = self.cluster
        cluster.ensure_running()
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        definition = parse_definition_file(self.definition_text)
        service_password = read_or_make_secret(self.directory / "service-password")
        with psycopg.connect(cluster.url(database=DATABASE), autocommit=True) as connection:
            if connection.execute("SELECT to_regclass('public.orders')").fetchone() == (None,):
                connection.execute(_customers_tables().encode())
            report = install(connection, definition, service_password=service_password)
        self._write_dsn(cluster.url(user=report.service_role, password=service_password, database=DATABASE))
        return report

    def _write_dsn(self, dsn: str) -> None:
        path = self.settings.data_dir / DSN_FILE
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(dsn, encoding="utf-8")


def _customers_tables() -> str:
    return resources.files(__package__).joinpath("orders.sql").read_text(encoding="utf-8")


def rows_by_tenant(target: DemoTarget) -> dict[str, int]:
    """Return how many orders each tenant really has, asked as the superuser, to compare with what a grantee sees."""
    with psycopg.connect(target.cluster.url(database=DATABASE)) as connection:
        return dict(connection.execute("SELECT tenant, count(*) FROM public.orders GROUP BY tenant").fetchall())
