"""`/switchboard/revops/quotes`: the list of quotes, on its own, beside a quote, and as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from fastapi import APIRouter
from starlette.responses import Response

from trustpack.capabilities import directory
from trustpack.capabilities.revops.model import Quote, QuoteFilter, QuoteStatus
from trustpack.capabilities.revops.pages.views import QUOTES, STATUSES, QuoteRow, row_of
from trustpack.capabilities.revops.service import listing, reading
from trustpack.kernel.actor import Role
from trustpack.kernel.json_types import JsonObject
from trustpack.kernel.keysets import Keyset
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import Page, ThisPage
from trustpack.platform.web.pages.exports import Export, send_export
from trustpack.platform.web.pages.lists import PAGE_SIZE, Key, ListShape, ListState, one_of, read_state
from trustpack.platform.web.pages.panes import Choice, Column, ListPane, Tab
from trustpack.platform.web.routing import Store

router = APIRouter(prefix=QUOTES, include_in_schema=False)
SHAPE: Final = ListShape(QUOTES, ("status", "owner", "account", "needs"), {"created": True, "status": False})
ME: Final = "me"
_APPROVERS: Final = ((Role.MANAGER.value, "manager"), (Role.FINANCE.value, "finance"))
_TABS: Final = (
    Tab("All", (("status", ""), ("owner", ""))),
    Tab("Mine", (("status", ""), ("owner", ME))),
    Tab("Waiting", (("status", QuoteStatus.PENDING_APPROVAL.value), ("owner", ""))),
    Tab("Approved", (("status", QuoteStatus.APPROVED.value), ("owner", ""))),
)
_COLUMNS: Final = (
    Column("key", "ID"),
    Column("title", "Account"),
    Column("person", "Owner"),
    Column("number", "Discount"),
    Column("total", "Net total"),
    Column("status", "Status", "status"),
    Column("when", "Created", "created"),
)
_CELLS: Final = {
    "id": lambda item: item["id"],
    "account": lambda item: item["account"],
    "owner": lambda item: item["owner"]["handle"],
    "status": lambda item: item["status"],
    "currency": lambda item: item["currency"],
    "list_amount": lambda item: item["list_amount"],
    "net_amount": lambda item: item["net_amount"],
    "discount_percent": lambda item: item["discount_percent"],
    "valid_until": lambda item: item["valid_until"],
    "created_at": lambda item: item["created_at"],
}


@router.get("")
async def show_quotes(page: ThisPage, store: Store) -> Response:
    """Show what the viewer may read, as the URL asks for it; a whole id leads to its quote."""
    text = read_state(SHAPE, page.request.query_params).text
    async with store.transaction(page.viewer.actor.tenant_id) as tx:
        if text.startswith("quo_"):
            return page.go(f"{QUOTES}/{(await reading.read_quote(tx, page.viewer.actor, text)).quote.id}")
        listed = await list_quotes(page, tx)
    return await page.show("revops/quotes.html", view=listed, current="")


@router.get("/export/{kind}")
async def export_quotes(page: ThisPage, store: Store, kind: Literal["csv", "json"]) -> Response:
    """Send what the list shows as a file, with each quote as the API shows it."""
    state = read_state(SHAPE, page.request.query_params)
    wanted: QuoteFilter | None = None

    async def read(tx: Transaction, keyset: Keyset, limit: int) -> Sequence[tuple[Key, JsonObject]]:
        nonlocal wanted
        wanted = wanted or await _filter_of(page, tx, state)
        views = await reading.list_quotes(tx, page.viewer.actor, replace(wanted, keyset=keyset, limit=limit))
        return [(_key(state, view.quote), reading.present(view)) for view in views]

    return await send_export(page, store, state, Export("quotes", read, _CELLS), kind=kind)


async def list_quotes(page: Page, tx: Transaction) -> ListPane[QuoteRow]:
    """Return the list as the page's URL asks for it; what the URL says beside is ignored. Raises `InvalidInput`."""
    state = read_state(SHAPE, page.request.query_params)
    wanted = await _filter_of(page, tx, state)
    wanted = replace(wanted, keyset=state.keyset(), limit=PAGE_SIZE + 1)
    quotes = await reading.list_rows(tx, page.viewer.actor, wanted)
    handles = await directory.handles_of(tx, [quote.owner_id for quote in quotes])
    paged = state.page_of(quotes, lambda quote: _key(state, quote), size=PAGE_SIZE)
    saved = await directory.saved_views(tx, page.viewer.actor, SHAPE.path)
    return ListPane(
        title="Quotes",
        caption="Quotes",
        placeholder="Find by id, account or person…",
        empty=("No quotes yet", "What was offered, and what came of it, stands here."),
        state=state,
        saved=tuple((one.name, one.query) for one in saved),
        paged=paged.of(lambda quote: row_of(quote, handles, state.query)),
        columns=_COLUMNS,
        choices=(
            Choice("status", "Status", STATUSES),
            Choice("owner", "Owner", owners(state.filters["owner"])),
            Choice("needs", "Needs", _APPROVERS),
            *await _account_choice(tx, state.filters["account"]),
        ),
        tabs=_TABS,
    )


def owners(asked: str) -> tuple[tuple[str, str], ...]:
    """Return whose objects the bar of filters offers: one's own, and somebody else's where they are asked for."""
    return ((ME, "me"), *((one, one) for one in {asked} - {"", ME}))


async def person_asked_for(page: Page, tx: Transaction, name: str) -> str | None:
    """Return whose objects are asked for, by id."""
    if name == ME:
        return page.viewer.actor.id
    return await listing.person_id_of(tx, name) if name else None


async def _account_choice(tx: Transaction, account_key: str) -> tuple[Choice, ...]:
    if not account_key:
        return ()
    names = await listing.account_names(tx, [account_key])
    return (Choice("account", "Account", ((account_key, names.get(account_key, account_key)),)),)


async def _filter_of(page: Page, tx: Transaction, state: ListState) -> QuoteFilter:
    asked = state.filters
    return QuoteFilter(
        status=one_of("status", asked["status"], [status.value for status in QuoteStatus]),
        owner_id=await person_asked_for(page, tx, asked["owner"]),
        account_key=asked["account"] or None,
        needs=one_of("approver", asked["needs"], [role for role, _ in _APPROVERS]),
        named_by=await listing.named_by(tx, state.text) if state.text else None,
    )


def _key(state: ListState, quote: Quote) -> Key:
    values = {"created": "", "status": quote.status.value}
    return values[state.sort], quote.id
