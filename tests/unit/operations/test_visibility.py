"""Who may read a request, role by role and relation by relation."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trustpack.capabilities.operations.model import HighRiskRequest, Status
from trustpack.capabilities.operations.rules.visibility import may_read
from trustpack.kernel.actor import Actor, ActorKind, Role

READERS = {Role.TEAM_LEAD, Role.SECURITY_OFFICER, Role.AUDITOR, Role.ADMIN}
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def request_of(requester_id: str, *team_ids: str) -> HighRiskRequest:
    return HighRiskRequest(
        id="hro_1",
        version=1,
        status=Status.PENDING_APPROVAL,
        type="TEMP_DB_READ_ACCESS",
        environment="prod",
        target_id="tgt_1",
        target_name="orders-prod",
        scope="acme",
        duration_seconds=60,
        justification="",
        ticket=None,
        requester_id=requester_id,
        requester_team_ids=team_ids,
        effect=b"{}",
        effect_digest="",
        required_approvals=(),
        self_approvable=(),
        decision_id="dec_1",
        created_at=NOW,
        approval_expires_at=NOW,
        use_by=None,
    )


def person(*roles: Role, teams: tuple[str, ...] = ()) -> Actor:
    return Actor(tenant_id="t", id="usr_1", kind=ActorKind.PERSON, handle="x", roles=frozenset(roles), team_ids=frozenset(teams))


@pytest.mark.parametrize("role", Role)
def test_a_role_reads_other_peoples_requests_only_if_it_approves_audits_or_administers(role: Role) -> None:
    assert may_read(person(role), request_of("usr_2", "team_1")) is (role in READERS)


def test_one_role_that_reads_is_enough_beside_others_that_do_not() -> None:
    assert may_read(person(Role.AE, Role.AUDITOR), request_of("usr_2"))


def test_everybody_reads_their_own() -> None:
    assert may_read(person(), request_of("usr_1"))


def test_a_common_team_is_enough() -> None:
    assert may_read(person(teams=("team_1", "team_2")), request_of("usr_2", "team_2", "team_3"))


def test_another_team_is_not() -> None:
    assert not may_read(person(teams=("team_1",)), request_of("usr_2", "team_2"))


def test_two_people_without_a_team_have_none_in_common() -> None:
    assert not may_read(person(), request_of("usr_2"))
