"""Every way of breaking the flow that is known has a test that names its number."""

from __future__ import annotations

import ast

from tests.architecture.adversarial_cases import CASES
from tests.architecture.sources import ROOT, project_files, read


def test_each_adversarial_case_has_a_test_and_each_test_a_case():
    named: set[int] = set()
    for path in project_files():
        if path.suffix == ".py" and path.is_relative_to(ROOT / "tests") and path.name.startswith("test_"):
            named |= _numbers_in(ast.parse(read(path)))

    assert sorted(CASES.keys() - named) == [], "no test names these"
    assert sorted(named - CASES.keys()) == [], "these are not in the list"


def _numbers_in(tree: ast.Module) -> set[int]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    marks = (call for call in calls if ast.unparse(call.func) == "pytest.mark.adversarial")
    return {argument.value for mark in marks for argument in mark.args if isinstance(argument, ast.Constant)}
