"""What lists of deals are asked for in words, and the list of opportunities."""

from __future__ import annotations

from dataclasses import replace

from trustpack.capabilities import directory
from trustpack.capabilities.revops.model import InvalidContact, NamedBy, Opportunity, OpportunityFilter
from trustpack.capabilities.revops.rules.contacts import normal_email
from trustpack.capabilities.revops.rules.visibility import reads_everything
from trustpack.capabilities.revops.store import opportunities as store
from trustpack.kernel.actor import Actor
from trustpack.platform.unit_of_work import Transaction

ID_END_LENGTH = 8
MOST_ACCOUNTS = 20
account_names = store.account_names


async def named_by(tx: Transaction, text: str) -> NamedBy:
    """Return what a text may mean when it stands for leads, opportunities or quotes."""
    try:
        mailbox = normal_email(text)
    except InvalidContact:
        mailbox = ""
    return NamedBy(
        id_end=text.lower()[-ID_END_LENGTH:],
        mailbox=mailbox,
        accounts=await store.accounts_beginning_with(tx, text, limit=MOST_ACCOUNTS),
        people=await directory.people_called(tx, text),
    )


async def person_id_of(tx: Transaction, name: str) -> str:
    """Return a person's id by handle; what is no handle of anybody stays, and fits nothing."""
    try:
        return (await directory.person_by_handle(tx, name)).id
    except directory.UnknownName:
        return name


async def list_opportunities(tx: Transaction, actor: Actor, wanted: OpportunityFilter) -> tuple[Opportunity, ...]:
    """Return one page of what the actor may read."""
    if not reads_everything(actor):
        wanted = replace(wanted, visible_to=actor.id, team_ids=tuple(sorted(actor.team_ids)))
    return await store.list_opportunities(tx, wanted)
