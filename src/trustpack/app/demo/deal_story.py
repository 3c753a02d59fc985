"""The golden path of a deal, from a lead to a contract, told on the terminal and checked at every step over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2

from trustpack.app.demo.terminal import Telling
from trustpack.proof.bundle import check_bundle

TENANT = "summit-internal"
_LIST, _NET = "192000.00", "144000.00"


@dataclass(slots=True, kw_only=True)
class DealStory(Telling):
    """Walks through one deal above the account executive's limit, and one at it. `nonce` makes the lead a new one."""

    nonce: str
    evidence_dir: Path

    async def tell(self) -> None:
        """Walk the golden path. Raises `StepFailed` at the first step that fails."""
        async with self.client() as http:
            opportunity = await self._lead(http)
            quote = await self._quote(http, opportunity)
            await self._submit(http, quote)
            await self._first_vote(http, quote)
            revised = await self._change(http, quote)
            await self._approve(http, quote, revised)
            await self._activate(http, revised)
            await self._receipts(http, revised)
            await self._evidence(http, revised)
            await self._at_the_limit(http, opportunity)

    async def _lead(self, http: httpx2.AsyncClient) -> dict[str, Any]:
        self.headline("user-ae takes a lead in; policy routes it to a team")
        lead = {"email": f"Jo+fair@{self.nonce}.example", "company": "Harbour Lights", "segment": "enterprise", "employees": 1200}
        taken = await self.post(http, "user-ae", "/revops/leads", lead, expect=201)
        opportunity: dict[str, Any] = taken["opportunity"]
        self.check(taken["routing"]["team"] == "enterprise", f"routed to the team enterprise by {taken['routing']['rule']}")
        self.check(opportunity["owner"]["handle"] == "user-ae", f"opportunity {opportunity['id']} is open")
        same = {**lead, "email": f"JO@{self.nonce.upper()}.EXAMPLE"}
        again = await self.post(http, "user-ae", "/revops/leads", same, expect=200)
        self.check(again["opportunity"]["id"] == opportunity["id"], "the same mailbox in another spelling is the same lead")
        return opportunity

    async def _quote(self, http: httpx2.AsyncClient, opportunity: Mapping[str, Any]) -> dict[str, Any]:
        self.headline("a quote with 30 % discount; preview says what it would take")
        body = {"opportunity_id": opportunity["id"], "title": "First year", **_terms("30")}
        quote = await self.post(http, "user-ae", "/revops/quotes", body, expect=201)
        self.check(quote["list_amount"] == _LIST, f"quote {quote['id']}, {quote['list_amount']} USD by the price book")
        preview = await self.post(http, "user-ae", f"/revops/quotes/{quote['id']}/preview-approvals", None, expect=200)
        self.check(preview["required_approvals"] == ["manager", "finance"], "it would take manager and finance")
        for reason in preview["reasons"]:
            self.console.print(f"    {reason['text']}", style="dim", highlight=False, soft_wrap=True)
        return quote

    async def _submit(self, http: httpx2.AsyncClient, quote: Mapping[str, Any]) -> None:
        self.headline("submitted; nobody approves the own deal")
        path = f"/revops/quotes/{quote['id']}"
        submitted = await self.post(http, "user-ae", f"{path}/submit-for-approval", None, expect=200)
        self.check(submitted["status"] == "pending_approval", f"waits for {' and '.join(submitted['required_approvals'])}")
        refused = await self.post(http, "user-ae", f"{path}/approve", _vote(quote), expect=403)
        self.check(refused["code"] == "revops.self_approval_forbidden", "user-ae may not approve it")

    async def _first_vote(self, http: httpx2.AsyncClient, quote: Mapping[str, Any]) -> None:
        voted = await self.post(http, "user-manager", f"/revops/quotes/{quote['id']}/approve", _vote(quote), expect=200)
        self.check(voted["status"] == "pending_approval", "user-manager approved these terms; finance is still open")

    async def _change(self, http: httpx2.AsyncClient, quote: Mapping[str, Any]) -> dict[str, Any]:
        self.headline("the terms change under way: what was approved is void, and stays visible")
        path = f"/revops/quotes/{quote['id']}"
        revised = await self.post(http, "user-ae", path, {"terms": _terms("25")}, expect=200, method="PATCH")
        self.check((revised["status"], revised["revision"]) == ("draft", 2), "25 % now: revision 2, which nobody has approved")
        self.check([vote["status"] for vote in revised["approvals"]] == ["superseded"], "user-manager's approval is superseded")
        self.check(revised["net_amount"] == _NET, f"{revised['net_amount']} USD net, exactly")
        return revised

    async def _approve(self, http: httpx2.AsyncClient, quote: Mapping[str, Any], revised: Mapping[str, Any]) -> None:
        self.headline("two different people approve exactly the terms that they were shown")
        path = f"/revops/quotes/{quote['id']}"
        await self.post(http, "user-ae", f"{path}/submit-for-approval", None, expect=200)
        stale = await self.post(http, "user-finance", f"{path}/approve", _vote(quote), expect=409)
        self.check(stale["code"] == "revops.stale_terms", "a vote on the terms of revision 1 is refused")
        by_manager = await self.post(http, "user-manager", f"{path}/approve", _vote(revised), expect=200)
        self.check(by_manager["status"] == "pending_approval", "user-manager approved revision 2; finance is still open")
        by_finance = await self.post(http, "user-finance", f"{path}/approve", _vote(revised), expect=200)
        self.check(by_finance["status"] == "approved", "user-finance approved; the quote is approved")

    async def _activate(self, http: httpx2.AsyncClient, revised: Mapping[str, Any]) -> None:
        self.headline("policy is asked once more, and the quote becomes one contract")
        path = f"/revops/quotes/{revised['id']}/activate"
        contract = await self.post(http, "user-ae", path, None, expect=200)
        self.check(contract["terms_digest"] == revised["terms_digest"], f"contract {contract['id']} has the terms approved")
        again = await self.post(http, "user-ae", path, None, expect=409)
        self.check(again["code"] == "revops.wrong_state", "a second contract cannot be made")

    async def _receipts(self, http: httpx2.AsyncClient, revised: Mapping[str, Any]) -> None:
        self.headline("every step left a receipt, what was refused too")
        answer = await http.get(f"/revops/quotes/{revised['id']}/receipts", headers=self.sign("user-auditor"))
        receipts = answer.json()["items"]
        chained = all(later["prev_hash"] == earlier["digest"] for earlier, later in pairwise(receipts))
        told = [receipt["action"] for receipt in receipts]
        self.check(chained and told == _STORY, f"{len(told)} receipts in one unbroken chain: {', '.join(told)}")

    async def _evidence(self, http: httpx2.AsyncClient, revised: Mapping[str, Any]) -> None:
        self.headline("anyone can be handed one file that tells the whole deal")
        path = f"/evidence/revops/deals/{revised['id']}"
        first = await http.get(path, headers=self.sign("user-auditor"))
        second = await http.get(path, headers=self.sign("user-auditor"))
        self.check(first.is_success and first.content == second.content, "the bundle has the same bytes every time")
        subjects = ", ".join(subject["kind"] for subject in first.json()["manifest"]["subjects"])
        self.check(check_bundle(first.content) == (), f"every digest in it is right, and the chains of {subjects} are unbroken")
        self.evidence_dir.mkdir(parents=True, exist_ok=True)
        file = self.evidence_dir / f"{revised['id']}.evidence.json"
        file.write_bytes(first.content)
        self.console.print(f"    evidence: [bold]{file}[/bold]", soft_wrap=True)

    async def _at_the_limit(self, http: httpx2.AsyncClient, opportunity: Mapping[str, Any]) -> None:
        self.headline("at exactly 20 % the account executive decides alone")
        body = {"opportunity_id": opportunity["id"], **_terms("20")}
        quote = await self.post(http, "user-ae", "/revops/quotes", body, expect=201)
        path = f"/revops/quotes/{quote['id']}"
        submitted = await self.post(http, "user-ae", f"{path}/submit-for-approval", None, expect=200)
        self.check(submitted["required_approvals"] == ["ae"], "20 % takes the account executive only")
        approved = await self.post(http, "user-ae", f"{path}/approve", _vote(quote), expect=200)
        self.check(approved["status"] == "approved", "user-ae approved it alone")


_STORY = [
    "created", "previewed", "submitted", "refused", "approved", "revised", "submitted", "refused", "approved", "approved",
    "activated",
]  # fmt: skip


def _terms(discount: str) -> dict[str, Any]:
    """Return the platform, 200 seats and premium support at list price, with a discount."""
    catalogue = (("PLATFORM", "Platform", 1, "48000.00"), ("SEAT", "Seat", 200, "600.00"), ("SUPPORT", "Support", 1, "24000.00"))
    lines = [
        {
            "sku": sku,
            "description": description,
            "quantity": quantity,
            "unit_price": price,
            "discount_percent": discount,
            "recurring": True,
        }
        for sku, description, quantity, price in catalogue
    ]
    return {"currency": "USD", "lines": lines}


def _vote(quote: Mapping[str, Any]) -> dict[str, Any]:
    return {"terms_digest": quote["terms_digest"]}
