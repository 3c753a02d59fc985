"""Who may vote, what a vote counts for, and when it is too late."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest

from tests.support.clock import MovableClock
from tests.support.stored import counts, jobs_of, rows, run_due, tables_holding
from tests.support.world import World
from tests.support.worlds import ScriptedWorld, scripted_world
from trustpack.app.bootstrap import Container
from trustpack.capabilities import directory
from trustpack.capabilities.operations.service.expiring import expire
from trustpack.kernel.actor import ActorKind, Role
from trustpack.kernel.clock import parse_time
from trustpack.platform.jobs import Job

ANOTHER_DIGEST = "sha256:" + "0" * 64


async def second_account(world: World, handle: str) -> None:
    """Give a person one more account and let `call` use it from now on."""
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        account_id = await directory.link_account(tx, world.operator, handle=handle)
    await world.issue_token(handle, account_id=account_id)


async def refused_attempts(world: World, request_id: str) -> list[dict[str, Any]]:
    return [receipt["payload"] for receipt in await world.receipts(request_id) if receipt["action"] == "refused"]


async def vote(world: World, request_id: str, handles: Sequence[str]) -> str:
    """Let people approve in order and return the state that follows."""
    for handle in handles:
        response = await world.act(handle, request_id, "approve", {})
        assert response.status_code == 200, response.text
    return str((await world.read(request_id))["status"])


async def test_a_vote_is_shown_with_its_voter_its_digest_and_whether_it_was_confirmed(world: World) -> None:
    request = await world.ask()

    await world.act("user-team-lead", request["id"], "approve", {"effect_digest": request["effect_digest"], "comment": "go"})
    response = await world.act("user-security", request["id"], "approve", {})

    first, second = response.json()["approvals"]
    assert first["id"].startswith("apr_")
    assert first["approver"] == {"id": world.people["user-team-lead"].id, "handle": "user-team-lead"}
    assert (first["verdict"], first["comment"], first["effect_digest"]) == ("approve", "go", request["effect_digest"])
    assert (first["digest_confirmed"], second["digest_confirmed"]) == (True, False)
    assert second["effect_digest"] == request["effect_digest"]


@pytest.mark.parametrize(
    "voters",
    [
        order
        for pair in (
            ("user-team-lead", "user-security"),
            ("user-team-lead", "user-lead-and-security"),
            ("user-lead-and-security", "user-security"),
        )
        for order in permutations(pair)
    ],
)
async def test_two_people_who_can_fill_both_roles_approve_in_any_order(world: World, voters: Sequence[str]) -> None:
    request = await world.ask()

    assert await vote(world, request["id"], voters[:1]) == "pending_approval"
    assert await vote(world, request["id"], voters[1:]) == "approved"


@pytest.mark.adversarial(3)
async def test_a_person_with_both_roles_fills_only_one(world: World) -> None:
    request = await world.ask()

    assert await vote(world, request["id"], ["user-lead-and-security"]) == "pending_approval"


async def test_a_vote_for_a_named_role_does_not_fill_another(world: World) -> None:
    request = await world.ask()

    await world.act("user-lead-and-security", request["id"], "approve", {"role": "team_lead"})

    assert await vote(world, request["id"], ["user-team-lead"]) == "pending_approval"
    assert await vote(world, request["id"], ["user-security"]) == "approved"


@pytest.mark.adversarial(1)
async def test_the_requester_cannot_approve_even_with_an_approving_role(world: World) -> None:
    await world.change_role("user-engineer", Role.TEAM_LEAD, grant=True)
    request = await world.ask()

    response = await world.act("user-engineer", request["id"], "approve", {})

    assert (response.status_code, response.json()["code"]) == (403, "operations.self_approval_forbidden")
    assert (await counts(world, "approvals"))["approvals"] == 0
    assert [attempt["code"] for attempt in await refused_attempts(world, request["id"])] == ["operations.self_approval_forbidden"]


@pytest.mark.adversarial(2)
async def test_the_requester_cannot_approve_through_another_account(world: World) -> None:
    await world.change_role("user-engineer", Role.SECURITY_OFFICER, grant=True)
    request = await world.ask()
    await second_account(world, "user-engineer")

    response = await world.act("user-engineer", request["id"], "approve", {"effect_digest": request["effect_digest"]})

    assert (response.status_code, response.json()["code"]) == (403, "operations.self_approval_forbidden")
    assert await world.actions(request["id"]) == ["requested", "refused"]


async def test_the_requester_cannot_reject_in_place_of_cancelling(world: World) -> None:
    request = await world.ask()

    response = await world.act("user-engineer", request["id"], "reject", {"reason": "no"})

    assert (response.status_code, response.json()["code"]) == (403, "operations.self_approval_forbidden")


@pytest.mark.adversarial(12)
async def test_one_person_votes_once_whichever_account_they_use(world: World) -> None:
    request = await world.ask()
    await vote(world, request["id"], ["user-lead-and-security"])
    await second_account(world, "user-lead-and-security")

    response = await world.act("user-lead-and-security", request["id"], "approve", {"role": "security_officer"})

    assert (response.status_code, response.json()["code"]) == (409, "approvals.already_voted")
    assert (await world.read(request["id"]))["status"] == "pending_approval"
    assert (await counts(world, "approvals"))["approvals"] == 1


@pytest.mark.parametrize("command", ["approve", "reject"])
@pytest.mark.parametrize("handle", ["user-auditor", "user-admin"])
async def test_who_holds_no_required_role_has_no_vote(world: World, handle: str, command: str) -> None:
    request = await world.ask()

    response = await world.act(handle, request["id"], command, {"reason": "no"} if command == "reject" else {})

    assert (response.status_code, response.json()["code"]) == (403, "operations.role_not_required")
    assert (await world.read(request["id"]))["status"] == "pending_approval"
    assert await refused_attempts(world, request["id"]) == [{"attempted": command, "code": "operations.role_not_required"}]


@pytest.mark.parametrize(
    ("role", "code"), [("security_officer", "operations.role_not_held"), ("finance", "operations.role_not_required")]
)
async def test_a_vote_for_a_role_that_the_voter_cannot_fill_is_refused(world: World, role: str, code: str) -> None:
    request = await world.ask()

    response = await world.act("user-team-lead", request["id"], "approve", {"role": role})

    assert (response.status_code, response.json()["code"]) == (403, code)
    assert (await counts(world, "approvals"))["approvals"] == 0


@pytest.mark.parametrize(
    ("command", "body"),
    [
        ("approve", {"role": "king"}),
        ("approve", {"effect_digest": "sha256:1"}),
        ("approve", {"effect_digest": ANOTHER_DIGEST.upper()}),
        ("approve", {"comment": "x" * 4097}),
        ("approve", {"comment": "é" * 2049}),
        ("approve", {"verdict": "approve"}),
        ("reject", {}),
        ("reject", {"reason": " "}),
        ("reject", {"reason": "€" * 1366}),
        ("cancel", {"reason": "\x1b[0m"}),
        ("cancel", {"reason": "€" * 1366}),
        ("revert", {}),
        ("revert", {"reason": "€" * 1366}),
        ("credentials", {"rotate": "true"}),
        ("credentials", {"rotate": 1}),
    ],
)
async def test_a_malformed_command_is_refused_and_leaves_no_receipt(world: World, command: str, body: dict[str, Any]) -> None:
    request = await world.ask()

    response = await world.act("user-team-lead", request["id"], command, body)

    assert response.status_code == 422, response.text
    assert await world.actions(request["id"]) == ["requested"]


@pytest.mark.adversarial(17)
@pytest.mark.parametrize("command", ["approve", "reject"])
async def test_a_bot_with_an_approving_role_has_no_vote(world: World, command: str) -> None:
    await world.add_person("bot-lead", Role.TEAM_LEAD, Role.SECURITY_OFFICER, kind=ActorKind.BOT)
    request = await world.ask()

    response = await world.act("bot-lead", request["id"], command, {"reason": "no"} if command == "reject" else {})

    assert (response.status_code, response.json()["code"]) == (403, "operations.not_a_person")
    assert await world.actions(request["id"]) == ["requested", "refused"]


@pytest.mark.adversarial(11)
async def test_a_vote_on_another_digest_is_refused_and_not_stored(world: World) -> None:
    request = await world.ask()

    response = await world.act("user-team-lead", request["id"], "approve", {"effect_digest": ANOTHER_DIGEST})

    assert (response.status_code, response.json()["code"]) == (409, "operations.stale_digest")
    assert response.json()["effect_digest"] == request["effect_digest"]
    assert (await counts(world, "approvals"))["approvals"] == 0
    assert [attempt["code"] for attempt in await refused_attempts(world, request["id"])] == ["operations.stale_digest"]


async def test_where_digests_are_demanded_a_vote_without_one_is_refused(container: Container, clock: MovableClock) -> None:
    async with scripted_world(container, clock, digest_required=True) as world:
        request = await world.ask()

        without = await world.act("user-team-lead", request["id"], "approve", {})
        confirmed = await world.act("user-team-lead", request["id"], "approve", {"effect_digest": request["effect_digest"]})

        assert (without.status_code, without.json()["code"]) == (422, "operations.digest_required")
        assert confirmed.status_code == 200


async def test_where_leads_approve_for_their_teams_a_lead_of_another_team_has_no_vote(
    container: Container, clock: MovableClock
) -> None:
    async with scripted_world(container, clock, team_lead_same_team=True) as world:
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            await directory.add_team(tx, world.operator, name="payments")
            for handle in ("user-engineer", "user-lead-and-security"):
                await directory.join_team(tx, world.operator, handle=handle, team="payments")
        request = await world.ask()

        other = await world.act("user-team-lead", request["id"], "approve", {})

        assert (other.status_code, other.json()["code"]) == (403, "operations.other_team")
        assert await vote(world, request["id"], ["user-lead-and-security", "user-security"]) == "approved"


@pytest.mark.adversarial(8, 13)
@pytest.mark.parametrize("command", ["approve", "reject"])
async def test_a_vote_after_the_window_is_refused_even_before_the_request_has_expired(world: World, command: str) -> None:
    request = await world.ask()
    world.clock.advance(hours=24)

    response = await world.act("user-team-lead", request["id"], command, {"reason": "no"} if command == "reject" else {})

    assert (response.status_code, response.json()["code"]) == (409, "operations.window_closed")
    assert await world.read(request["id"]) == request


@pytest.mark.adversarial(14)
async def test_a_request_whose_role_nobody_holds_waits_and_expires_and_is_never_approved(world: World) -> None:
    request = await world.ask()
    for handle in ("user-security", "user-lead-and-security"):
        await world.change_role(handle, Role.SECURITY_OFFICER, grant=False)
    for handle in ("user-team-lead", "user-lead-and-security"):
        await world.act(handle, request["id"], "approve", {"effect_digest": request["effect_digest"]})

    waiting = await world.read(request["id"])
    executed = await world.act("user-engineer", request["id"], "execute")
    world.clock.advance(hours=24)
    await run_due(world)

    assert (waiting["status"], len(waiting["approvals"])) == ("pending_approval", 2)
    assert (executed.status_code, executed.json()["code"]) == (409, "operations.wrong_state")
    assert (await world.read(request["id"]))["status"] == "expired"


@pytest.mark.adversarial(16)
async def test_a_request_without_its_approvals_expires_at_the_end_of_the_window(world: World) -> None:
    request = await world.ask()
    await vote(world, request["id"], ["user-team-lead"])

    world.clock.advance(hours=23, minutes=59)
    await run_due(world)
    early = await world.read(request["id"])
    world.clock.advance(minutes=1)
    await run_due(world)

    assert early["status"] == "pending_approval"
    assert (await world.read(request["id"]))["status"] == "expired"
    last = (await world.receipts(request["id"]))[-1]
    assert (last["action"], last["actor"]["kind"], last["payload"]) == ("expired", "system", {"waited_for": "approvals"})
    assert await jobs_of(world) == []


async def test_an_expiry_that_runs_too_early_changes_nothing_and_comes_back_in_time(world: World) -> None:
    request = await world.ask()
    [row] = await jobs_of(world)
    early = Job(world.tenant_id, row["id"], row["kind"], request["id"], due_at=world.clock.now(), attempts=1, lease_id="none")

    await expire(world.container.operations, early)

    assert await world.read(request["id"]) == request
    assert [job["due_at"] for job in await jobs_of(world)] == [parse_time(request["approval_expires_at"])]


@pytest.mark.adversarial(13)
async def test_an_approved_request_expires_when_it_is_not_used_within_an_hour(world: World) -> None:
    request = await world.approved()
    world.clock.advance(minutes=60)

    late = await world.act("user-engineer", request["id"], "execute")
    await run_due(world)

    assert (late.status_code, late.json()["code"]) == (409, "operations.window_closed")
    assert (await world.read(request["id"]))["status"] == "expired"
    assert (await world.receipts(request["id"]))[-1]["payload"] == {"waited_for": "execution"}


async def test_an_approval_late_in_the_window_leaves_the_whole_hour_to_use_it(world: World) -> None:
    request = await world.ask()
    world.clock.advance(hours=23, minutes=50)
    await vote(world, request["id"], ["user-team-lead", "user-security"])
    world.clock.advance(minutes=30)
    await run_due(world)

    response = await world.act("user-engineer", request["id"], "execute")

    assert response.json()["status"] == "active"


@pytest.mark.adversarial(9)
async def test_an_approver_who_loses_the_role_before_execution_sends_the_request_back(world: World) -> None:
    request = await world.approved()
    await world.change_role("user-team-lead", Role.TEAM_LEAD, grant=False)

    response = await world.act("user-engineer", request["id"], "execute")

    assert (response.status_code, response.json()["code"]) == (409, "operations.approvals_void")
    reopened = await world.read(request["id"])
    assert (reopened["status"], reopened["use_by"], reopened["execution"]) == ("pending_approval", None, None)
    last = (await world.receipts(request["id"]))[-1]
    assert (last["action"], last["payload"]["why"]) == ("drift_detected", "approver_lost_role")


@pytest.mark.adversarial(9)
async def test_a_request_sent_back_for_a_lost_role_needs_every_role_again(world: World) -> None:
    request = await world.approved()
    await world.change_role("user-team-lead", Role.TEAM_LEAD, grant=False)
    await world.act("user-engineer", request["id"], "execute")
    reopened = await world.read(request["id"])

    after_one = await vote(world, request["id"], ["user-lead-and-security"])
    after_both = await vote(world, request["id"], ["user-security"])

    assert [entry["status"] for entry in reopened["approvals"]] == ["superseded", "superseded"]
    assert (after_one, after_both) == ("pending_approval", "approved")
    assert (await world.act("user-engineer", request["id"], "execute")).json()["status"] == "active"


async def test_each_time_a_request_is_sent_back_it_is_voted_on_in_a_round_with_a_digest_of_its_own(world: World) -> None:
    request = await world.approved()
    seen = [await world.read(request["id"])]
    for _ in range(2):
        await world.change_role("user-team-lead", Role.TEAM_LEAD, grant=False)
        await world.act("user-engineer", request["id"], "execute")
        await world.change_role("user-team-lead", Role.TEAM_LEAD, grant=True)
        seen.append(await world.read(request["id"]))
        await vote(world, request["id"], ["user-team-lead", "user-security"])

    documents = [dict(entry["effect"]["document"]) for entry in seen]
    assert [document.pop("approval_round") for document in documents] == [1, 2, 3]
    assert documents[0] == documents[1] == documents[2]
    assert len({entry["effect_digest"] for entry in seen}) == 3
    approvals = (await world.read(request["id"]))["approvals"]
    assert [entry["status"] for entry in approvals] == ["superseded"] * 4 + ["given"] * 2


@pytest.mark.adversarial(12)
async def test_a_yes_to_the_last_round_is_stale_in_the_next(world: World) -> None:
    request = await world.approved()
    await world.change_role("user-team-lead", Role.TEAM_LEAD, grant=False)
    await world.act("user-engineer", request["id"], "execute")

    response = await world.act("user-security", request["id"], "approve", {"effect_digest": request["effect_digest"]})

    assert (response.status_code, response.json()["code"]) == (409, "operations.stale_digest")
    assert (await counts(world, "approvals"))["approvals"] == 2


async def test_a_request_sent_back_has_a_whole_window_for_its_new_approvals(world: World) -> None:
    request = await world.ask()
    world.clock.advance(hours=23, minutes=30)
    await vote(world, request["id"], ["user-team-lead", "user-security"])
    await world.change_role("user-team-lead", Role.TEAM_LEAD, grant=False)
    await world.act("user-engineer", request["id"], "execute")

    world.clock.advance(hours=23)
    await run_due(world)

    assert await vote(world, request["id"], ["user-lead-and-security", "user-security"]) == "approved"


@pytest.mark.adversarial(9)
async def test_an_approver_who_lost_the_role_before_the_last_vote_does_not_count(world: World) -> None:
    request = await world.ask()
    await vote(world, request["id"], ["user-team-lead"])
    await world.change_role("user-team-lead", Role.TEAM_LEAD, grant=False)

    status = await vote(world, request["id"], ["user-security"])

    assert status == "pending_approval"


async def test_an_approver_who_holds_the_role_again_can_bring_the_request_forward(world: World) -> None:
    request = await world.ask()
    await vote(world, request["id"], ["user-team-lead"])
    await world.change_role("user-team-lead", Role.TEAM_LEAD, grant=False)
    await vote(world, request["id"], ["user-security"])
    await world.change_role("user-team-lead", Role.TEAM_LEAD, grant=True)

    response = await world.act("user-team-lead", request["id"], "approve", {})

    assert (response.status_code, response.json()["status"]) == (200, "approved")
    assert (await counts(world, "approvals"))["approvals"] == 2
    assert set((await world.receipts(request["id"]))[-1]["payload"]["filled"]) == {"team_lead", "security_officer"}
    assert (await world.act("user-engineer", request["id"], "execute")).json()["status"] == "active"


@pytest.mark.adversarial(12)
async def test_a_second_yes_is_refused_where_the_votes_are_still_too_few(world: World) -> None:
    request = await world.ask()
    await vote(world, request["id"], ["user-team-lead"])
    await world.change_role("user-team-lead", Role.TEAM_LEAD, grant=False)
    await world.change_role("user-team-lead", Role.TEAM_LEAD, grant=True)

    response = await world.act("user-team-lead", request["id"], "approve", {})

    assert (response.status_code, response.json()["code"]) == (409, "approvals.already_voted")
    assert await world.actions(request["id"]) == ["requested", "approved"]


async def test_a_voter_without_the_role_cannot_bring_the_request_forward_by_voting_again(world: World) -> None:
    request = await world.ask()
    await vote(world, request["id"], ["user-lead-and-security"])
    await world.change_role("user-lead-and-security", Role.TEAM_LEAD, grant=False)
    await world.change_role("user-lead-and-security", Role.SECURITY_OFFICER, grant=False)
    await world.change_role("user-lead-and-security", Role.AUDITOR, grant=True)
    await vote(world, request["id"], ["user-security"])

    response = await world.act("user-lead-and-security", request["id"], "approve", {})

    assert (response.status_code, response.json()["code"]) == (403, "operations.role_not_required")
    assert (await world.read(request["id"]))["status"] == "pending_approval"


async def test_one_person_leaves_at_most_twenty_refused_attempts_on_one_request(world: World) -> None:
    request, other = await world.ask(), await world.ask()
    refused = {"effect_digest": ANOTHER_DIGEST}
    codes = [(await world.act("user-team-lead", request["id"], "approve", refused)).json()["code"] for _ in range(20)]

    extra = await world.act("user-team-lead", request["id"], "approve", refused)
    elsewhere = await world.act("user-team-lead", other["id"], "approve", refused)
    somebody_else = await world.act("user-security", request["id"], "approve", refused)

    assert set(codes) == {"operations.stale_digest"}
    assert (extra.status_code, extra.json()["code"]) == (429, "operations.too_many_refusals")
    assert [answer.json()["code"] for answer in (elsewhere, somebody_else)] == ["operations.stale_digest"] * 2
    assert [receipt["actor"]["handle"] for receipt in await world.receipts(request["id"])] == [
        "user-engineer", *["user-team-lead"] * 20, "user-security"
    ]  # fmt: skip
    assert await vote(world, request["id"], ["user-team-lead", "user-security"]) == "approved"


async def test_a_comment_is_kept_only_where_it_can_be_erased(world: World) -> None:
    request = await world.ask()

    response = await world.act("user-team-lead", request["id"], "approve", {"comment": "Commented by Mallory"})

    assert [entry["comment"] for entry in response.json()["approvals"]] == ["Commented by Mallory"]
    assert tables_holding(world, "Commented by Mallory") == ["trustpack.disclosures"]
    assert list((await world.receipts(request["id"]))[-1]["payload"]["comment"]) == ["commitment"]


async def test_a_rejection_ends_the_request_with_its_reason(world: World) -> None:
    request = await world.ask()
    await vote(world, request["id"], ["user-team-lead"])

    response = await world.act("user-security", request["id"], "reject", {"reason": "not tonight"})

    assert (response.status_code, response.json()["status"]) == (200, "rejected")
    assert [(entry["verdict"], entry["comment"]) for entry in response.json()["approvals"]] == [
        ("approve", None),
        ("reject", "not tonight"),
    ]
    assert await world.actions(request["id"]) == ["requested", "approved", "rejected"]
    assert await jobs_of(world) == []


@pytest.mark.parametrize("handle", ["user-team-lead", "user-security", "user-admin", "user-auditor"])
async def test_nobody_but_the_requester_cancels(world: World, handle: str) -> None:
    request = await world.ask()

    response = await world.act(handle, request["id"], "cancel")

    assert (response.status_code, response.json()["code"]) == (403, "operations.requester_only")
    assert (await world.read(request["id"]))["status"] == "pending_approval"
    assert await refused_attempts(world, request["id"]) == [{"attempted": "cancel", "code": "operations.requester_only"}]


@pytest.mark.parametrize("prepare", ["ask", "approved"])
async def test_the_requester_cancels_before_execution(world: World, prepare: str) -> None:
    request = await getattr(world, prepare)()

    response = await world.act("user-engineer", request["id"], "cancel", {"reason": "solved"})

    assert (response.status_code, response.json()["status"]) == (200, "cancelled")
    assert await jobs_of(world) == []


async def test_no_receipt_holds_what_people_wrote(scripted: ScriptedWorld) -> None:
    request = await scripted.ask(justification="Justified by Mallory", ticket="INC-1")
    await scripted.act("user-team-lead", request["id"], "approve", {"comment": "Commented by Mallory"})
    await scripted.act("user-security", request["id"], "approve", {})
    await scripted.act("user-engineer", request["id"], "execute")
    await scripted.act("user-admin", request["id"], "revert", {"reason": "Reverted by Mallory"})
    other = await scripted.ask()
    await scripted.act("user-security", other["id"], "reject", {"reason": "Rejected by Mallory"})
    third = await scripted.ask()
    await scripted.act("user-engineer", third["id"], "cancel", {"reason": "Cancelled by Mallory"})

    bodies = [bytes(row["body"]) for row in await rows(scripted, "SELECT body FROM trustpack.receipts")]
    disclosed = [bytes(row["value"]) for row in await rows(scripted, "SELECT value FROM trustpack.disclosures")]

    assert not [body for body in bodies if b"Mallory" in body]
    assert len([value for value in disclosed if b"Mallory" in value]) == 5


async def test_what_the_api_shows_of_a_receipt_holds_commitments_only(world: World) -> None:
    request = await world.ask()
    await world.act("user-security", request["id"], "reject", {"reason": "not tonight"})

    requested, rejected = await world.receipts(request["id"])

    assert list(requested["payload"]["justification"]) == ["commitment"]
    assert list(rejected["payload"]["reason"]) == ["commitment"]


async def test_receipts_have_every_promised_field(world: World) -> None:
    request = await world.approved()

    receipts = await world.receipts(request["id"])

    promised = {
        "id",
        "seq",
        "action",
        "actor",
        "subject_id",
        "occurred_at",
        "payload",
        "payload_digest",
        "prev_hash",
        "leaf_index",
    }
    assert all(set(receipt) >= promised for receipt in receipts)
    assert [receipt["seq"] for receipt in receipts] == [1, 2, 3]
    assert [receipt["actor"]["handle"] for receipt in receipts] == ["user-engineer", "user-team-lead", "user-security"]
    assert {receipt["subject_id"] for receipt in receipts} == {request["id"]}
    assert [receipt["prev_hash"] for receipt in receipts] == [None, receipts[0]["digest"], receipts[1]["digest"]]
    assert [parse_time(receipt["occurred_at"]) for receipt in receipts] == sorted(
        parse_time(receipt["occurred_at"]) for receipt in receipts
    )
