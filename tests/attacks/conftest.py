"""Servers set up as we recommend, one database that is only installed and one that is hardened as well, and a grantee on each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.target_fixtures import adapter, another_order, grant_access, new_order, order, target
from tests.support.targets import BIN_PATHS, TargetDatabase, granted, handed_out, prepare, require_version, running_cluster
from trustpack.capabilities.operations.adapters.postgres.exposures import exposures
from trustpack.capabilities.operations.adapters.postgres.install import harden
from trustpack.platform.embedded_postgres import Cluster

__all__ = ["adapter", "another_order", "grant_access", "order", "target"]

OPTIONS = ("fsync=off", "max_connections=40", "max_prepared_transactions=0", "log_statement=none", "autovacuum_naptime=1")
OF_THE_WHOLE_CLUSTER = "other_databases"


@pytest.fixture(scope="session", params=list(BIN_PATHS), ids=lambda version: f"pg{version}")
def server(request, tmp_path_factory) -> Iterator[tuple[int, Cluster]]:
    require_version(request.param)
    with running_cluster(tmp_path_factory.mktemp(f"attacked{request.param}"), request.param, options=OPTIONS) as cluster:
        yield request.param, cluster


@pytest.fixture(scope="module")
async def grantee(target) -> AsyncIterator:
    """A session with nothing but the credentials of a grant of `acme`."""
    role_name = await a_grantee(target)
    with target.grantee(role_name) as conn:
        yield conn


@pytest.fixture(scope="session")
def hardened(server) -> TargetDatabase:
    """A target on which every measure of `target harden` was taken that concerns its own database."""
    version, cluster = server
    made = prepare(cluster, version=version, installed_by="superuser", name="hardened")
    with made.superuser() as conn:
        for exposure in exposures(conn, made.definition):
            if exposure.code != OF_THE_WHOLE_CLUSTER:
                harden(conn, exposure.statement)
    return made


@pytest.fixture(scope="module")
async def confined(hardened) -> AsyncIterator:
    """A grantee's session on the hardened target."""
    role_name = await a_grantee(hardened)
    with hardened.grantee(role_name) as conn:
        yield conn


async def a_grantee(target: TargetDatabase) -> str:
    order = new_order(duration_seconds=7200, connection_limit=5)
    await granted(target.adapter(), target.definition, order)
    await handed_out(target.adapter(), target.definition, order.role_name)
    return order.role_name
