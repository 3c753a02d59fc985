"""Fixtures of tests on targets: one prepared database per server version and kind of installer, for all tests of a folder.

A folder's conftest imports what it needs by name, and may put a `server` of its own in place of this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

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
from trustpack.capabilities.operations.model import GrantOrder
from trustpack.platform.embedded_postgres import Cluster

_numbers = count(1)


def new_order(**replaced: Any) -> GrantOrder:
    """Return an order with a role name that no other test of the run uses."""
    return an_order(next(_numbers), **replaced)


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
    return new_order()


@pytest.fixture
def another_order():
    return new_order()


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
