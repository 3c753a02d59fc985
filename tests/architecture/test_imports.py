"""Imports point down, go through front doors, and keep the pure parts pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.architecture import import_rules
from tests.architecture.faults import Fault, report
from tests.architecture.sources import module_name, product_modules, read, shown

Check = Callable[..., Iterator[Fault]]
CHECKS = [
    import_rules.check_front_doors,
    import_rules.check_ranks,
    import_rules.check_layers,
    import_rules.check_pages,
    import_rules.check_purity,
]
OPERATIONS = "trustpack.capabilities.operations"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_product_keeps_its_import_rules(check: Check):
    faults = [
        f"{shown(path)}:{fault.line}: {fault.message}"
        for path in product_modules()
        for fault in check(read(path), module=module_name(path), is_package=path.name == "__init__.py")
    ]

    assert not faults, report(faults)


@pytest.mark.parametrize(
    ("check", "module", "source"),
    [
        (import_rules.check_front_doors, f"{OPERATIONS}.service", "from trustpack.capabilities.ledger.store import insert"),
        (import_rules.check_front_doors, f"{OPERATIONS}.service", "from trustpack.capabilities.ledger import store"),
        (import_rules.check_front_doors, f"{OPERATIONS}.service", "import trustpack.capabilities.ledger.model as m"),
        (import_rules.check_front_doors, f"{OPERATIONS}.service", "from ..ledger.store import insert"),
        (import_rules.check_front_doors, "trustpack.app.http", f"from {OPERATIONS}.store import find"),
        (import_rules.check_ranks, f"{OPERATIONS}.rules", f"from {OPERATIONS}.service import approve"),
        (import_rules.check_ranks, f"{OPERATIONS}.store.requests", f"from {OPERATIONS} import ports"),
        (import_rules.check_ranks, f"{OPERATIONS}.api", f"from {OPERATIONS} import pages"),
        (import_rules.check_ranks, f"{OPERATIONS}.api", f"from {OPERATIONS} import approve"),
        (import_rules.check_ranks, f"{OPERATIONS}.model", "from .store import find"),
        (import_rules.check_layers, "trustpack.kernel.ids", "from trustpack.platform.entropy import SystemIds"),
        (import_rules.check_layers, "trustpack.platform.web", "from trustpack import capabilities"),
        (import_rules.check_layers, "trustpack.platform.web", "def late():\n    from trustpack.app import http"),
        (import_rules.check_pages, f"{OPERATIONS}.pages", f"from {OPERATIONS} import store"),
        (import_rules.check_pages, f"{OPERATIONS}.pages.requests", f"from {OPERATIONS}.store.requests import find"),
        (import_rules.check_pages, f"{OPERATIONS}.pages.requests", "from psycopg import sql"),
        (import_rules.check_pages, "trustpack.platform.web.pages.page", "import psycopg"),
        (import_rules.check_pages, f"{OPERATIONS}.pages.requests", "rows = await reading.store.find(tx)"),
        (import_rules.check_pages, f"{OPERATIONS}.pages.requests", "rows = await tx.fetch_all('SELECT 1', {})"),
        (import_rules.check_pages, "trustpack.capabilities.evidence.pages", "write = tx.write"),
        (import_rules.check_purity, "trustpack.kernel.ids", "import pydantic"),
        (import_rules.check_purity, "trustpack.kernel.clock", "import time"),
        (import_rules.check_purity, "trustpack.proof.verify", "import yaml"),
        (import_rules.check_purity, "trustpack.proof.verify", "from urllib import request"),
        (import_rules.check_purity, f"{OPERATIONS}.model", "from psycopg import sql"),
        (import_rules.check_purity, f"{OPERATIONS}.rules.quorum", "from trustpack.platform.settings import Settings"),
    ],
)
def test_a_forbidden_import_is_found(check: Check, module: str, source: str):
    assert list(check(source, module=module))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (f"{OPERATIONS}.service", "from trustpack.capabilities.ledger import record"),
        (f"{OPERATIONS}.service", "from trustpack.capabilities import ledger"),
        (f"{OPERATIONS}.service", f"from {OPERATIONS} import rules, store"),
        (f"{OPERATIONS}.service.approve", f"from {OPERATIONS}.service.load import load"),
        (f"{OPERATIONS}.adapters.postgres", f"from {OPERATIONS}.ports import TargetAdapter"),
        (f"{OPERATIONS}.pages.requests", f"from {OPERATIONS}.service.reading import read_request"),
        ("trustpack.app.http", f"from {OPERATIONS}.api import router"),
        ("trustpack.proof.verify", "from cryptography.hazmat.primitives.asymmetric import ed25519"),
        ("trustpack.kernel.clock", "from datetime import datetime"),
    ],
)
def test_an_allowed_import_is_left_alone(module: str, source: str):
    assert not [fault for check in CHECKS for fault in check(source, module=module)]


def test_a_front_door_may_open_its_own_files():
    source = f"from {OPERATIONS}.service import approve"

    assert not [fault for check in CHECKS for fault in check(source, module=OPERATIONS, is_package=True)]
