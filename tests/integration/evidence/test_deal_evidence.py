"""The evidence of a deal: whole, stable, and checkable with nothing but the file, by quote or by opportunity."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest
import rfc8785

from tests.support.deals import LEAD, Deals, selling
from tests.support.store import held_table, somebody_waits_for
from tests.support.world import World
from trustpack.capabilities.revops.service.voting import approve
from trustpack.kernel.actor import Actor, Role
from trustpack.proof.bundle import check_bundle, summary_of
from trustpack.proof.canonical import canonical_bytes, digest_of_value

SECTIONS = {
    "lead", "routing", "opportunity", "quotes", "revisions", "submissions", "approvals", "contracts", "decisions", "receipts",
}  # fmt: skip
UNKNOWN = "0190163d8694739b962b6e2b9f9d4f4c"
FIGURES = {"currency", "list_amount", "net_amount", "discount_percent", "terms_digest"}


@pytest.fixture
async def deals(world: World) -> Deals:
    """The calls that a test makes about deals of a fresh tenant."""
    return await selling(world)


async def download(deals: Deals, deal_id: str, person: str = "user-auditor") -> httpx2.Response:
    return await deals.world.call(person, "GET", f"/evidence/revops/deals/{deal_id}")


async def bundle_of(deals: Deals, deal_id: str) -> dict[str, Any]:
    """Return the evidence of a deal, which agrees with itself."""
    response = await download(deals, deal_id)
    assert response.status_code == 200, response.text
    assert check_bundle(response.content) == ()
    return dict(response.json())


async def revise(deals: Deals, quote: dict[str, Any], **changes: Any) -> dict[str, Any]:
    answer = await deals.call("user-ae", "PATCH", f"/quotes/{quote['id']}", {"terms": deals.terms(**changes)})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def activated(deals: Deals, **changes: Any) -> dict[str, Any]:
    quote = await deals.approved(**changes)
    answer = await deals.act("user-ae", quote, "activate")
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["quote"])


def actions_in(bundle: dict[str, Any], subject_id: str) -> list[str]:
    return [each["body"]["action"] for each in bundle["receipts"] if each["body"]["subject"]["id"] == subject_id]


def roles_in(submission: dict[str, Any]) -> dict[str, str | None]:
    return {each["role"]: each["filled_by"]["handle"] if each["filled_by"] else None for each in submission["roles"]}


async def test_a_quote_in_the_owners_band_is_told_from_its_lead_to_its_contract(deals: Deals) -> None:
    quote = await deals.submitted(discount_percent="10")
    await deals.act("user-ae", quote, "approve", {"terms_digest": quote["terms_digest"]})
    contract = (await deals.act("user-ae", quote, "activate")).json()

    bundle = await bundle_of(deals, quote["id"])

    assert set(bundle) == {"manifest", *SECTIONS}
    lead, opportunity = bundle["lead"], bundle["opportunity"]
    assert (lead["email"], lead["opportunity_id"], opportunity["lead_id"]) == (LEAD["email"], deals.opportunity_id, lead["id"])
    assert (opportunity["id"], opportunity["status"]) == (deals.opportunity_id, "won")
    assert bundle["routing"]["decision_id"] == bundle["decisions"][0]["id"]
    assert [decision["package"] for decision in bundle["decisions"]] == [
        "revops.lead_routing", "revops.discount_approvals", "revops.discount_approvals",
    ]  # fmt: skip
    [submission], [approval] = bundle["submissions"], bundle["approvals"]
    assert (roles_in(submission), submission["complete"], submission["status"]) == ({"ae": "user-ae"}, True, "activated")
    assert submission["decision_id"] == bundle["decisions"][1]["id"]
    assert (approval["approver"]["handle"], approval["could_fill"], approval["digest_confirmed"]) == ("user-ae", ["ae"], True)
    assert (bundle["contracts"][0]["id"], bundle["contracts"][0]["activated_by"]["handle"]) == (contract["id"], "user-ae")
    assert actions_in(bundle, lead["id"]) == ["promoted"]
    assert actions_in(bundle, opportunity["id"]) == ["opened", "touched", "won"]
    assert actions_in(bundle, quote["id"]) == ["created", "submitted", "approved", "activated"]


async def test_a_deep_discount_shows_who_approved_which_digest_in_which_role_and_when(deals: Deals) -> None:
    quote = await activated(deals)

    bundle = await bundle_of(deals, quote["id"])

    [submission] = bundle["submissions"]
    assert roles_in(submission) == {"manager": "user-manager", "finance": "user-finance"}
    assert [role["approval_id"] for role in submission["roles"]] == [approval["id"] for approval in bundle["approvals"]]
    assert (submission["needed"], submission["received"], submission["open"]) == (2, 2, [])
    recorded = [each["body"]["occurred_at"] for each in bundle["receipts"] if each["body"]["action"] == "approved"]
    assert [approval["created_at"] for approval in bundle["approvals"]] == recorded
    for approval in bundle["approvals"]:
        assert (approval["terms_digest"], approval["revision"], approval["status"]) == (quote["terms_digest"], 1, "given")
    [revision] = bundle["revisions"]
    assert revision["terms_digest"] == digest_of_value(revision["terms"]) == quote["terms_digest"]


async def test_a_decisions_input_parameters_and_bundle_are_there_to_be_checked(deals: Deals) -> None:
    bundle = await bundle_of(deals, (await activated(deals))["id"])

    assert [decision["input"]["action"] for decision in bundle["decisions"]] == ["route", "submit", "activate"]
    for decision in bundle["decisions"]:
        assert decision["input_digest"] == digest_of_value(decision["input"])
        assert decision["parameters_digest"] == digest_of_value(decision["input"]["parameters"])
        assert decision["bundle_revision"]
        assert decision["reasons"]


async def test_the_manifest_sums_up_amounts_discount_and_approvals_as_the_contract_has_them(deals: Deals) -> None:
    quote = await activated(deals, amount="99999.99", discount_percent="25.5")

    bundle = await bundle_of(deals, quote["id"])

    sections, [contract] = bundle["manifest"]["sections"], bundle["contracts"]
    [of_quote], [of_contract] = sections["quotes"]["figures"], sections["contracts"]["figures"]
    assert of_quote["approvals"] == {"needed": 2, "received": 2, "open": [], "complete": True}
    assert (of_quote["list_amount"], of_quote["net_amount"], of_quote["discount_percent"]) == ("99999.99", "74500.00", "25.5")
    assert {name: of_quote[name] for name in FIGURES} == {name: contract[name] for name in FIGURES}
    assert of_contract == {"quote_id": quote["id"], **{name: contract[name] for name in FIGURES}}
    assert contract["terms_digest"] == digest_of_value(contract["terms"])
    payload = bundle["receipts"][-1]["body"]["payload"]
    assert (payload["net_minor"], payload["contract_id"]) == (7_450_000, contract["id"])


async def test_the_manifest_names_every_subject_with_its_head_and_every_item_with_its_times(deals: Deals) -> None:
    quote = await activated(deals)

    bundle = await bundle_of(deals, quote["id"])

    manifest = bundle["manifest"]
    assert (manifest["kind"], manifest["tenant"], manifest["subject"]) == ("deal", deals.world.tenant_id, quote["id"])
    assert manifest["version"] == quote["version"]
    assert [(each["kind"], each["version"]) for each in manifest["subjects"]] == [
        ("lead", 1), ("opportunity", 3), ("quote", quote["version"]),
    ]  # fmt: skip
    heads = {each["body"]["subject"]["id"]: each["digest"] for each in bundle["receipts"]}
    assert [(each["id"], each["head"]) for each in manifest["subjects"]] == list(heads.items())
    for name in ("quotes", "revisions", "approvals", "contracts", "decisions", "receipts"):
        summary = manifest["sections"][name]
        assert (summary["count"], summary["ids"]) == (len(bundle[name]), [item["id"] for item in bundle[name]])
        assert all(summary["times"])
    assert manifest["sections"]["submissions"]["times"][0].keys() == {"submitted_at", "ended_at"}


@pytest.mark.deal_case(39)
async def test_a_file_from_the_middle_of_an_approval_says_what_is_open(deals: Deals) -> None:
    quote = await deals.submitted()
    await deals.act("user-manager", quote, "approve", {})

    bundle = await bundle_of(deals, quote["id"])

    [figures] = bundle["manifest"]["sections"]["quotes"]["figures"]
    assert figures["approvals"] == {"needed": 2, "received": 1, "open": ["finance"], "complete": False}
    assert figures["status"] == "pending_approval"
    assert roles_in(bundle["submissions"][0]) == {"manager": "user-manager", "finance": None}
    assert bundle["submissions"][0]["ended_at"] is None
    assert bundle["contracts"] == []


async def test_a_rejected_and_revised_quote_keeps_the_no_its_reason_and_what_took_its_place(deals: Deals) -> None:
    quote = await deals.submitted()
    await deals.act("user-manager", quote, "approve", {"comment": "For the logo"})
    await deals.act("user-finance", quote, "reject", {"reason": "Use the trial SKU"})
    await revise(deals, quote, discount_percent="18", term_months=12)
    await deals.act("user-ae", quote, "submit-for-approval")

    bundle = await bundle_of(deals, quote["id"])

    first, second = bundle["submissions"]
    assert (first["status"], first["superseded"], first["reason"]) == ("rejected", True, "Use the trial SKU")
    assert (roles_in(first), roles_in(second)) == ({"manager": "user-manager", "finance": None}, {"ae": None})
    assert (second["status"], second["superseded"], second["open"]) == ("pending_approval", False, ["ae"])
    assert [(each["verdict"], each["status"], each["revision"], each["comment"]) for each in bundle["approvals"]] == [
        ("approve", "superseded", 1, "For the logo"),
        ("reject", "superseded", 1, "Use the trial SKU"),
    ]
    old, new = bundle["revisions"]
    assert (old["status"], new["status"], new["superseded"]) == ("superseded", "current", None)
    assert (old["superseded"]["status_before"], old["superseded"]["by_revision"]) == ("rejected", 2)
    assert old["superseded"]["changed"] == ["lines", "term_months"]
    assert old["superseded"]["by"]["handle"] == "user-ae"
    assert old["superseded"]["receipt_id"] == bundle["receipts"][-2]["id"]
    assert [(each["net_amount"], digest_of_value(each["terms"])) for each in (old, new)] == [
        ("70000.00", first["terms_digest"]), ("82000.00", second["terms_digest"]),
    ]  # fmt: skip


async def test_a_recalled_quote_tells_why(deals: Deals) -> None:
    quote = await deals.approved()
    await deals.act("user-ae", quote, "recall", {"reason": "Wrong amount"})

    bundle = await bundle_of(deals, quote["id"])

    [submission] = bundle["submissions"]
    assert (submission["status"], submission["reason"], submission["complete"]) == ("recalled", "Wrong amount", True)
    assert submission["ended_at"] == bundle["receipts"][-1]["body"]["occurred_at"]


async def test_approvals_that_an_edit_voided_stay_with_the_revision_that_they_were_given_for(deals: Deals) -> None:
    quote = await deals.approved()
    await revise(deals, quote, discount_percent="35")

    bundle = await bundle_of(deals, quote["id"])

    [figures] = bundle["manifest"]["sections"]["quotes"]["figures"]
    assert (figures["status"], figures["revision"], figures["approvals"]) == ("draft", 2, None)
    assert {(each["status"], each["terms_digest"]) for each in bundle["approvals"]} == {("superseded", quote["terms_digest"])}
    [submission] = bundle["submissions"]
    assert (submission["status"], submission["complete"], submission["superseded"]) == ("approved", True, True)
    assert bundle["revisions"][0]["superseded"]["status_before"] == "approved"


async def test_a_second_yes_of_the_same_person_counts_for_the_revision_that_it_was_given_for(deals: Deals) -> None:
    quote = await deals.approved()
    await revise(deals, quote, discount_percent="35")
    await deals.act("user-ae", quote, "submit-for-approval")
    await deals.act("user-finance", quote, "approve", {})

    bundle = await bundle_of(deals, quote["id"])

    of_manager, of_finance, again = (approval["id"] for approval in bundle["approvals"])
    given = [{each["role"]: each["approval_id"] for each in submission["roles"]} for submission in bundle["submissions"]]
    assert given == [{"manager": of_manager, "finance": of_finance}, {"manager": None, "finance": again}]
    assert [approval["status"] for approval in bundle["approvals"]] == ["superseded", "superseded", "given"]


async def test_what_people_wrote_and_are_is_disclosed_for_every_subject(deals: Deals) -> None:
    quote = await deals.submitted(title="Renewal")
    await deals.act("user-manager", quote, "approve", {"comment": "For the logo"})
    await deals.act("user-finance", quote, "reject", {"reason": "Too deep"})

    bundle = await bundle_of(deals, quote["id"])

    opened = {
        (receipt["body"]["action"], entry["path"]): entry["value"]
        for receipt in bundle["receipts"]
        for entry in receipt["disclosures"]
    }
    assert opened == {
        ("promoted", "email"): LEAD["email"],
        ("promoted", "company"): LEAD["company"],
        ("opened", "account"): LEAD["company"],
        ("created", "title"): "Renewal",
        ("approved", "comment"): "For the logo",
        ("rejected", "reason"): "Too deep",
    }


async def test_every_title_that_a_quote_had_is_disclosed_by_the_receipt_that_gave_it(deals: Deals) -> None:
    quote = await deals.quote(title="Renewal")
    path = f"/quotes/{quote['id']}"
    await deals.call("user-ae", "PATCH", path, {"title": "Renewal 2027"})
    await deals.call("user-ae", "PATCH", path, {"title": "Expansion", "terms": deals.terms(discount_percent="25")})
    await deals.call("user-ae", "PATCH", path, {"terms": deals.terms(discount_percent="26")})

    bundle = await bundle_of(deals, quote["id"])

    named = [
        (receipt["body"]["action"], entry["value"])
        for receipt in bundle["receipts"]
        for entry in receipt["disclosures"]
        if entry["path"] == "title"
    ]
    assert named == [("created", "Renewal"), ("retitled", "Renewal 2027"), ("revised", "Expansion")]


async def test_an_expired_quote_tells_what_it_waited_for(deals: Deals) -> None:
    quote = await deals.submitted()
    deals.world.clock.advance(days=31)
    await deals.world.container.worker.run_due()

    bundle = await bundle_of(deals, quote["id"])

    [submission] = bundle["submissions"]
    assert (submission["status"], submission["received"], bundle["approvals"]) == ("expired", 0, [])
    assert bundle["receipts"][-1]["body"]["payload"]["waited_for"] == "approvals"


async def test_an_attempt_that_was_refused_stays_with_its_decision_and_code(deals: Deals) -> None:
    quote = await deals.submitted()
    await deals.act("user-ae", quote, "approve", {})

    bundle = await bundle_of(deals, quote["id"])

    assert bundle["receipts"][-1]["body"]["payload"]["code"] == "revops.self_approval_forbidden"
    assert bundle["approvals"] == []


async def test_an_opportunity_has_all_its_quotes_and_a_quote_has_itself_alone(deals: Deals) -> None:
    first = await activated(deals)
    second = (await deals.act("user-ae", first, "clone")).json()

    whole, part = await bundle_of(deals, deals.opportunity_id), await bundle_of(deals, second["id"])

    assert [quote["id"] for quote in whole["quotes"]] == [first["id"], second["id"]]
    assert [quote["derived_from"] for quote in whole["quotes"]] == [None, first["id"]]
    assert (whole["manifest"]["subject"], whole["manifest"]["version"]) == (deals.opportunity_id, whole["opportunity"]["version"])
    assert [contract["quote_id"] for contract in whole["contracts"]] == [first["id"]]
    assert actions_in(whole, second["id"]) == ["created"]
    assert [quote["id"] for quote in part["quotes"]] == [second["id"]]
    assert (part["lead"], part["opportunity"], part["contracts"]) == (whole["lead"], whole["opportunity"], [])
    assert first["id"] not in {each["id"] for each in part["manifest"]["subjects"]}


async def test_an_opportunity_without_a_quote_has_evidence_too(deals: Deals) -> None:
    bundle = await bundle_of(deals, deals.opportunity_id)

    assert (bundle["quotes"], bundle["revisions"], bundle["opportunity"]["status"]) == ([], [], "open")
    assert [decision["package"] for decision in bundle["decisions"]] == ["revops.lead_routing"]


async def test_quotes_decisions_receipts_and_contracts_reconcile(deals: Deals) -> None:
    await activated(deals)
    revised = await deals.submitted()
    await deals.act("user-ae", revised, "recall")
    await revise(deals, revised, discount_percent="5")
    await deals.act("user-ae", revised, "preview-approvals")
    await deals.act("user-ae", revised, "submit-for-approval")

    bundle = await bundle_of(deals, deals.opportunity_id)

    receipts = bundle["receipts"]
    bodies = [receipt["body"] for receipt in receipts]
    actions = [body["action"] for body in bodies if body["subject"]["kind"] == "quote"]
    assert len(receipts) == sum(each["version"] for each in bundle["manifest"]["subjects"])
    assert len(bundle["quotes"]) == actions.count("created") == 2
    assert len(bundle["revisions"]) == actions.count("created") + actions.count("revised") == 3
    assert len(bundle["submissions"]) == actions.count("submitted") == 3
    assert len(bundle["approvals"]) == actions.count("approved") + actions.count("rejected") == 2
    assert len(bundle["contracts"]) == actions.count("activated") == 1
    named = [body["payload"]["decision_id"] for body in bodies if "decision_id" in body["payload"]]
    assert sorted([bundle["routing"]["decision_id"], *named]) == sorted(each["id"] for each in bundle["decisions"])


async def test_an_unchanged_deal_gives_the_same_bytes_to_everybody_at_any_time(deals: Deals) -> None:
    quote = await activated(deals)
    first = {deal_id: (await download(deals, deal_id)).content for deal_id in (quote["id"], deals.opportunity_id)}

    elsewhere = (await deals.call("user-ae", "POST", "/leads", LEAD | {"email": "max@acme.com"})).json()["opportunity"]["id"]
    await deals.quote(opportunity_id=elsewhere)
    await deals.world.add_person("user-new")
    deals.world.clock.advance(days=3)

    for deal_id, content in first.items():
        assert (await download(deals, deal_id)).content == content
        assert (await download(deals, deal_id, "user-ae")).content == content
        assert content == rfc8785.dumps(json.loads(content))


async def test_a_transition_changes_the_evidence_and_its_etag(deals: Deals) -> None:
    quote = await deals.submitted()
    before = await download(deals, quote["id"])

    await deals.act("user-manager", quote, "approve", {})

    after = await download(deals, quote["id"])
    assert after.content != before.content
    assert after.headers["etag"] != before.headers["etag"]


@pytest.mark.parametrize("by", ["quote", "opportunity"])
async def test_a_download_is_named_after_what_was_asked_for(deals: Deals, by: str) -> None:
    deal_id = {"quote": (await deals.quote())["id"], "opportunity": deals.opportunity_id}[by]

    response = await download(deals, deal_id)

    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-disposition"] == f'attachment; filename="{deal_id}.evidence.json"'


def other_payload(bundle: dict[str, Any]) -> None:
    bundle["receipts"][-1]["body"]["payload"]["net_minor"] += 1


def other_terms(bundle: dict[str, Any]) -> None:
    bundle["revisions"][0]["terms"]["lines"][0]["discount_percent"] = "3"


def other_terms_with_their_digest(bundle: dict[str, Any]) -> None:
    other_terms(bundle)
    bundle["revisions"][0]["terms_digest"] = digest_of_value(bundle["revisions"][0]["terms"])


def other_contract(bundle: dict[str, Any]) -> None:
    bundle["contracts"][0]["terms"]["payment_days"] = 90


def missing_contract(bundle: dict[str, Any]) -> None:
    bundle["contracts"] = []


def other_amount_of_the_contract(bundle: dict[str, Any]) -> None:
    bundle["contracts"][0]["net_amount"] = "7000000"


def other_amount_of_the_quote(bundle: dict[str, Any]) -> None:
    bundle["quotes"][0]["list_amount"] = "1.00"


def other_currency(bundle: dict[str, Any]) -> None:
    bundle["revisions"][0]["currency"] = "JPY"


def missing_revision(bundle: dict[str, Any]) -> None:
    bundle["revisions"] = []


def missing_quote(bundle: dict[str, Any]) -> None:
    bundle["quotes"] = []


def other_approver(bundle: dict[str, Any]) -> None:
    bundle["approvals"][1]["approver"] = bundle["approvals"][0]["approver"]


def missing_approval(bundle: dict[str, Any]) -> None:
    del bundle["approvals"][0]


def approval_of_other_terms(bundle: dict[str, Any]) -> None:
    bundle["approvals"][0]["terms_digest"] = digest_of_value({})


def other_input(bundle: dict[str, Any]) -> None:
    bundle["decisions"][1]["input"]["resource"]["net_minor"] += 1


def missing_decision(bundle: dict[str, Any]) -> None:
    del bundle["decisions"][1]


def missing_receipt(bundle: dict[str, Any]) -> None:
    del bundle["receipts"][5]


def other_comment(bundle: dict[str, Any]) -> None:
    [disclosed] = [each for each in bundle["receipts"] if each["body"]["action"] == "approved" and each["disclosures"]]
    disclosed["disclosures"][0]["value"] = "never said"


TAMPERINGS = [
    other_amount_of_the_contract, other_amount_of_the_quote, other_currency, missing_contract, missing_revision, missing_quote,
    other_payload, other_terms, other_terms_with_their_digest, other_contract, other_approver, missing_approval,
    approval_of_other_terms, other_input, missing_decision, missing_receipt, other_comment,
]  # fmt: skip


async def commented(deals: Deals) -> bytes:
    """Return the evidence of an activated quote with a comment on one of its approvals."""
    quote = await deals.submitted()
    await deals.act("user-manager", quote, "approve", {"comment": "Fine"})
    await deals.act("user-finance", quote, "approve", {})
    assert (await deals.act("user-ae", quote, "activate")).status_code == 200
    return (await download(deals, quote["id"])).content


async def test_no_tampering_passes_not_even_with_every_summary_made_anew(deals: Deals) -> None:
    content = await commented(deals)
    assert check_bundle(content) == ()

    passed: list[tuple[str, str]] = []
    for tamper in TAMPERINGS:
        plain, forged = json.loads(content), json.loads(content)
        for bundle in (plain, forged):
            tamper(bundle)
        summaries = forged["manifest"]["sections"]
        for name, summary in summaries.items():
            figures = sorted(summary["figures"][0]) if "figures" in summary else ()
            summaries[name] = summary_of(forged[name], figures=figures)
        attempts = {"as it is": plain, "forged": forged}
        passed += [(tamper.__name__, how) for how, bundle in attempts.items() if not check_bundle(canonical_bytes(bundle))]

    assert passed == []


async def test_no_byte_of_the_file_can_be_changed_unseen(deals: Deals) -> None:
    content = await commented(deals)
    places = range(0, len(content), max(1, len(content) // 150))

    unseen = [place for place in places if not check_bundle(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])]

    assert unseen == []


async def test_a_stranger_another_tenant_and_everybody_with_a_wrong_id_meet_the_same_answer(
    deals: Deals, other_world: World
) -> None:
    quote = await deals.quote()
    wrong = [f"quo_{UNKNOWN}", f"opp_{UNKNOWN}", f"lead_{UNKNOWN}", "quo_", "opp_x", "x", quote["id"].upper(), "%00"]
    lead_id = (await bundle_of(deals, quote["id"]))["lead"]["id"]

    answers = [await download(deals, deal_id) for deal_id in (*wrong, lead_id)]
    for deal_id in (quote["id"], deals.opportunity_id):
        answers.append(await download(deals, deal_id, "user-engineer"))
        answers.append(await other_world.call("user-admin", "GET", f"/evidence/revops/deals/{deal_id}"))

    assert {answer.status_code for answer in answers} == {404}
    assert len({json.dumps({**answer.json(), "request_id": ""}) for answer in answers}) == 1


@pytest.mark.parametrize("handle", ["user-ae", "user-manager", "user-finance", "user-auditor", "user-admin"])
async def test_whoever_may_read_the_deal_may_have_its_evidence(deals: Deals, handle: str) -> None:
    quote = await deals.quote()

    answers = [await download(deals, deal_id, handle) for deal_id in (quote["id"], deals.opportunity_id)]

    assert [answer.status_code for answer in answers] == [200, 200]


async def test_whoever_may_read_a_part_of_a_deal_does_not_get_its_evidence(deals: Deals) -> None:
    # They wrote a quote on somebody else's opportunity, and are no manager any more.
    await deals.world.add_person("user-was-manager", Role.MANAGER)
    written = await deals.quote(person="user-was-manager")
    await deals.world.change_role("user-was-manager", Role.MANAGER, grant=False)

    readable = (await deals.call("user-was-manager", "GET", f"/quotes/{written['id']}")).status_code
    evidence = (await download(deals, written["id"], "user-was-manager")).status_code

    assert (readable, evidence) == (200, 404)


async def test_evidence_reads_one_moment_although_the_deal_moves_meanwhile(deals: Deals) -> None:
    quote = await deals.submitted()
    world, manager = deals.world, deals.world.people["user-manager"]
    actor = Actor(
        tenant_id=world.tenant_id,
        id=manager.id,
        kind=manager.kind,
        handle=manager.handle,
        account_id="acc_1",
        roles=manager.roles,
    )
    with held_table(world.container.settings, "contracts"):
        # The bundle has read the quote when it comes to the table that is held; a vote does not need that table.
        reading = asyncio.create_task(bundle_of(deals, quote["id"]))
        await somebody_waits_for(world.container.settings, "contracts")
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            await approve(tx, world.container.revops, actor, quote["id"], digest=None, comment=None, role=None)

    bundle = await reading

    assert (bundle["manifest"]["version"], len(bundle["approvals"])) == (2, 0)
