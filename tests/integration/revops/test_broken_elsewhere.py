"""Deals attacked in the ways in which other systems were broken; each test names the number of its case."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.deals import Deals
from tests.support.gates import NEW_REVISION, behind, gate_with
from tests.support.store import rows_as_owner
from trustpack.capabilities.directory.model import PersonStatus
from trustpack.capabilities.directory.service import set_person_status
from trustpack.kernel.actor import Role

OTHER_TERMS: dict[str, dict[str, Any]] = {
    "amount": {"amount": "100000.01"},
    "discount": {"discount_percent": "30.000001"},
    "currency": {"currency": "EUR"},
    "term": {"term_months": 24},
    "payment": {"payment_days": 60},
    "start": {"start_date": "2027-01-01"},
    "lines": {"amount": None, "discount_percent": None, "lines": [{"description": "All", "quantity": 1, "unit_price": "70000"}]},
}


@pytest.mark.deal_case(7)
@pytest.mark.parametrize("changes", [{"quantity": -1}, {"unit_price": "-1.00"}, {"discount_percent": "100.000001"}], ids=str)
async def test_a_line_that_no_customer_could_be_sent_is_refused(deals: Deals, changes: dict[str, Any]) -> None:
    line = {"description": "Seats", "quantity": 1, "unit_price": "600.00"} | changes

    answer = await deals.call("user-ae", "POST", "/quotes", deals.body(amount=None, discount_percent=None, lines=[line]))

    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")


@pytest.mark.deal_case(8)
@pytest.mark.parametrize("amount", ["0", "0.00"])
async def test_a_quote_of_nothing_has_no_discount_that_its_owner_could_approve(deals: Deals, amount: str) -> None:
    quote = await deals.submitted(amount=amount, discount_percent="0")

    assert quote["required_approvals"] == ["manager", "finance"]


@pytest.mark.deal_case(11, 13, 33)
@pytest.mark.parametrize("what", OTHER_TERMS)
async def test_any_commercial_change_after_the_approval_needs_the_approvals_anew(deals: Deals, what: str) -> None:
    quote = await deals.approved()

    changed = await deals.call("user-ae", "PATCH", f"/quotes/{quote['id']}", {"terms": deals.terms(**OTHER_TERMS[what])})
    activation = await deals.act("user-ae", quote, "activate")

    assert (changed.json()["status"], changed.json()["revision"]) == ("draft", 2)
    assert [vote["status"] for vote in changed.json()["approvals"]] == ["superseded", "superseded"]
    assert activation.json()["code"] == "revops.wrong_state"


@pytest.mark.deal_case(14)
async def test_a_new_title_keeps_the_approvals_and_its_receipt_says_that_the_terms_are_the_same(deals: Deals) -> None:
    quote = await deals.approved()
    same = {"terms": deals.terms(), "title": "Renewal"}

    changed = (await deals.call("user-ae", "PATCH", f"/quotes/{quote['id']}", same)).json()

    receipt = (await deals.receipts(quote))[-1]
    assert (changed["status"], changed["terms_digest"]) == ("approved", quote["terms_digest"])
    assert (receipt["action"], receipt["payload"]["terms_unchanged"]) == ("retitled", True)
    assert (await deals.act("user-ae", quote, "activate")).status_code == 200


@pytest.mark.deal_case(18)
@pytest.mark.parametrize("also", [(), (Role.MANAGER,), (Role.FINANCE,), (Role.ADMIN, Role.MANAGER, Role.FINANCE)], ids=str)
async def test_the_owner_of_a_deep_discount_approves_it_in_no_role(deals: Deals, also: tuple[Role, ...]) -> None:
    quote = await deals.submitted(discount_percent="25")
    for role in also:
        await deals.world.change_role("user-ae", role, grant=True)

    answer = await deals.act("user-ae", quote, "approve", {})

    assert (answer.status_code, answer.json()["code"]) == (403, "revops.self_approval_forbidden")
    assert (await deals.actions(quote))[-1] == "refused"


@pytest.mark.deal_case(21)
async def test_one_approval_sent_twice_under_one_key_is_one_vote_and_another_body_is_a_conflict(deals: Deals) -> None:
    quote = await deals.submitted()
    shown = {"terms_digest": quote["terms_digest"]}

    first, again = [await deals.act("user-manager", quote, "approve", shown, key="k1") for _ in range(2)]
    other = await deals.act("user-manager", quote, "approve", shown | {"comment": "x"}, key="k1")

    assert (first.status_code, first.content) == (200, again.content)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency.key_reused")
    assert len((await deals.read(quote))["approvals"]) == 1
    assert await deals.actions(quote) == ["created", "submitted", "approved"]


@pytest.mark.deal_case(27)
@pytest.mark.parametrize("leaves", ["is deactivated", "loses the role"])
async def test_an_approver_who_leaves_after_the_vote_has_approved(deals: Deals, leaves: str) -> None:
    quote = await deals.approved()
    world = deals.world
    if leaves == "loses the role":
        await world.change_role("user-finance", Role.FINANCE, grant=False)
    else:
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            await set_person_status(tx, world.operator, handle="user-finance", status=PersonStatus.DEACTIVATED)

    answer = await deals.act("user-ae", quote, "activate")

    assert answer.json()["status"] == "activated"
    assert {vote["approver"]["handle"] for vote in answer.json()["quote"]["approvals"]} == {"user-manager", "user-finance"}


@pytest.mark.deal_case(27)
async def test_an_approver_who_leaves_before_the_vote_leaves_the_quote_to_others_of_the_role(deals: Deals) -> None:
    quote = await deals.submitted()
    world = deals.world
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await set_person_status(tx, world.operator, handle="user-finance", status=PersonStatus.DEACTIVATED)

    gone = await deals.act("user-finance", quote, "approve", {})
    votes = [await deals.act(person, quote, "approve", {}) for person in ("user-manager", "user-manager-and-finance")]

    assert gone.status_code == 401
    assert votes[-1].json()["status"] == "approved"


@pytest.mark.deal_case(31)
async def test_a_policy_that_became_stricter_refuses_the_activation_and_both_revisions_are_kept(deals: Deals) -> None:
    quote = await deals.submitted(discount_percent="10")
    await deals.act("user-ae", quote, "approve", {})

    async with gate_with(deals.world, stricter) as gate:
        refused = await behind(deals.world, gate, "user-ae", f"/revops/quotes/{quote['id']}/activate")

    assert (refused.status_code, refused.json()["code"]) == (409, "revops.policy_stricter")
    assert sorted(refused.json()["missing_roles"]) == ["finance", "manager"]
    assert (await deals.read(quote))["status"] == "approved"
    text = "SELECT bundle_revision FROM trustpack.policy_decisions WHERE subject_id = %s ORDER BY subject_version"
    first, second = (row["bundle_revision"] for row in rows_as_owner(deals.world.container.settings, text, quote["id"]))
    assert first != second == NEW_REVISION


def stricter(parameters: Any) -> Any:
    """Return the parameters with 5 % where they say 20 %."""
    if "matrix" not in parameters:
        return parameters
    own, *above = parameters["matrix"]
    return {**parameters, "matrix": [{**own, "up_to": {"numerator": 5, "denominator": 100}}, *above]}


@pytest.mark.deal_case(31)
async def test_a_policy_that_no_more_lets_owners_approve_refuses_what_an_owner_alone_approved(deals: Deals) -> None:
    quote = await deals.submitted(discount_percent="10")
    await deals.act("user-ae", quote, "approve", {})

    async with gate_with(deals.world, without_self_approval) as gate:
        refused = await behind(deals.world, gate, "user-ae", f"/revops/quotes/{quote['id']}/activate")

    assert (refused.status_code, refused.json()["code"]) == (409, "revops.policy_stricter")
    assert refused.json()["missing_roles"] == ["ae"]


def without_self_approval(parameters: Any) -> Any:
    """Return the parameters with nothing that an owner may approve."""
    if "matrix" not in parameters:
        return parameters
    return {**parameters, "matrix": [{**row, "self_approvable": []} for row in parameters["matrix"]]}


@pytest.mark.deal_case(36)
@pytest.mark.parametrize("action", ["approve", "reject", "submit-for-approval", "activate", "recall"])
async def test_no_get_decides_anything(deals: Deals, action: str) -> None:
    quote = await deals.submitted()

    answer = await deals.call("user-manager", "GET", f"/quotes/{quote['id']}/{action}?terms_digest={quote['terms_digest']}")

    assert answer.status_code == 405
    assert await deals.actions(quote) == ["created", "submitted"]
