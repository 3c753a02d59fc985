"""One prepared database per server version and kind of installer, shared by all tests of a run."""

from __future__ import annotations

from tests.support.target_fixtures import adapter, another_order, grant_access, new_name, order, server, target

__all__ = ["adapter", "another_order", "grant_access", "new_name", "order", "server", "target"]
