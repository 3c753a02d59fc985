"""Named errors: what they carry, and that each kind can be presented."""

from __future__ import annotations

import pytest

from trustpack.kernel.errors import ErrorKind, InvalidInput, NotFound, TrustpackError
from trustpack.platform.web.problems import STATUS_OF_KIND


class OutOfPaper(TrustpackError):
    """An error such as a capability defines."""

    kind = ErrorKind.UNAVAILABLE
    code = "printer.out_of_paper"
    title = "Out of paper"
    detail = "There is no paper."
    next_step = "Add paper."


def test_an_error_says_what_its_class_says_unless_told_otherwise():
    error = OutOfPaper()

    assert (error.detail, error.next_step, dict(error.data)) == ("There is no paper.", "Add paper.", {})
    assert str(error) == "There is no paper."


def test_an_instance_may_replace_detail_and_next_step_and_add_data():
    error = OutOfPaper("Tray 2 is empty.", next_step="Fill tray 2.", tray=2)

    assert (error.detail, error.next_step, dict(error.data)) == ("Tray 2 is empty.", "Fill tray 2.", {"tray": 2})


def test_what_one_instance_says_does_not_reach_the_next():
    OutOfPaper("Tray 2 is empty.", next_step="Fill tray 2.", tray=2)

    error = OutOfPaper()

    assert (error.detail, error.next_step, dict(error.data)) == ("There is no paper.", "Add paper.", {})


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_has_an_http_status_of_its_own(kind: ErrorKind):
    others = [status for other, status in STATUS_OF_KIND.items() if other != kind]

    assert 400 <= STATUS_OF_KIND[kind] < 600
    assert STATUS_OF_KIND[kind] not in others


def test_invalid_input_names_the_fields_at_fault():
    error = InvalidInput(errors=[{"field": "ticket", "message": "too long"}])

    assert error.data["errors"] == [{"field": "ticket", "message": "too long"}]


def test_not_found_tells_nothing_about_the_object():
    assert dict(NotFound().data) == {}
