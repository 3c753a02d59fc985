"""Quotes: priced exactly, approved by the right different people, activated once."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.store import rows_as_owner
from trustpack.kernel.actor import Role


async def test_a_thirty_percent_quote_takes_manager_and_finance_to_a_contract(deals):
    quote = await deals.quote()
    submitted = (await deals.act("user-ae", quote, "submit-for-approval")).json()
    first = (await deals.act("user-manager", quote, "approve", {"terms_digest": quote["terms_digest"]})).json()
    second = (await deals.act("user-finance", quote, "approve", {"terms_digest": quote["terms_digest"]})).json()
    contract = (await deals.act("user-ae", quote, "activate")).json()

    assert (quote["status"], quote["list_amount"], quote["net_amount"]) == ("draft", "100000.00", "70000.00")
    assert (quote["discount_percent"], quote["max_line_discount_percent"]) == ("30", "30")
    assert (submitted["allowed"], submitted["status"]) == (True, "pending_approval")
    assert submitted["required_approvals"] == ["manager", "finance"]
    assert submitted["decision_id"] in submitted["decisions"]
    assert (first["status"], second["status"]) == ("pending_approval", "approved")
    assert [stage["open_approvals"] for stage in (quote, submitted, first, second)] == [
        [],
        ["manager", "finance"],
        ["finance"],
        [],
    ]
    assert (contract["status"], contract["quote_id"], contract["terms_digest"]) == (
        "activated",
        quote["id"],
        quote["terms_digest"],
    )
    assert contract["quote"]["status"] == "activated"
    assert await deals.actions(quote) == ["created", "submitted", "approved", "approved", "activated"]


@pytest.mark.deal_case(1)
@pytest.mark.parametrize("discount", ["10", "19.9999", "20", "20.000000", 20])
async def test_up_to_twenty_percent_the_owner_approves_alone(deals, discount):
    quote = await deals.submitted(discount_percent=discount)
    approved = (await deals.act("user-ae", quote, "approve", {"terms_digest": quote["terms_digest"]})).json()

    assert quote["required_approvals"] == ["ae"]
    assert approved["status"] == "approved"
    assert (await deals.act("user-ae", quote, "activate")).status_code == 200


@pytest.mark.deal_case(1, 2, 6)
@pytest.mark.parametrize("discount", ["20.0001", "20.000001", "20.004", "25", "100"])
async def test_above_twenty_percent_manager_and_finance_approve(deals, discount):
    quote = await deals.submitted(discount_percent=discount)

    assert quote["required_approvals"] == ["manager", "finance"]


@pytest.mark.deal_case(3)
@pytest.mark.parametrize("amount", ["99999.99", "333.33"])
async def test_twenty_percent_of_an_odd_amount_stays_the_owners(deals, amount):
    quote = await deals.submitted(amount=amount, discount_percent="20")

    assert quote["required_approvals"] == ["ae"]


@pytest.mark.deal_case(4, 7)
@pytest.mark.parametrize("discount", ["-0", "2e1", "NaN", "Infinity", "20,5", "100.1", "", "-5", 101, 12.5, True, None])
async def test_a_discount_that_is_none_is_refused_and_leaves_nothing(deals, discount):
    body = deals.body() | {"discount_percent": discount}
    answer = await deals.call("user-ae", "POST", "/quotes", body)

    if discount is None:
        assert answer.json()["discount_percent"] == "0"
        return
    assert answer.status_code == 422
    assert (await deals.call("user-ae", "GET", "/quotes")).json()["items"] == []


async def test_one_deep_line_cannot_hide_behind_an_undiscounted_one(deals):
    lines = [
        {"description": "Seats", "quantity": 150, "unit_price": "600.00", "discount_percent": "45", "recurring": True},
        {"description": "Platform", "quantity": 1, "unit_price": "131000.00"},
    ]
    quote = await deals.quote(amount=None, discount_percent=None, lines=lines)
    preview = (await deals.act("user-ae", quote, "preview-approvals")).json()

    assert float(quote["discount_percent"]) < 20
    assert quote["max_line_discount_percent"] == "45"
    assert preview["required_approvals"] == ["manager", "finance"]
    assert "discount_above_limit" in {reason["code"] for reason in preview["reasons"]}
    assert "previewed" in await deals.actions(quote)


@pytest.mark.deal_case(32)
async def test_a_declared_discount_that_is_not_that_of_the_lines_is_refused(deals):
    lines = [{"description": "Seats", "quantity": 1, "unit_price": "100.00", "discount_percent": "35"}]
    answer = await deals.call("user-ae", "POST", "/quotes", deals.body(amount=None, lines=lines, discount_percent="5"))

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "discount_percent"


async def test_one_person_with_both_roles_fills_one_of_them(deals):
    quote = await deals.submitted()
    first = await deals.act("user-manager-and-finance", quote, "approve", {})
    again = await deals.act("user-manager-and-finance", quote, "approve", {})

    assert first.json()["status"] == "pending_approval"
    assert (again.status_code, again.json()["code"]) == (409, "approvals.already_voted")
    assert (await deals.act("user-manager", quote, "approve", {})).json()["status"] == "approved"


@pytest.mark.deal_case(18)
@pytest.mark.parametrize("person", ["user-ae", "user-engineer", "user-auditor", "user-admin"])
async def test_nobody_else_approves_a_deep_discount(deals, person):
    quote = await deals.submitted()
    answer = await deals.act(person, quote, "approve", {})

    assert answer.status_code in {403, 404}
    assert (await deals.read(quote))["status"] == "pending_approval"


@pytest.mark.deal_case(19)
async def test_a_manager_who_wrote_or_submitted_a_quote_does_not_approve_it(deals):
    written = await deals.quote(person="user-manager")
    await deals.act("user-ae", written, "submit-for-approval")
    answer = await deals.act("user-manager", written, "approve", {})

    assert (answer.status_code, answer.json()["code"]) == (403, "revops.self_approval_forbidden")
    assert (await deals.receipts(written))[-1]["payload"]["code"] == "revops.self_approval_forbidden"


async def test_an_approval_counts_only_for_the_terms_that_were_shown(deals):
    quote = await deals.submitted()
    answer = await deals.act("user-manager", quote, "approve", {"terms_digest": "sha256:" + "0" * 64})

    assert (answer.status_code, answer.json()["code"]) == (409, "revops.stale_terms")


@pytest.mark.deal_case(13)
async def test_a_commercial_change_makes_a_revision_and_voids_approvals(deals):
    quote = await deals.approved()
    terms = {"currency": "USD", "amount": "100000.00", "discount_percent": "31"}
    changed = (await deals.call("user-ae", "PATCH", f"/quotes/{quote['id']}", {"terms": terms})).json()
    back = {"currency": "USD", "amount": "100000.00", "discount_percent": "30"}
    returned = (await deals.call("user-ae", "PATCH", f"/quotes/{quote['id']}", {"terms": back})).json()
    revisions = (await deals.call("user-ae", "GET", f"/quotes/{quote['id']}/revisions")).json()["items"]

    assert (changed["revision"], changed["status"], changed["required_approvals"]) == (2, "draft", [])
    assert {vote["status"] for vote in changed["approvals"]} == {"superseded"}
    assert returned["terms_digest"] not in {quote["terms_digest"], changed["terms_digest"]}
    assert [revision["status"] for revision in revisions] == ["superseded", "superseded", "current"]
    assert (await deals.act("user-ae", quote, "activate")).json()["code"] == "revops.wrong_state"


async def test_a_new_title_keeps_the_approvals(deals):
    quote = await deals.approved()
    renamed = (await deals.call("user-ae", "PATCH", f"/quotes/{quote['id']}", {"title": "Renewal"})).json()

    assert (renamed["title"], renamed["status"], renamed["revision"]) == ("Renewal", "approved", 1)
    assert renamed["terms_digest"] == quote["terms_digest"]


@pytest.mark.deal_case(17)
async def test_a_clone_is_a_draft_without_approvals(deals):
    quote = await deals.approved()
    clone = (await deals.act("user-ae", quote, "clone")).json()

    assert (clone["status"], clone["approvals"], clone["derived_from"]) == ("draft", [], quote["id"])
    assert clone["net_amount"] == quote["net_amount"]
    assert clone["terms_digest"] != quote["terms_digest"]


async def test_rejected_and_recalled_quotes_can_be_revised_and_submitted_again(deals):
    rejected, recalled = await deals.submitted(), await deals.submitted()
    terms = {"terms": {"currency": "USD", "amount": "100000.00", "discount_percent": "18"}}

    no = (await deals.act("user-finance", rejected, "reject", {"reason": "Use the trial SKU"})).json()
    back = (await deals.act("user-ae", recalled, "recall", {"reason": "Wrong amount"})).json()
    for quote in (rejected, recalled):
        await deals.call("user-ae", "PATCH", f"/quotes/{quote['id']}", terms)
    resubmitted = [(await deals.act("user-ae", quote, "submit-for-approval")).json() for quote in (rejected, recalled)]

    assert (no["status"], back["status"]) == ("rejected", "recalled")
    assert [quote["required_approvals"] for quote in resubmitted] == [["ae"], ["ae"]]


@pytest.mark.deal_case(26)
@pytest.mark.parametrize("state", ["draft", "pending_approval", "rejected", "recalled", "expired", "activated"])
async def test_only_an_approved_quote_is_activated(deals, state):
    quote = await deals.quote() if state == "draft" else await deals.submitted()
    if state == "rejected":
        await deals.act("user-manager", quote, "reject", {"reason": "no"})
    if state == "recalled":
        await deals.act("user-ae", quote, "recall")
    if state == "expired":
        deals.world.clock.advance(days=15)
        await deals.world.container.worker.run_due()
    if state == "activated":
        quote = await deals.approved()
        await deals.act("user-ae", quote, "activate")
    answer = await deals.act("user-ae", quote, "activate")

    assert (answer.status_code, answer.json()["code"]) == (409, "revops.wrong_state")
    assert answer.json()["quote_status"] == state


@pytest.mark.deal_case(26)
async def test_another_tenants_quote_is_not_found_by_any_command(deals, other_world):
    quote = await deals.approved()
    for command in ("activate", "approve", "reject", "recall", "clone", "submit-for-approval", "preview-approvals"):
        body = {"reason": "no"} if command == "reject" else {}
        answer = await other_world.call("user-ae", "POST", f"/revops/quotes/{quote['id']}/{command}", body)

        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), command
    assert (await deals.read(quote))["version"] == quote["version"]


async def test_of_many_activations_at_once_one_makes_the_contract(deals):
    quote = await deals.approved()
    answers = await asyncio.gather(*(deals.act("user-ae", quote, "activate") for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    rows = rows_as_owner(deals.world.container.settings, "SELECT id FROM trustpack.contracts WHERE quote_id = %s", quote["id"])
    assert len(rows) == 1


@pytest.mark.deal_case(29)
async def test_submission_fails_loudly_where_nobody_could_approve(deals):
    for person in ("user-finance", "user-manager-and-finance"):
        await deals.world.change_role(person, Role.FINANCE, grant=False)
    quote = await deals.quote()
    answer = await deals.act("user-ae", quote, "submit-for-approval")

    assert (answer.status_code, answer.json()["code"]) == (409, "revops.nobody_can_approve")
    assert answer.json()["missing_roles"] == ["finance"]
    assert [admin["handle"] for admin in answer.json()["administrators"]] == ["user-admin"]
    assert (await deals.read(quote))["status"] == "draft"
    assert (await deals.receipts(quote))[-1]["action"] == "refused"


@pytest.mark.deal_case(34)
async def test_quotes_and_approvals_expire(deals):
    waiting, approved = await deals.submitted(), await deals.approved()
    deals.world.clock.advance(days=31)
    late = await deals.act("user-manager", waiting, "approve", {})
    too_late = await deals.act("user-ae", approved, "activate")
    await deals.world.container.worker.run_due()

    assert late.json()["code"] == "revops.approvals_expired"
    assert too_late.json()["code"] == "revops.quote_expired"
    assert [(await deals.read(quote))["status"] for quote in (waiting, approved)] == ["expired", "expired"]


async def test_usage_is_counted_once_per_decision_and_per_quote(deals):
    quote = await deals.approved()
    await deals.act("user-ae", quote, "activate")
    rows = rows_as_owner(
        deals.world.container.settings,
        "SELECT type, metadata ->> 'package' AS package FROM trustpack.usage_events WHERE tenant_id = %s ORDER BY 1, 2",
        deals.world.tenant_id,
    )

    assert [(row["type"], row["package"]) for row in rows] == [
        ("policy_decision", "revops.discount_approvals"),
        ("policy_decision", "revops.discount_approvals"),
        ("policy_decision", "revops.lead_routing"),
        ("workflow_run", None),
    ]


async def test_a_stranger_and_another_tenant_find_no_quote(deals, other_world):
    quote = await deals.quote()

    for world, person in ((deals.world, "user-engineer"), (other_world, "user-admin")):
        answer = await world.call(person, "GET", f"/revops/quotes/{quote['id']}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("discount_percent", 20.5, "expected a percentage from 0 to 100"),
        ("discount_percent", "20,5", "expected a percentage from 0 to 100"),
        ("discount_percent", True, "expected a percentage from 0 to 100"),
        ("amount", 1000.0, 'expected an amount as text, such as "1250.00"'),
        ("amount", "1,000.00", 'expected an amount as text, such as "1250.00"'),
    ],
)
async def test_a_figure_that_is_not_exact_is_refused_with_the_form_that_it_needs(deals, field, value, message):
    answer = await deals.call("user-ae", "POST", "/quotes", deals.body() | {field: value})

    [error] = answer.json()["errors"]
    assert (answer.status_code, error["field"], error["message"][: len(message)]) == (422, field, message)
