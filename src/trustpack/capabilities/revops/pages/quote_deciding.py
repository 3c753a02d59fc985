"""What people decide about a quote: each form names the digest of the terms that it showed, and nothing else is decided."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Literal, TypeVar

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from trustpack.capabilities.directory import RecentlySignedIn
from trustpack.capabilities.policy import DecisionMode
from trustpack.capabilities.revops.model import Quote, QuoteMoved
from trustpack.capabilities.revops.pages.one_quote import kept_of, opened, revops_of
from trustpack.capabilities.revops.pages.quote_offers import LEAST_REASON
from trustpack.capabilities.revops.pages.quote_refusals import refusal_of
from trustpack.capabilities.revops.pages.views import QUOTES
from trustpack.capabilities.revops.service import activating, quotes, reading, standing, submitting, telling, voting
from trustpack.capabilities.revops.service.deciding import PREPARATIONS, Asked, ask_policy
from trustpack.kernel.actor import Role
from trustpack.kernel.errors import Refused, TrustpackError
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import Form, FormReading, Page, ThisPage
from trustpack.platform.web.pages.once import do_once, done_before, key_of_form
from trustpack.platform.web.problems import OF_NO_OBJECT

router = APIRouter(prefix=QUOTES, include_in_schema=False)
_LONGEST_TEXT: Final = 2000
_VISIBLE: Final = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
Outcome = Quote | Refused


class Decision(Form):
    """A decision on the terms that were shown."""

    digest: str = Field(max_length=100)


class Words(Decision):
    """A decision with words that need not be there."""

    text: str = Field("", max_length=_LONGEST_TEXT, pattern=_VISIBLE)


class Vote(Words):
    """A yes, and which role it is meant for; empty: whichever is needed."""

    role: Role | Literal[""] = ""


class Reason(Decision):
    """A no, and why."""

    text: str = Field(min_length=LEAST_REASON, max_length=_LONGEST_TEXT, pattern=_VISIBLE)


class Copy(Decision):
    """A copy, made once for each time that the form was shown."""

    key: str = Field(pattern="^[0-9a-f]{32}$")


D = TypeVar("D", bound=Decision)


@router.post("/{quote_id}/approve")
async def approve(_: RecentlySignedIn, page: ThisPage, quote_id: str) -> Response:
    """Vote yes on exactly the terms that were shown."""
    actor, revops = page.viewer.actor, revops_of(page.request)

    async def work(tx: Transaction, vote: Vote) -> Outcome:
        comment, role = vote.text or None, vote.role or None
        return await voting.approve(tx, revops, actor, quote_id, digest=vote.digest, comment=comment, role=role)

    return await _decide(page, quote_id, "approve", await page.read(Vote), work)


@router.post("/{quote_id}/reject")
async def reject(_: RecentlySignedIn, page: ThisPage, quote_id: str) -> Response:
    """Vote no, which ends the submission."""

    async def work(tx: Transaction, no: Reason) -> Outcome:
        return await voting.reject(tx, page.viewer.actor, quote_id, reason=no.text)

    return await _decide(page, quote_id, "reject", await page.read(Reason), work)


@router.post("/{quote_id}/recall")
async def recall(_: RecentlySignedIn, page: ThisPage, quote_id: str) -> Response:
    """Take a submitted or approved quote back."""

    async def work(tx: Transaction, words: Words) -> Outcome:
        return await quotes.recall_quote(tx, page.viewer.actor, quote_id, reason=words.text or None)

    return await _decide(page, quote_id, "recall", await page.read(Words), work)


@router.post("/{quote_id}/clone")
async def clone(_: RecentlySignedIn, page: ThisPage, quote_id: str) -> Response:
    """Copy the terms that were shown into a new draft, and lead to it; sent twice, to the same one."""
    form = await page.read(Copy)

    async def work(tx: Transaction, _copy: Copy) -> Outcome:
        key = key_of_form(page, form.given)
        # Whoever sent the form first holds the quote's row until the copy is there.
        if (copy_id := await done_before(tx, key)) is not None:
            return (await reading.read_quote(tx, page.viewer.actor, copy_id)).quote
        made = await quotes.clone_quote(tx, page.viewer.actor, quote_id)
        if isinstance(made, Quote):
            await do_once(tx, key, partial(_id_of, made))
        return made

    return await _decide(page, quote_id, "clone", form, work)


@router.post("/{quote_id}/submit")
async def submit(_: RecentlySignedIn, page: ThisPage, quote_id: str) -> Response:
    """Put the terms that were shown to policy, and begin to wait for the approvals that it asks for."""
    actor, revops = page.viewer.actor, revops_of(page.request)
    return await _decide_with_policy(page, quote_id, "submit", lambda tx, asked: submitting.submit(tx, revops, actor, asked))


@router.post("/{quote_id}/activate")
async def activate(_: RecentlySignedIn, page: ThisPage, quote_id: str) -> Response:
    """Ask policy once more, and make the contract of exactly the terms that were shown."""
    return await _decide_with_policy(
        page, quote_id, "activate", lambda tx, asked: activating.activate(tx, page.viewer.actor, asked)
    )


async def _id_of(quote: Quote) -> str:
    return quote.id


async def _decide_with_policy(
    page: Page, quote_id: str, name: str, act: Callable[[Transaction, Asked], Awaitable[Outcome | None]]
) -> Response:
    """Ask policy outside of a transaction, then act inside of one; again, as long as the quote moves in between."""
    form = await page.read(Decision)
    for _ in range(PREPARATIONS):
        asked = await ask_policy(revops_of(page.request), page.viewer.actor, quote_id, action=name, mode=DecisionMode.ENFORCE)

        async def work(tx: Transaction, _decision: Decision, asked: Asked = asked) -> Outcome:
            outcome = await act(tx, asked)
            if outcome is None:
                raise QuoteMoved
            return outcome

        try:
            return await _decide(page, quote_id, name, form, work)
        except QuoteMoved:
            continue
    return await _refuse(page, quote_id, QuoteMoved(), form)


async def _decide(
    page: Page, quote_id: str, name: str, form: FormReading[D], work: Callable[[Transaction, D], Awaitable[Outcome]]
) -> Response:
    """Do the work on a quote that still is what was shown; else, and when it is refused, say why and what can be done."""
    if form.form is None:
        return await _ask_again(page, quote_id, name, form)
    actor, unit_of_work = page.viewer.actor, revops_of(page.request).unit_of_work
    digest = form.form.digest
    try:
        async with unit_of_work.transaction(actor.tenant_id) as tx:
            await standing.require_as_shown(tx, actor, quote_id, digest=digest)
            outcome = await work(tx, form.form)
    except QuoteMoved:
        raise
    except TrustpackError as error:
        if error.kind in OF_NO_OBJECT:
            raise
        async with unit_of_work.transaction(actor.tenant_id) as tx:
            was_done = await telling.was_done(tx, actor, quote_id, command=name, digest=digest)
        # Sent twice, it was done once, and that was no mistake.
        return page.go(_path(page, quote_id)) if was_done else await _refuse(page, quote_id, error, form)
    # Only now: the refusal has a receipt of its own, which the transaction keeps.
    if isinstance(outcome, Refused):
        return await _refuse(page, quote_id, outcome.error, form)
    return page.go(_path(page, outcome.id))


def _path(page: Page, quote_id: str) -> str:
    return f"{QUOTES}/{quote_id}{kept_of(page.request)}"


async def _ask_again(page: Page, quote_id: str, name: str, form: FormReading[D]) -> Response:
    async with revops_of(page.request).unit_of_work.transaction(page.viewer.actor.tenant_id, consistent=True) as tx:
        quote = await opened(tx, page, quote_id)
    question = quote.one.question(name)
    return await page.show("revops/quote_question.html", status=422, **quote.values, offer=question, reading=form)


async def _refuse(page: Page, quote_id: str, error: TrustpackError, form: FormReading[D]) -> Response:
    actor = page.viewer.actor
    async with revops_of(page.request).unit_of_work.transaction(actor.tenant_id, consistent=True) as tx:
        quote = await opened(tx, page, quote_id)
        seen = await telling.find_revision(tx, actor, quote_id, form.given.get("digest", "").strip())
    refusal = refusal_of(error, quote.view, quote.standing, seen, written=form.given.get("text", "").strip())
    return await page.show("revops/quote_refused.html", status=refusal.status, **quote.values, refusal=refusal)
