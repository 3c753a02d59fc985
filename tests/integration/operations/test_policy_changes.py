"""The policy that counts is the one at execution, and no way but the flow's own sets a state."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.support.stored import decisions_about
from tests.support.worlds import ScriptedWorld, scripted_world
from trustpack.app.bootstrap import policy_directory
from trustpack.capabilities.policy import EmbeddedEngine, PolicyGate, load_bundles

REQUESTS = "/high-risk-ops/requests"
NEW_REVISION = "9.9.9+0123456789abcdef"


@asynccontextmanager
async def under_a_new_policy(scripted: ScriptedWorld, **parameters: Any) -> AsyncIterator[None]:
    """Within the block the tenant is served by a process with a newer bundle, and with other parameters."""
    container, clock = scripted.container, scripted.clock
    bundles = [
        replace(
            bundle,
            ref=replace(bundle.ref, revision=NEW_REVISION),
            default_parameters={**bundle.default_parameters, **parameters},
        )
        for bundle in load_bundles(policy_directory(container.settings))
    ]
    engine = EmbeddedEngine(bundles, deadline_seconds=5)
    gate = PolicyGate(engine, bundles=bundles, clock=clock)
    async with scripted_world(container, clock, gate=gate) as newer:
        old = scripted.http
        scripted.http = newer.http
        try:
            yield
        finally:
            scripted.http = old
            await engine.close()


@pytest.mark.adversarial(22)
async def test_a_policy_that_changed_since_the_request_is_asked_again_and_both_revisions_are_kept(
    scripted: ScriptedWorld,
) -> None:
    approved = await scripted.approved()
    async with under_a_new_policy(scripted):
        executed = await scripted.act("user-engineer", approved["id"], "execute")

    asked, again = await decisions_about(scripted, approved["id"])
    receipts = {receipt["action"]: receipt["payload"] for receipt in await scripted.receipts(approved["id"])}
    assert executed.status_code == 200
    assert asked["bundle_revision"] != again["bundle_revision"] == NEW_REVISION
    assert receipts["requested"]["decision_id"] == asked["id"]
    assert receipts["execution_started"]["decision_id"] == again["id"]


@pytest.mark.adversarial(22)
async def test_a_request_that_the_changed_policy_forbids_is_not_executed(scripted: ScriptedWorld) -> None:
    approved = await scripted.approved(duration_minutes=60)
    async with under_a_new_policy(scripted, max_duration_seconds=900):
        refused = await scripted.act("user-engineer", approved["id"], "execute")

    again = (await decisions_about(scripted, approved["id"]))[-1]
    assert (refused.status_code, refused.json()["code"]) == (403, "policy.denied")
    assert refused.json()["decision_id"] == again["id"]
    assert (again["allowed"], again["bundle_revision"]) == (False, NEW_REVISION)
    assert scripted.target.roles == {}


@pytest.mark.adversarial(22)
async def test_approvals_that_the_changed_policy_finds_too_few_do_not_suffice(scripted: ScriptedWorld) -> None:
    approved = await scripted.approved()
    async with under_a_new_policy(scripted, required_approvals=["team_lead", "security_officer", "manager"]):
        refused = await scripted.act("user-engineer", approved["id"], "execute")

    assert (refused.status_code, refused.json()["code"]) == (403, "policy.denied")
    assert [reason["code"] for reason in refused.json()["reasons"]] == ["approvals_missing"]
    assert scripted.target.roles == {}


@pytest.mark.adversarial(18)
@pytest.mark.parametrize("handle", ["user-admin", "user-auditor", "user-engineer"])
async def test_nobody_sets_a_state_past_the_flow(scripted: ScriptedWorld, handle: str) -> None:
    request = await scripted.ask()
    states: Mapping[str, Any] = {"status": "active", "version": 9, "approvals": [{"role": "team_lead"}], "required_approvals": []}
    paths = [
        f"{REQUESTS}/{request['id']}",
        f"{REQUESTS}/{request['id']}/status",
        f"{REQUESTS}/{request['id']}/receipts",
        REQUESTS,
    ]

    answers = {
        (method, path): (await scripted.call(handle, method, path, states)).status_code
        for method in ("PUT", "PATCH", "DELETE", "POST")
        for path in paths
    }

    assert {call: status for call, status in answers.items() if status not in {404, 405, 422}} == {}
    assert await scripted.read(request["id"]) == request
    assert await scripted.actions(request["id"]) == ["requested"]


@pytest.mark.adversarial(18)
async def test_an_administrator_moves_no_request_of_somebody_else(scripted: ScriptedWorld) -> None:
    request = await scripted.approved()

    answers = {
        command: (await scripted.act("user-admin", request["id"], command, body)).status_code
        for command, body in {
            "approve": {},
            "reject": {"reason": "no"},
            "cancel": {"reason": "no"},
            "execute": None,
            "credentials": None,
            "revert": {"reason": "no"},
        }.items()
    }

    assert {command: status for command, status in answers.items() if status not in {403, 404, 409}} == {}
    assert (await scripted.read(request["id"]))["status"] == "approved"
    assert json.dumps(scripted.target.calls).count("grant") == 0
