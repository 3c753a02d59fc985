"""Files stand where the plan says, stay short, and say what they promise."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from tests.architecture import shape_rules
from tests.architecture.faults import faults_in, report
from tests.architecture.sources import PACKAGE, ROOT, product_modules, project_files, read, shown


def in_package(path) -> PurePosixPath:
    return PurePosixPath(path.relative_to(PACKAGE).as_posix())


def test_a_capability_holds_the_agreed_files_only():
    faults = [
        f"{shown(path)}: {fault.message}" for path in product_modules() for fault in shape_rules.check_place(in_package(path))
    ]

    assert not faults, report(faults)


def test_no_module_outgrows_its_limit():
    faults = [
        f"{shown(path)}: {fault.message}"
        for path in product_modules()
        for fault in shape_rules.check_length(in_package(path), read(path))
    ]

    assert not faults, report(faults)


def test_no_template_sheet_or_script_outgrows_its_limit():
    faults = [
        f"{shown(path)}: {fault.message}"
        for path in project_files()
        if path.is_relative_to(PACKAGE)
        for fault in shape_rules.check_page_file(in_package(path), read(path))
    ]

    assert not faults, report(faults)


def test_every_name_says_what_it_holds():
    code = (path for path in project_files() if path.suffix in {".py", ".rego", ".sql", ".sh", ".html", ".css", ".js"})
    faults = [
        f"{shown(path)}: {fault.message}"
        for path in code
        for fault in shape_rules.check_name(PurePosixPath(path.relative_to(ROOT).as_posix()))
    ]

    assert not faults, report(faults)


def test_every_module_class_and_public_function_has_a_docstring():
    faults = faults_in(product_modules(), shape_rules.check_docstrings)

    assert not faults, report(faults)


@pytest.mark.parametrize(
    "path",
    [
        "capabilities/ledger/receipts.py",
        "capabilities/ledger/queries/find.py",
        "capabilities/ledger/templates/view.py",
        "capabilities/operations/adapters.py",
    ],
)
def test_a_file_outside_the_plan_is_found(path: str):
    assert list(shape_rules.check_place(PurePosixPath(path)))


@pytest.mark.parametrize(
    "path",
    [
        "capabilities/__init__.py",
        "capabilities/ledger/__init__.py",
        "capabilities/ledger/store.py",
        "capabilities/ledger/store/receipts.py",
        "capabilities/operations/adapters/postgres.py",
        "capabilities/operations/adapters/postgres/install.py",
        "capabilities/operations/target.schema.json",
        "platform/jobs/worker.py",
    ],
)
def test_a_file_of_the_plan_is_left_alone(path: str):
    assert not list(shape_rules.check_place(PurePosixPath(path)))


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("capabilities/ledger/__init__.py", 60),
        ("capabilities/ledger/model.py", 250),
        ("capabilities/ledger/service/record.py", 350),
        ("capabilities/operations/adapters/postgres/install.py", 300),
        ("platform/unit_of_work.py", 400),
    ],
)
def test_a_file_may_reach_its_limit_and_not_pass_it(path: str, limit: int):
    assert not list(shape_rules.check_length(PurePosixPath(path), "x = 1\n" * limit))
    assert list(shape_rules.check_length(PurePosixPath(path), "x = 1\n" * (limit + 1)))


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("capabilities/x/templates/a.html", 121),
        ("platform/web/static/css/a.css", 401),
        ("platform/web/static/js/a.js", 121),
        ("capabilities/x/pages/a.html", 1),
        ("capabilities/x/templates/a.css", 1),
        ("app/a.js", 1),
    ],
)
def test_a_page_file_that_is_long_or_out_of_place_is_found(path: str, lines: int):
    assert list(shape_rules.check_page_file(PurePosixPath(path), "x\n" * lines))


@pytest.mark.parametrize(
    ("path", "lines"),
    [("capabilities/x/templates/a.html", 120), ("platform/web/static/vendor/a.js", 999), ("platform/web/static/css/a.css", 400)],
)
def test_a_page_file_in_its_place_and_limit_is_left_alone(path: str, lines: int):
    assert not list(shape_rules.check_page_file(PurePosixPath(path), "x\n" * lines))


@pytest.mark.parametrize("path", ["src/utils.py", "src/common/x.py", "src/request_manager.py", "tests/db-helpers.py"])
def test_an_empty_name_is_found(path: str):
    assert list(shape_rules.check_name(PurePosixPath(path)))


@pytest.mark.parametrize(
    "source",
    [
        "x = 1",
        '"""Doc."""\ndef f(): ...',
        '"""Doc."""\nasync def f(): ...',
        '"""Doc."""\nclass C: ...',
    ],
)
def test_a_missing_docstring_is_found(source: str):
    assert list(shape_rules.check_docstrings(source))


def test_what_is_private_or_fulfils_a_protocol_needs_no_docstring():
    source = '"""Doc."""\ndef _f(): ...\nclass C:\n    """Doc."""\n    def method(self): ...'

    assert not list(shape_rules.check_docstrings(source))
