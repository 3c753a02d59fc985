"""Every numbered case of a deal has a test that names it, and no test names one that is not listed."""

from __future__ import annotations

from tests.architecture.deal_cases import CASES
from tests.architecture.sources import ROOT, project_files, read, shown
from tests.architecture.test_policy_cases import numbers_named


def test_every_case_of_a_deal_is_shown_by_a_test_and_every_number_is_that_of_a_case():
    tests = [path for path in project_files() if path.is_relative_to(ROOT / "tests") and path.name.startswith("test_")]
    named = {number: shown(path) for path in tests for number in numbers_named(read(path), "deal_case")}

    assert sorted(CASES.keys() - named.keys()) == []
    assert {number: path for number, path in named.items() if number not in CASES} == {}
