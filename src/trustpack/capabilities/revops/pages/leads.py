"""`/switchboard/revops/leads/new` and `/{id}`: take a lead in, and see where policy sent it and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import Field, ValidationError
from starlette.responses import Response

from trustpack.capabilities import ledger
from trustpack.capabilities.revops.model import InvalidContact, LeadTaken, NewLead, Promotion, SellersOnly
from trustpack.capabilities.revops.pages.deal_views import deal_of
from trustpack.capabilities.revops.pages.lists_of_leads import SHAPE, list_leads
from trustpack.capabilities.revops.pages.views import LEADS
from trustpack.capabilities.revops.pages.writing_views import revops_of
from trustpack.capabilities.revops.rules.visibility import may_sell
from trustpack.capabilities.revops.service import leads
from trustpack.capabilities.revops.service.beginnings import read_beginning
from trustpack.capabilities.revops.service.shapes import LeadBody
from trustpack.kernel.errors import InvalidInput, NotFound
from trustpack.platform.web.idempotency import KeyReused
from trustpack.platform.web.pages import Form, FormReading, Page, ThisPage, called
from trustpack.platform.web.pages.lists import read_state
from trustpack.platform.web.pages.once import do_once, key_of_form, new_key
from trustpack.platform.web.routing import Store

router = APIRouter(prefix=LEADS, include_in_schema=False)
Told = Annotated[str, Query(max_length=10)]
_WHOLE: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_EXPECTED: Final = {
    "email": "Write an address such as jo@acme.com.",
    "company": "Write the company's name in one line of at most 200 characters.",
    "segment": "Write one word of letters, digits, points, dashes and underlines, such as mid_market.",
    "employees": "Write a whole number, or leave it empty.",
    "region": "Write one word such as emea, or leave it empty.",
    "source": "Write one line of at most 200 characters, or leave it empty.",
}
_TOLD: Final = {
    "new": "The lead is taken in. Where policy sent it, and why, stands below.",
    "known": "This mailbox was a lead already, so nothing was stored. This is the lead that is there.",
}
_SENT_BEFORE: Final = "This form was sent before with other content, and that lead is there. Send it again for this one."


class LeadForm(Form):
    """A lead as it is written down; what its fields may be, `LeadBody` says."""

    email: str = ""
    company: str = ""
    segment: str = ""
    employees: str = ""
    region: str = ""
    source: str = ""
    key: str = Field(pattern=r"^[0-9a-f]{32}$")


@router.get("/new")
async def show_form(page: ThisPage) -> Response:
    """Show the form. Raises `SellersOnly`."""
    return await _show(page, FormReading({}, {}, None))


@router.post("/new")
async def take_in(page: ThisPage) -> Response:
    """Take the lead in, once, and lead to it; or to the one that is there already."""
    reading = await page.read(LeadForm)
    if reading.form is None:
        raise InvalidInput("The form is not whole.")
    new = _read(reading.form)
    if not isinstance(new, NewLead):
        return await _show(page, replace(reading, errors=new), status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        return page.go(await _take_in(page, new, reading.given))
    except LeadTaken as error:
        owner = called(error.data["owner"]["handle"] or error.data["owner"]["id"])
        notice = f"Somebody else has this lead: it belongs to {owner}. Nothing was stored; ask {owner} about it."
        return await _show(page, reading, status=HTTPStatus.CONFLICT, notice=notice)
    except KeyReused:
        return await _show(page, reading, status=HTTPStatus.CONFLICT, notice=_SENT_BEFORE)


@router.get("/{lead_id}")
async def show_lead(page: ThisPage, store: Store, lead_id: str, told: Told = "") -> Response:
    """Show one lead; `told` says what came of taking it in. Raises `NotFound`."""
    if not lead_id.startswith("lead_"):
        raise NotFound
    actor = page.viewer.actor
    async with store.snapshot(actor.tenant_id) as tx:
        found = await read_beginning(tx, actor, lead_id)
        file = await ledger.evidence_file(page, tx, kind="revops/deals", case_id=found.opportunity.id)
        one = deal_of(found, actor, is_lead=True, file=file, now=tx.now)
        listed = await list_leads(page, tx)
    return await page.show("revops/lead.html", view=listed, current=one.id, one=one, notice_text=_TOLD.get(told, ""))


def _read(form: LeadForm) -> NewLead | Mapping[str, str]:
    given: dict[str, Any] = {name: text for name, text in form.model_dump(exclude={"key"}).items() if text}
    if _WHOLE.fullmatch(form.employees):
        given["employees"] = int(form.employees)
    try:
        return LeadBody.model_validate(given).to_new_lead()
    except ValidationError as error:
        names = [str(fault["loc"][0]) for fault in error.errors()]
    except InvalidContact as error:
        names = [str(fault["field"]) for fault in error.data["errors"]]
    return {name: _EXPECTED[name] for name in names}


async def _take_in(page: Page, new: NewLead, given: Mapping[str, str]) -> str:
    revops, actor = revops_of(page), page.viewer.actor
    routed = await leads.route(revops, actor, new)
    async with revops.unit_of_work.transaction(actor.tenant_id) as tx:

        async def work() -> str:
            promotion = routed if isinstance(routed, Promotion) else await leads.promote(tx, actor, routed)
            return f"{LEADS}/{promotion.lead.id}?told={'new' if promotion.is_new else 'known'}"

        return await do_once(tx, key_of_form(page, given), work)


async def _show(page: Page, reading: FormReading[LeadForm], *, status: int = HTTPStatus.OK, notice: str = "") -> Response:
    if not may_sell(page.viewer.actor):
        raise SellersOnly
    async with revops_of(page).unit_of_work.transaction(page.viewer.actor.tenant_id) as tx:
        key = new_key(tx)
    keep = read_state(SHAPE, page.request.query_params).query
    return await page.show("revops/lead_form.html", status=status, reading=reading, key=key, keep=keep, notice_text=notice)
