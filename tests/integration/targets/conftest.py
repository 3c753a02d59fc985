"""One prepared database per server version and kind of installer, shared by all tests of a run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.support.targets import (
    BIN_PATHS,
    TargetDatabase,
    an_order,
    granted,
    handed_out,
    prepare,
    require_version,
    running_cluster,
)
from trustpack.platform.embedded_postgres import Cluster

_numbers = count(1)


@pytest.fixture(scope="session", params=list(BIN_PATHS), ids=lambda version: f"pg{version}")
def server(request, tmp_path_factory) -> Iterator[tuple[int, Cluster]]:
    require_version(request.param)
    with running_cluster(tmp_path_factory.mktemp(f"pg{request.param}"), request.param) as cluster:
        yield request.param, cluster


@pytest.fixture(scope="session", params=["superuser", "owner"])
def target(request, server) -> TargetDatabase:
    version, cluster = server
    return prepare(cluster, version=version, installed_by=request.param, name=f"shop-{request.param}")


@pytest.fixture
def adapter(target):
    return target.adapter()


@pytest.fixture
def order():
    return an_order(next(_numbers))


@pytest.fixture
def another_order():
    return an_order(next(_numbers))


@pytest.fixture
def new_name():
    """A target name that no other test of the session uses."""
    return f"other-{next(_numbers)}"


@pytest.fixture
def grant_access(target, adapter):
    """Grant access with credentials, as the flow does, and return the order's role name."""

    async def grant(order):
        await granted(adapter, target.definition, order)
        await handed_out(adapter, target.definition, order.role_name)
        return order.role_name

    return grant
