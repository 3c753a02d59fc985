"""`/switchboard/revops/quotes/new` and `/{id}/edit`: write a quote, and see what it comes to before anything is stored."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from trustpack.capabilities.revops.model import EditedMeanwhile, InvalidQuote, Quote
from trustpack.capabilities.revops.pages.quote_forms import QuoteForm, form_of, new_form, rewritten
from trustpack.capabilities.revops.pages.quote_readings import ReadTerms, faults_of, read_terms_of
from trustpack.capabilities.revops.pages.views import QUOTES
from trustpack.capabilities.revops.pages.writing_views import (
    Writing,
    clash_since,
    previewed,
    read_form,
    revops_of,
    show,
    writing_new,
    writing_on,
)
from trustpack.capabilities.revops.service.drafting import edit_quote
from trustpack.capabilities.revops.service.quotes import create_quote
from trustpack.kernel.errors import InvalidInput, Refused
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.idempotency import KeyReused
from trustpack.platform.web.pages import Page, ThisPage
from trustpack.platform.web.pages.once import do_once, key_of_form

router = APIRouter(prefix=QUOTES, include_in_schema=False)
OfOpportunity = Annotated[str, Query(alias="opportunity", max_length=64)]
Work = Callable[[Transaction, ReadTerms], Awaitable[Quote | Refused]]
SAVE: Final = "save"
_SENT_BEFORE: Final = "This form was saved before with other content, and that is stored. Save again to store this too."


@router.get("/new")
async def show_new(page: ThisPage, opportunity_id: OfOpportunity = "") -> Response:
    """Show the form of a new quote. Raises `SellersOnly`, `UnknownOpportunity`."""
    writing = await writing_new(page, opportunity_id)
    return await show(page, writing, new_form(currency=writing.currencies[0]))


@router.post("/new/preview")
async def preview_new(page: ThisPage, opportunity_id: OfOpportunity = "") -> Response:
    """Show what the form comes to, and whose approval it would need; nothing is stored."""
    return await _preview(page, await writing_new(page, opportunity_id))


@router.post("/new")
async def create(page: ThisPage, opportunity_id: OfOpportunity = "") -> Response:
    """Write the quote, once, and lead to it; or change the form, which stores nothing."""
    actor = page.viewer.actor

    async def work(tx: Transaction, read: ReadTerms) -> Quote:
        written, title = read
        return await create_quote(tx, actor, opportunity_id=opportunity_id, written=written, title=title)

    return await _answer(page, await writing_new(page, opportunity_id), await read_form(page), work)


@router.get("/{quote_id}/edit")
async def show_edit(page: ThisPage, quote_id: str) -> Response:
    """Show a quote in the form in which it is changed. Raises `NotFound`, `SellersOnly`, `WrongQuoteState`."""
    writing, quote = await writing_on(page, quote_id)
    return await show(page, writing, form_of(quote, writing.items))


@router.post("/{quote_id}/edit/preview")
async def preview_edit(page: ThisPage, quote_id: str) -> Response:
    """Show what the quote would come to, and whose approval it would need; nothing is stored."""
    writing, _ = await writing_on(page, quote_id)
    return await _preview(page, writing)


@router.post("/{quote_id}/edit")
async def edit(page: ThisPage, quote_id: str) -> Response:
    """Change the quote as it was opened, once, and lead to it; or change the form, which stores nothing."""
    writing, _ = await writing_on(page, quote_id)
    form, actor = await read_form(page), page.viewer.actor
    opened = _opened_version(form)

    async def work(tx: Transaction, read: ReadTerms) -> Quote | Refused:
        written, title = read
        return await edit_quote(tx, actor, quote_id, opened_version=opened, written=written, title=title)

    try:
        return await _answer(page, writing, form, work)
    except EditedMeanwhile:
        clash = await clash_since(page, quote_id, opened)
        newer = replace(form, given={**form.given, "opened_version": str(clash.version)})
        return await show(page, writing, newer, status=HTTPStatus.CONFLICT, clash=clash)


async def _preview(page: Page, writing: Writing) -> Response:
    preview = await previewed(page, writing, await read_form(page))
    return page.show_part("revops/quote_preview.html", writing=writing, preview=preview)


async def _answer(page: Page, writing: Writing, form: QuoteForm, work: Work) -> Response:
    step, read = form.given.get("do", SAVE), read_terms_of(form, writing.items)
    if step == "preview":
        return await show(page, writing, form.with_errors(read) if isinstance(read, Mapping) else form)
    if step != SAVE:
        return await show(page, writing, rewritten(form, step))
    if isinstance(read, Mapping):
        return await show(page, writing, form.with_errors(read), status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        return page.go(await _save(page, form, read, work) + writing.keep)
    except InvalidQuote as error:
        return await show(page, writing, form.with_errors(faults_of(form, error)), status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except KeyReused:
        return await show(page, writing, form, status=HTTPStatus.CONFLICT, notice=_SENT_BEFORE)


async def _save(page: Page, form: QuoteForm, read: ReadTerms, work: Work) -> str:
    refusals: list[Refused] = []
    async with revops_of(page).unit_of_work.transaction(page.viewer.actor.tenant_id) as tx:

        async def save() -> str:
            outcome = await work(tx, read)
            if isinstance(outcome, Refused):
                refusals.append(outcome)
                return QUOTES
            return f"{QUOTES}/{outcome.id}"

        path = await do_once(tx, key_of_form(page, form.given), save)
    # Raised only now: the refusal has a receipt of its own, which the transaction keeps.
    if refusals:
        raise refusals[0].error
    return path


def _opened_version(form: QuoteForm) -> int:
    text = form.given.get("opened_version", "")
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text, re.ASCII):
        raise InvalidInput("The form does not say which quote it shows.")
    return int(text)
