"""Read how a deal began: its lead, its opportunity, and what was recorded of either."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trustpack.capabilities import directory, ledger, policy
from trustpack.capabilities.revops.model import Lead, Opportunity, Quote, QuoteFilter
from trustpack.capabilities.revops.service.leads import read_opportunity, read_promotion
from trustpack.capabilities.revops.service.reading import list_rows
from trustpack.capabilities.revops.service.telling import Record
from trustpack.kernel.actor import Actor
from trustpack.platform.unit_of_work import Transaction

MOST_QUOTES: Final = 100


@dataclass(frozen=True, slots=True)
class Beginning:
    """A lead with its opportunity, the quotes of it that the reader may read, newest first, and what was recorded of one."""

    lead: Lead
    opportunity: Opportunity
    quotes: tuple[Quote, ...]
    record: Record

    def name_of(self, person_id: str) -> str:
        """Return the name by which others know a person."""
        return self.record.handles.get(person_id, person_id)


async def read_beginning(tx: Transaction, actor: Actor, subject_id: str) -> Beginning:
    """Return what a lead or an opportunity, as the id says, is the beginning of; its record is that of this id.

    Raises `NotFound`.
    """
    lead, opportunity = await _read(tx, actor, subject_id)
    subject: Lead | Opportunity = lead if subject_id == lead.id else opportunity
    history = await ledger.history_of(tx, subject.id, version=subject.version)
    people = [lead.created_by, opportunity.owner_id, *ledger.actors_of(history)]
    decisions = await policy.decisions_of(tx, lead.id)
    quotes = await list_rows(tx, actor, QuoteFilter(opportunity_id=opportunity.id, limit=MOST_QUOTES))
    return Beginning(lead, opportunity, quotes, Record(history, decisions, await directory.handles_of(tx, people)))


async def _read(tx: Transaction, actor: Actor, subject_id: str) -> tuple[Lead, Opportunity]:
    if subject_id.startswith("lead_"):
        promotion = await read_promotion(tx, actor, subject_id)
        return promotion.lead, promotion.opportunity
    opportunity, lead = await read_opportunity(tx, actor, subject_id)
    assert lead is not None  # an opportunity begins with its lead, and neither is ever deleted
    return lead, opportunity
