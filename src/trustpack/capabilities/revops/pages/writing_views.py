"""What the form of a quote shows, and whom it asks: the price book, the opportunity or the quote, the preview."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, cast

from starlette.responses import Response

from trustpack.capabilities.approvals import Verdict
from trustpack.capabilities.revops.model import InvalidQuote, Quote, QuoteStatus, SellersOnly, UnknownOpportunity
from trustpack.capabilities.revops.pages.lists_of_opportunities import SHAPE
from trustpack.capabilities.revops.pages.one_quote import kept_of
from trustpack.capabilities.revops.pages.previews import PreviewShown, preview_of
from trustpack.capabilities.revops.pages.quote_differences import Difference, difference
from trustpack.capabilities.revops.pages.quote_forms import MOST_LINES_OF_A_FORM, Item, QuoteForm, read_quote_form, value_of
from trustpack.capabilities.revops.pages.quote_readings import faults_of, label_of, read_terms_of
from trustpack.capabilities.revops.pages.views import OPPORTUNITIES, QUOTES, short
from trustpack.capabilities.revops.rules.histories import happened_since
from trustpack.capabilities.revops.rules.terms import read_terms
from trustpack.capabilities.revops.rules.visibility import may_sell
from trustpack.capabilities.revops.service import drafting, leads, price_book, reading, telling
from trustpack.capabilities.revops.service.context import RevOps
from trustpack.capabilities.revops.service.reading import QuoteView
from trustpack.kernel.clock import parse_time
from trustpack.kernel.errors import InvalidInput, NotFound
from trustpack.kernel.money import CURRENCIES
from trustpack.platform.auth.csrf import FIELD
from trustpack.platform.auth.forms import read_fields
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import Page, called
from trustpack.platform.web.pages.lists import read_state
from trustpack.platform.web.pages.once import new_key

_USUAL_CURRENCY: Final = "USD"
_NO_ITEM: Final = ("", "Not in the price book")


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What is being written: a new quote of an opportunity, or the quote of an id; `keep` keeps the list beside it as it was."""

    path: str
    preview_path: str
    title: str
    saves: str
    back_path: str
    keep: str = ""
    account: str
    opportunity_id: str
    quote_id: str = ""
    warning: str = ""
    items: tuple[Item, ...]
    currencies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What the form comes to, or what has to be written first."""

    found: PreviewShown | None
    faults: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened to a quote while somebody was writing."""

    action: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Clash:
    """What happened to a quote since its form was opened; `change` is what became of its terms, if they are others now."""

    version: int
    events: tuple[Happened, ...]
    change: Difference | None


def revops_of(page: Page) -> RevOps:
    """Return the collaborators of the flow."""
    found: RevOps = page.request.app.state.revops
    return found


async def writing_new(page: Page, opportunity_id: str) -> Writing:
    """Return what a new quote of an opportunity is written with. Raises `SellersOnly`, `UnknownOpportunity`."""
    actor = page.viewer.actor
    if not may_sell(actor):
        raise SellersOnly
    async with revops_of(page).unit_of_work.transaction(actor.tenant_id) as tx:
        try:
            opportunity, _ = await leads.read_opportunity(tx, actor, opportunity_id)
        except NotFound as error:
            raise UnknownOpportunity(next_step="Choose the opportunity first, then write a quote for it.") from error
        items = await _items(tx)
    listed = read_state(SHAPE, page.request.query_params).query
    return Writing(
        path=f"{QUOTES}/new?opportunity={opportunity.id}{listed.replace('?', '&', 1)}",
        preview_path=f"{QUOTES}/new/preview?opportunity={opportunity.id}",
        title=f"New quote for {opportunity.account}",
        saves="Save the draft",
        back_path=f"{OPPORTUNITIES}/{opportunity.id}{listed}",
        account=opportunity.account,
        opportunity_id=opportunity.id,
        items=items,
        currencies=_currencies(items),
    )


async def writing_on(page: Page, quote_id: str) -> tuple[Writing, Quote]:
    """Return what a quote is changed with. Raises `NotFound`, `SellersOnly`, `WrongQuoteState`, `InvalidInput`."""
    actor = page.viewer.actor
    async with revops_of(page).unit_of_work.transaction(actor.tenant_id) as tx:
        view = await drafting.open_quote(tx, actor, quote_id)
        items = await _items(tx)
    quote, terms, keep = view.quote, read_terms(view.quote.terms), kept_of(page.request)
    if len(terms.lines) > MOST_LINES_OF_A_FORM:
        told = f"This form holds {MOST_LINES_OF_A_FORM} lines, and the quote has {len(terms.lines)}."
        raise InvalidInput(told, next_step="Change the quote by the API: PATCH /revops/quotes/{id}.")
    writing = Writing(
        path=f"{QUOTES}/{quote.id}/edit{keep}",
        preview_path=f"{QUOTES}/{quote.id}/edit/preview",
        title=f"Edit quote {short(quote.id)}",
        saves="Save" if quote.status == QuoteStatus.DRAFT else "Save as a new draft",
        back_path=f"{QUOTES}/{quote.id}{keep}",
        keep=keep,
        account=terms.account,
        opportunity_id=quote.opportunity_id,
        quote_id=quote.id,
        warning=_warning(view),
        items=items,
        currencies=_currencies(items),
    )
    return writing, quote


