"""The question that policy is asked: complete, ordered, and without a word of free text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from trustpack.capabilities.operations.rules.policy_input import policy_input
from trustpack.kernel.actor import Actor, ActorKind, Role

NOW = datetime(2026, 11, 21, 20, 0, 0, 999_999, tzinfo=UTC)
ACTOR = Actor(
    tenant_id="t",
    id="usr_1",
    kind=ActorKind.PERSON,
    handle="erin",
    account_id="acc_1",
    roles=frozenset({Role.TEAM_LEAD, Role.ENGINEER}),
)


def asked(**changes: Any) -> Any:
    question = {
        "action": "execute",
        "actor": ACTOR,
        "now": NOW,
        "operation_type": "TEMP_DB_READ_ACCESS",
        "environment": "prod",
        "target": "orders-prod",
        "duration_seconds": 3600,
        "approvals": {Role.TEAM_LEAD: "usr_3", Role.SECURITY_OFFICER: "usr_2"},
    }
    return policy_input(**{**question, **changes})


def test_the_question_has_exactly_these_fields() -> None:
    assert asked() == {
        "action": "execute",
        "now": 1795291200,
        "subject": {"id": "usr_1", "kind": "person", "roles": ["engineer", "team_lead"]},
        "resource": {"type": "TEMP_DB_READ_ACCESS", "environment": "prod", "target": "orders-prod", "duration_seconds": 3600},
        "context": {"approvals": [{"role": "security_officer", "person": "usr_2"}, {"role": "team_lead", "person": "usr_3"}]},
    }


def test_the_order_in_which_roles_were_filled_does_not_matter() -> None:
    assert asked(approvals={Role.SECURITY_OFFICER: "usr_2", Role.TEAM_LEAD: "usr_3"}) == asked()


def test_time_is_whole_seconds() -> None:
    assert asked(now=NOW)["now"] == asked(now=NOW.replace(microsecond=0))["now"]
