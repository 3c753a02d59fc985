"""Transactions, time, randomness, output and SQL have one home each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.architecture import code_rules
from tests.architecture.faults import Fault, faults_in, report
from tests.architecture.sources import PACKAGE, ROOT, product_modules, project_files

Check = Callable[[str], Iterator[Fault]]
CAPABILITIES = PACKAGE / "capabilities"
CODE_FOLDERS = ("src", "tests", "tools", "bench", "policies", "packs", "deploy", ".ci")


def modules_except(*homes: Path) -> list[Path]:
    return [path for path in product_modules() if path not in homes]


def is_terminal(path: Path) -> bool:
    return bool({"cli", "demo"} & {part.removesuffix(".py") for part in path.relative_to(PACKAGE).parts})


def is_adapter(path: Path) -> bool:
    return "adapters" in path.relative_to(PACKAGE).parts


@pytest.mark.parametrize(
    ("check", "home"),
    [
        (code_rules.check_transactions, "unit_of_work.py"),
        (code_rules.check_clock, "system_clock.py"),
        (code_rules.check_randomness, "entropy.py"),
    ],
    ids=["transactions", "clock", "randomness"],
)
def test_what_touches_the_world_has_one_home(check: Check, home: str):
    faults = faults_in(modules_except(PACKAGE / "platform" / home), check)

    assert not faults, report(faults)


def test_only_commands_and_the_demo_print():
    faults = faults_in((path for path in product_modules() if not is_terminal(path)), code_rules.check_printing)

    assert not faults, report(faults)


def test_no_exception_is_caught_without_a_name():
    faults = faults_in(product_modules(), code_rules.check_bare_except)

    assert not faults, report(faults)


def test_nothing_is_left_unfinished_in_a_comment():
    paths = (path for path in project_files() if path.relative_to(ROOT).parts[0] in CODE_FOLDERS)
    faults = faults_in(paths, code_rules.check_unfinished)

    assert not faults, report(faults)


def test_sql_of_the_capabilities_is_constant():
    paths = (path for path in product_modules() if path.is_relative_to(CAPABILITIES) and not is_adapter(path))
    faults = faults_in(paths, code_rules.check_sql_building)

    assert not faults, report(faults)


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (code_rules.check_transactions, "await connection.commit()"),
        (code_rules.check_transactions, "self.connection.rollback()"),
        (code_rules.check_transactions, "await tx.write('commit;', {})"),
        (code_rules.check_transactions, "connection.execute(sql.SQL('ROLLBACK'))"),
        (code_rules.check_clock, "import time as t\nstarted = t.monotonic()"),
        (code_rules.check_clock, "from time import perf_counter\ntimer(perf_counter)"),
        (code_rules.check_clock, "from datetime import datetime as d\nd.now()"),
        (code_rules.check_clock, "import datetime\ndatetime.datetime.utcnow()"),
        (code_rules.check_clock, "import asyncio\nasyncio.get_running_loop().time()"),
        (code_rules.check_randomness, "import secrets"),
        (code_rules.check_randomness, "def f():\n    from random import choice"),
        (code_rules.check_randomness, "import os\nos.urandom(8)"),
        (code_rules.check_randomness, "from uuid import uuid4\nfield(default_factory=uuid4)"),
        (
            code_rules.check_randomness,
            "from cryptography.hazmat.primitives.asymmetric import ed25519\ned25519.Ed25519PrivateKey.generate()",
        ),
        (code_rules.check_printing, "print('hello')"),
        (code_rules.check_bare_except, "try:\n    pass\nexcept:\n    pass"),
        (code_rules.check_unfinished, "x = 1  # TO" + "DO: later"),
        (code_rules.check_sql_building, "tx.fetch_one(f'SELECT {name}', {})"),
        (code_rules.check_sql_building, "tx.fetch_all('SELECT {}'.format(name), {})"),
        (code_rules.check_sql_building, "tx.write('SELECT %s' % name, {})"),
        (code_rules.check_sql_building, "cursor.execute('SELECT ' + name)"),
        (code_rules.check_sql_building, "query = 'SELECT 1'\nquery += where\ncursor.execute(query)"),
        (code_rules.check_sql_building, "query = f'SELECT {name}'\ncursor.execute(query)"),
        (code_rules.check_sql_building, "cursor.execute(' AND '.join(parts))"),
    ],
)
def test_a_broken_rule_is_found(check: Check, source: str):
    assert list(check(source))


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (code_rules.check_transactions, "async with unit_of_work.transaction(tenant_id) as tx: ..."),
        (code_rules.check_transactions, "window.get('end')"),
        (code_rules.check_transactions, "script = sql.SQL('commit;')"),
        (code_rules.check_clock, "from datetime import datetime\ndatetime.fromisoformat(text)"),
        (code_rules.check_clock, "import time\ntime.sleep(1)"),
        (code_rules.check_randomness, "from uuid import UUID\nUUID(text)"),
        (code_rules.check_unfinished, "x = 1  # waits for the lease"),
        (code_rules.check_sql_building, "tx.fetch_one('SELECT 1 ' 'WHERE %(id)s = 1', {'id': f'{a}'})"),
        (code_rules.check_sql_building, "tx.fetch_one(COLUMNS + ' WHERE id = %(id)s', {})"),
        (code_rules.check_sql_building, "report.write(f'{total} rows')"),
    ],
)
def test_an_allowed_form_is_left_alone(check: Check, source: str):
    assert not list(check(source))