async def read_form(page: Page) -> QuoteForm:
    """Return the form that was sent. Raises `InvalidInput`."""
    fields = await read_fields(page.request)
    fields.pop(FIELD, None)
    return read_quote_form(fields)


async def previewed(page: Page, writing: Writing, form: QuoteForm) -> Preview:
    """Return what the form comes to and whose approval it would need; nothing is stored or recorded."""
    read = read_terms_of(form, writing.items)
    if isinstance(read, Mapping):
        return Preview(None, _listed(read))
    revops, actor, written = revops_of(page), page.viewer.actor, read[0]
    try:
        if writing.quote_id:
            found = await drafting.preview_change(revops, actor, writing.quote_id, written=written)
        else:
            found = await drafting.preview_new(revops, actor, opportunity_id=writing.opportunity_id, written=written)
    except InvalidQuote as error:
        return Preview(None, _listed(faults_of(form, error)))
    return Preview(preview_of(found))


async def show(
    page: Page, writing: Writing, form: QuoteForm, *, status: int = HTTPStatus.OK, notice: str = "", clash: Clash | None = None
) -> Response:
    """Show the form as it was filled in, with its preview beside it."""
    async with revops_of(page).unit_of_work.transaction(page.viewer.actor.tenant_id) as tx:
        key = new_key(tx)
    return await page.show(
        "revops/quote_form.html",
        status=status,
        writing=writing,
        reading=replace(form, given={**form.given, "key": key}),
        preview=await previewed(page, writing, form),
        notice_text=notice,
        clash=clash,
        currency_options=tuple((code, code) for code in _with_own(writing.currencies, value_of(form, "currency"))),
        item_options=_item_options(writing, form),
        has_room=len(form.lines) < MOST_LINES_OF_A_FORM,
    )


async def clash_since(page: Page, quote_id: str, opened_version: int) -> Clash:
    """Return what happened to a quote since a version. Raises `NotFound`."""
    actor = page.viewer.actor
    async with revops_of(page).unit_of_work.transaction(actor.tenant_id, consistent=True) as tx:
        receipts = await reading.read_receipts(tx, actor, quote_id, prefix="quo")
        revisions = (await telling.read_course(tx, actor, quote_id)).revisions
    before = [revision for revision in revisions if revision.seq <= opened_version][-1]
    is_same = before.terms_digest == revisions[-1].terms_digest
    return Clash(
        version=cast(int, receipts[-1]["seq"]),
        events=tuple(_happened(receipt) for receipt in happened_since(receipts, opened_version)),
        change=None if is_same else difference(read_terms(before.terms), read_terms(revisions[-1].terms)),
    )


def _happened(receipt: Mapping[str, Any]) -> Happened:
    action = str(receipt["action"]).replace("_", " ").capitalize()
    return Happened(action, receipt["actor"]["handle"], parse_time(receipt["occurred_at"]))


async def _items(tx: Transaction) -> tuple[Item, ...]:
    today = tx.now.date().isoformat()
    found: dict[str, Item] = {}
    for price in await price_book.read_price_book(tx):
        if str(price["valid_from"]) <= today:
            item = found.setdefault(str(price["sku"]), Item(str(price["sku"]), str(price["description"]), {}))
            found[item.sku] = replace(item, prices={**item.prices, str(price["currency"]): str(price["list_price"])})
    return tuple(found.values())


def _currencies(items: tuple[Item, ...]) -> tuple[str, ...]:
    """Return every currency, first those in which most is sold."""
    count = Counter(currency for item in items for currency in item.prices)
    sold = sorted(count, key=lambda currency: (-count[currency], currency)) or [_USUAL_CURRENCY]
    return (*sold, *sorted(CURRENCIES - set(sold)))


def _with_own(known: tuple[str, ...], own: str) -> tuple[str, ...]:
    return known if own in known else (own, *known)


def _item_options(writing: Writing, form: QuoteForm) -> tuple[tuple[str, str], ...]:
    known = {item.sku: item.label for item in writing.items}
    own = {value_of(form, f"line-{number}-sku") for number in form.lines} - known.keys() - {""}
    return (_NO_ITEM, *known.items(), *((sku, f"{sku}, not in the price book") for sku in sorted(own)))


def _listed(faults: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((label_of(name), text) for name, text in faults.items())


def _warning(view: QuoteView) -> str:
    quote = view.quote
    given = [vote for vote in view.votes if vote.digest == quote.terms_digest and vote.verdict == Verdict.APPROVE]
    if quote.status not in {QuoteStatus.PENDING_APPROVAL, QuoteStatus.APPROVED}:
        return "" if quote.status == QuoteStatus.DRAFT else "Other terms make a new revision of this quote, in draft."
    if not given:
        return "This quote waits for approval. Other terms make it a draft again, to be submitted anew."
    names = ", ".join(sorted({called(view.handles.get(vote.person_id, vote.person_id)) for vote in given}))
    return f"Other terms void the approvals given so far, by {names}, and make it a draft again. Another title alone keeps them."
