"""What somebody does about a quote of the demo, through the use cases that the API calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from trustpack.app.demo.deals import PRODUCTS, Deal, Item, Step, Verb
from trustpack.capabilities.policy import DecisionMode
from trustpack.capabilities.revops.jobs import job_handlers
from trustpack.capabilities.revops.service import activating, quotes, reading, submitting, voting
from trustpack.capabilities.revops.service.context import EXPIRE_JOB, RevOps
from trustpack.capabilities.revops.service.deciding import ask_policy
from trustpack.capabilities.revops.service.shapes import TermsBody
from trustpack.kernel.actor import Actor
from trustpack.platform.jobs import JobRunner, schedule_claimed
from trustpack.platform.unit_of_work import Transaction


@dataclass(frozen=True, slots=True)
class Scene:
    """One step of a deal with who takes it; `quote_id` is empty before the quote is written."""

    revops: RevOps
    actor: Actor
    deal: Deal
    step: Step
    quote_id: str

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction of the actor's tenant."""
        return self.revops.unit_of_work.transaction(self.actor.tenant_id)


async def create(scene: Scene, *, opportunity_id: str, valid_until: str | None) -> str:
    """Write the quote and return its id."""
    written = terms_of(scene.deal, scene.step.items, valid_until=valid_until).to_written()
    title, name = scene.deal.lead.company, scene.deal.name
    async with scene.transaction() as tx:
        quote = await quotes.create_quote(
            tx, scene.actor, opportunity_id=opportunity_id, written=written, title=title, external_id=name
        )
    return quote.id


async def _preview(scene: Scene) -> object:
    asked = await ask_policy(scene.revops, scene.actor, scene.quote_id, action="submit", mode=DecisionMode.PREVIEW)
    async with scene.transaction() as tx:
        return await submitting.preview(tx, scene.actor, asked)


async def _submit(scene: Scene) -> object:
    asked = await ask_policy(scene.revops, scene.actor, scene.quote_id, action="submit", mode=DecisionMode.ENFORCE)
    async with scene.transaction() as tx:
        return await submitting.submit(tx, scene.revops, scene.actor, asked)


async def _approve(scene: Scene) -> object:
    actor, quote_id, comment = scene.actor, scene.quote_id, scene.step.text
    async with scene.transaction() as tx:
        digest = (await reading.read_quote(tx, actor, quote_id)).quote.terms_digest
        return await voting.approve(tx, scene.revops, actor, quote_id, digest=digest, comment=comment, role=None)


async def _reject(scene: Scene) -> object:
    async with scene.transaction() as tx:
        return await voting.reject(tx, scene.actor, scene.quote_id, reason=scene.step.text or "")


async def _recall(scene: Scene) -> object:
    async with scene.transaction() as tx:
        return await quotes.recall_quote(tx, scene.actor, scene.quote_id, reason=scene.step.text)


async def _revise(scene: Scene) -> object:
    written = terms_of(scene.deal, scene.step.items, valid_until=None).to_written()
    async with scene.transaction() as tx:
        return await quotes.change_quote(tx, scene.actor, scene.quote_id, written=written, title=None, has_title=False)


async def _activate(scene: Scene) -> object:
    asked = await ask_policy(scene.revops, scene.actor, scene.quote_id, action="activate", mode=DecisionMode.ENFORCE)
    async with scene.transaction() as tx:
        return await activating.activate(tx, scene.actor, asked)


async def _expire(scene: Scene) -> object:
    """Run the worker's job when it is due; one that a worker has taken meanwhile is left to it."""
    async with scene.transaction() as tx:
        job = await schedule_claimed(tx, kind=EXPIRE_JOB, subject_id=scene.quote_id)
    if job is not None:
        await JobRunner(scene.revops.unit_of_work, job_handlers(scene.revops)).run(job)
    return job


DEEDS: Mapping[Verb, Callable[[Scene], Awaitable[object]]] = {
    Verb.PREVIEW: _preview,
    Verb.SUBMIT: _submit,
    Verb.APPROVE: _approve,
    Verb.APPROVE_IN_VAIN: _approve,
    Verb.REJECT: _reject,
    Verb.REVISE: _revise,
    Verb.RECALL: _recall,
    Verb.ACTIVATE: _activate,
    Verb.EXPIRE: _expire,
}
"""Everything but to write the quote; returns `Refused` for what was refused with a receipt."""


def terms_of(deal: Deal, items: tuple[Item, ...], *, valid_until: str | None) -> TermsBody:
    """Return the terms as they would be sent: every line at its list price, with its discount."""
    lines = [
        {
            "sku": item.sku,
            "description": PRODUCTS[item.sku].description,
            "quantity": item.quantity,
            "unit_price": PRODUCTS[item.sku].price,
            "discount_percent": item.discount,
            "recurring": PRODUCTS[item.sku].recurring,
        }
        for item in items
    ]
    return TermsBody.model_validate({"currency": deal.currency, "lines": lines, "valid_until": valid_until})
