"""Every numbered policy case has a test that names it, and no test names one that is not listed."""

from __future__ import annotations

import ast

from tests.architecture.policy_cases import CASES
from tests.architecture.sources import ROOT, project_files, read, shown


def numbers_named(source: str, marker: str) -> list[int]:
    """The numbers in `@pytest.mark.<marker>(...)` of every test in a source."""
    return [
        argument.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == f"pytest.mark.{marker}"
        for argument in decorator.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, int)
    ]


def test_every_policy_case_is_shown_by_a_test_and_every_number_is_that_of_a_case():
    tests = [path for path in project_files() if path.is_relative_to(ROOT / "tests") and path.name.startswith("test_")]
    named = {number: shown(path) for path in tests for number in numbers_named(read(path), "policy_case")}

    assert sorted(CASES.keys() - named.keys()) == []
    assert {number: path for number, path in named.items() if number not in CASES} == {}


def test_the_numbers_of_a_test_are_found_and_those_of_other_code_are_not():
    source = (
        "@pytest.mark.policy_case(4, 5)\n@pytest.mark.other(6)\nasync def test_a(): ...\n"
        "@pytest.mark.policy_case(7)\ndef helper(): ...\n# @pytest.mark.policy_case(8)\ndef test_b(): ...\n"
    )

    assert numbers_named(source, "policy_case") == [4, 5]
