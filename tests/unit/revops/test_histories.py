"""What the receipts of a quote say about its submissions and revisions."""

from __future__ import annotations

from typing import Any

from trustpack.capabilities.revops.rules.histories import changed_terms, submissions_of, supersessions_of

QUOTE = f"quo_{'0' * 32}"


class Course:
    """Writes the bodies of a quote's receipts, one after the other."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.revision = 1

    def then(self, action: str, state: str, **payload: Any) -> Course:
        seq = len(self.bodies) + 1
        self.bodies.append(
            {
                "id": f"rcp_{seq}",
                "subject": {"kind": "quote", "id": QUOTE},
                "seq": seq,
                "action": action,
                "state": state,
                "actor": {"id": f"usr_{action}"},
                "occurred_at": f"T{seq}",
                "payload": {"revision": self.revision, "terms_digest": f"sha256:{self.revision}", **payload},
            }
        )
        return self

    def submitted(self, *roles: str) -> Course:
        return self.then("submitted", "pending_approval", required_approvals=list(roles), decision_id="dec_1")

    def revised(self, *, from_status: str) -> Course:
        self.revision += 1
        return self.then("revised", "draft", superseded_status=from_status)


def begun() -> Course:
    return Course().then("created", "draft")


def test_a_quote_that_was_never_submitted_has_no_submission() -> None:
    assert submissions_of(begun().then("previewed", "draft").bodies) == ()


def test_a_submission_in_the_middle_says_which_role_is_filled_and_which_is_open() -> None:
    course = begun().submitted("manager", "finance").then("approved", "pending_approval", filled={"manager": "usr_m"})

    [submission] = submissions_of(course.bodies)

    assert (submission.required, submission.filled, submission.open_roles) == (
        ("manager", "finance"),
        {"manager": "usr_m"},
        ("finance",),
    )
    assert (submission.status, submission.ended_seq, submission.receipt_id) == ("pending_approval", None, "rcp_2")


def test_the_last_approval_says_who_fills_what() -> None:
    # One person can fill either role: the second vote moves the first one to the other role.
    course = begun().submitted("manager", "finance").then("approved", "pending_approval", filled={"manager": "usr_both"})
    course.then("approved", "approved", filled={"manager": "usr_m", "finance": "usr_both"}).then("activated", "activated")

    [submission] = submissions_of(course.bodies)

    assert submission.filled == {"manager": "usr_m", "finance": "usr_both"}
    assert (submission.open_roles, submission.status, submission.ended_seq, submission.ended_at) == ((), "activated", 5, "T5")


def test_a_rejection_keeps_what_was_filled_and_a_blocked_attempt_ends_nothing() -> None:
    course = begun().submitted("manager", "finance").then("approved", "pending_approval", filled={"manager": "usr_m"})
    course.then("refused", "pending_approval").then("rejected", "rejected").then("refused", "rejected")

    [submission] = submissions_of(course.bodies)

    assert (submission.filled, submission.status, submission.ended_seq) == ({"manager": "usr_m"}, "rejected", 5)


def test_each_revision_has_its_own_submission_and_what_superseded_it() -> None:
    course = begun().submitted("manager", "finance").then("rejected", "rejected").revised(from_status="rejected").submitted("ae")

    first, second = submissions_of(course.bodies)

    assert [(each.revision, each.terms_digest, each.status) for each in (first, second)] == [
        (1, "sha256:1", "rejected"),
        (2, "sha256:2", "pending_approval"),
    ]
    [(revision, supersession)] = supersessions_of(course.bodies).items()
    assert (revision, supersession.by_revision, supersession.status_before) == (1, 2, "rejected")
    assert (supersession.receipt_id, supersession.superseded_by, supersession.superseded_at) == ("rcp_4", "usr_revised", "T4")


def test_the_changed_terms_are_named_without_the_number_of_the_revision() -> None:
    before = {"revision": 1, "lines": [1], "currency": "USD", "valid_until": "a"}

    assert changed_terms(before, before | {"revision": 2}) == []
    assert changed_terms(before, before | {"revision": 2, "lines": [2], "valid_until": "b"}) == ["lines", "valid_until"]
