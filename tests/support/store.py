"""The store seen from below the product: raw connections of each login, and small clusters of a test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow, dict_row

from trustpack.app.bootstrap import Container
from trustpack.platform.database import store_logins
from trustpack.platform.embedded_postgres import Cluster
from trustpack.platform.settings import Settings


@contextmanager
def as_owner(settings: Settings) -> Iterator[psycopg.Connection[DictRow]]:
    """Open a connection of the schema's owner, who on the embedded server is superuser and sees every tenant."""
    owner = store_logins(settings).owner
    assert owner is not None
    with psycopg.connect(owner, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@contextmanager
def as_system(settings: Settings) -> Iterator[psycopg.Connection[DictRow]]:
    """Open a connection of the login that finds due work."""
    with psycopg.connect(store_logins(settings).system, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@asynccontextmanager
async def as_app(container: Container, tenant_id: str | None) -> AsyncIterator[AsyncConnection[DictRow]]:
    """Open a transaction of the application's login, as somebody who writes SQL past the product; commit at the end."""
    async with container.app_pool.connection() as connection, connection.transaction():
        if tenant_id is not None:
            await connection.execute(sql.SQL("SET LOCAL trustpack.tenant = {}").format(sql.Literal(tenant_id)))
        yield connection


async def run_as_app(container: Container, tenant_id: str | None, /, *statements: str, **parameters: Any) -> None:
    """Run statements in one transaction of the application's login and commit."""
    async with as_app(container, tenant_id) as connection:
        for statement in statements:
            await connection.execute(cast("LiteralString", statement), parameters or None)


def rows_as_owner(settings: Settings, query: str, *parameters: Any) -> list[DictRow]:
    """Return rows as the owner sees them, over all tenants."""
    with as_owner(settings) as connection:
        return connection.execute(cast("LiteralString", query), parameters or None).fetchall()


def tables_of_tenants(settings: Settings) -> list[str]:
    """Return every table of the schema with a `tenant_id` column, by name."""
    rows = rows_as_owner(
        settings,
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'"
        " AND NOT a.attisdropped WHERE c.relnamespace = 'trustpack'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname",
    )
    return [row["relname"] for row in rows]


def tables_of_system(settings: Settings) -> set[str]:
    """Return the tables in which the login that finds due work sees the rows of every tenant."""
    query = "SELECT tablename FROM pg_policies WHERE schemaname = 'trustpack' AND roles = '{trustpack_system}'"
    return {row["tablename"] for row in rows_as_owner(settings, query)}


@contextmanager
def held_table(settings: Settings, table: str) -> Iterator[None]:
    """Let nobody read a table for a while."""
    with as_owner(settings) as connection, connection.transaction():
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier("trustpack", table)))
        yield


async def somebody_waits_for(settings: Settings, table: str) -> None:
    """Wait until a session of the store has come to a table that is held."""
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
    async with asyncio.timeout(30):
        while not rows_as_owner(settings, waiting, f"trustpack.{table}"):  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.02)


@contextmanager
def running_cluster(directory: Path, **options: Any) -> Iterator[Cluster]:
    """Run a cluster of a test's own and stop it at the end, whatever the test did to it."""
    cluster = Cluster(directory, **options)
    cluster.ensure_running()
    try:
        yield cluster
    finally:
        cluster.stop(mode="immediate")
