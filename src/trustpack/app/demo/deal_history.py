"""Have the deals of the demo happen again, each step at its time in the past.

Idempotent: what a quote's receipts tell of is not done again, so a history that was cut off is continued where it ended. A
quote whose receipts are not the beginning of its story was touched by somebody else and stays as it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

from trustpack.app.bootstrap import Container
from trustpack.app.demo.deal_deeds import DEEDS, Scene, create
from trustpack.app.demo.deals import DEALS, LEAVE, LEAVE_BEGAN, LEAVER_LEFT, OTHER_LEADS, Deal, LeadData, Step, Verb
from trustpack.app.demo.sellers import LEAVER, ON_LEAVE, STAND_IN
from trustpack.capabilities import directory, ledger
from trustpack.capabilities.revops.api.delegations import ListQuery
from trustpack.capabilities.revops.service import delegations, leads
from trustpack.capabilities.revops.service.context import RevOps
from trustpack.capabilities.revops.service.reading import id_of_external
from trustpack.capabilities.revops.service.shapes import DelegationBody, LeadBody
from trustpack.kernel.actor import Actor, system_actor
from trustpack.kernel.clock import Clock
from trustpack.kernel.errors import Refused
from trustpack.platform.entropy import SystemIds
from trustpack.platform.unit_of_work import UnitOfWork
from trustpack.platform.web.pagination import MAX_PAGE

_DAY_SECONDS = 86_400

Event: TypeAlias = tuple[datetime, Callable[[], Awaitable[object]]]


@dataclass(slots=True)
class StoryClock:
    """Stands at the moment that is being told."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment


@dataclass(slots=True)
class _Case:
    """How far a quote has come; `left` holds the steps that are still to be done."""

    left: list[Step]
    quote_id: str
    opportunity_id: str = ""


def revops_at(container: Container, clock: Clock) -> RevOps:
    """Return the flow's collaborators as of the time of another clock: rows, ids, receipts and decisions bear its time."""
    return replace(
        container.revops,
        unit_of_work=UnitOfWork(container.app_pool, clock=clock, ids=SystemIds(clock)),
        gate=container.gate.dated_by(clock),
        # The story's own windows: it must come out the same whatever this process is set to.
        approval_window_seconds=14 * _DAY_SECONDS,
        use_by_seconds=30 * _DAY_SECONDS,
    )


@dataclass(slots=True)
class DealHistory:
    """Tells the story of one tenant. `revops` goes by `clock`, which the story moves."""

    revops: RevOps
    clock: StoryClock
    tenant_id: str
    _cases: dict[str, _Case] = field(default_factory=dict)

    async def live_through(self, now: datetime) -> None:
        """Do whatever of the story is not done yet, in the order of its time, ending now.

        Raises what a use case raises or refuses. Guarantee: done twice, the second time changes nothing.
        """
        self.clock.moment = now
        for deal in DEALS:
            self._cases[deal.name] = await self._case_of(deal)
        told = await self._first_told(now)
        for moment, happen in sorted(self._timeline(told), key=lambda event: event[0]):
            self.clock.moment = moment
            await happen()

    def _timeline(self, told: datetime) -> list[Event]:
        events: list[Event] = [(told - LEAVER_LEFT, self._leaver_leaves), (told - LEAVE_BEGAN, self._role_is_lent)]
        for deal in DEALS:
            events.append((deal.lead_moment(told), partial(self._open, deal)))
            events += [(deal.moment_of(step, told), partial(self._do, deal, step, told)) for step in deal.steps]
        events += [(told - timedelta(hours=hours), partial(self._take_in, by, lead)) for hours, by, lead in OTHER_LEADS]
        return events

    async def _first_told(self, now: datetime) -> datetime:
        """Return when the story was told first, by the time of its first lead: a continuation keeps its times."""
        first = DEALS[0]
        known = await leads.route(self.revops, await self._actor(first.owner), _body_of(first.lead).to_new_lead())
        return now if isinstance(known, leads.Incoming) else known.lead.created_at + (now - first.lead_moment(now))

    async def _case_of(self, deal: Deal) -> _Case:
        async with self.revops.unit_of_work.transaction(self.tenant_id) as tx:
            quote_id = await id_of_external(tx, deal.name)
            receipts = await ledger.receipts_of(tx, quote_id) if quote_id is not None else ()
        done = len(receipts)
        is_of_story = [receipt.action for receipt in receipts] == [step.verb.value for step in deal.steps[:done]]
        return _Case(left=list(deal.steps[done:]) if is_of_story else [], quote_id=quote_id or "")

    async def _leaver_leaves(self) -> None:
        if not self._is_awaited(LEAVER):
            return
        async with self.revops.unit_of_work.transaction(self.tenant_id) as tx:
            status = directory.PersonStatus.DEACTIVATED
            await directory.set_person_status(tx, system_actor(self.tenant_id, "seed"), handle=LEAVER, status=status)

    def _is_awaited(self, who: str) -> bool:
        return any(self._cases[deal.name].left for deal in DEALS if who in {step.who for step in deal.steps})

    async def _role_is_lent(self) -> None:
        if not self._is_awaited(STAND_IN):
            return
        first, maker = self.clock.moment.date(), await self._actor(ON_LEAVE)
        days = {"from_date": first.isoformat(), "until_date": (first + LEAVE).isoformat()}
        body = DelegationBody.model_validate({"role": "manager", "to": STAND_IN, "reason": "On leave.", **days})
        async with self.revops.unit_of_work.transaction(self.tenant_id) as tx:
            known = await delegations.list_delegations(tx, maker, ListQuery(limit=MAX_PAGE).to_filter())
            if not any((one.from_person, one.created_at) == (maker.id, tx.now) for one in known):
                await delegations.create_delegation(tx, maker, body.to_written())

    async def _open(self, deal: Deal) -> None:
        self._cases[deal.name].opportunity_id = await self._take_in(deal.owner, deal.lead)

    async def _take_in(self, by: str, lead: LeadData) -> str:
        actor = await self._actor(by)
        routed = await leads.route(self.revops, actor, _body_of(lead).to_new_lead())
        if isinstance(routed, leads.Incoming):
            async with self.revops.unit_of_work.transaction(self.tenant_id) as tx:
                routed = await leads.promote(tx, actor, routed)
        return routed.opportunity.id

    async def _do(self, deal: Deal, step: Step, told: datetime) -> None:
        case = self._cases[deal.name]
        if step not in case.left:
            return
        actor = await self._actor(step.who or deal.owner)
        scene = Scene(self.revops, actor, deal, step, case.quote_id)
        if step.verb is Verb.CREATE:
            valid_until = deal.valid_until(told).date().isoformat() if deal.valid_days is not None else None
            case.quote_id = await create(scene, opportunity_id=case.opportunity_id, valid_until=valid_until)
            return
        outcome = await DEEDS[step.verb](scene)
        if isinstance(outcome, Refused) and step.verb is not Verb.APPROVE_IN_VAIN:
            raise outcome.error

    async def _actor(self, handle: str) -> Actor:
        async with self.revops.unit_of_work.transaction(self.tenant_id) as tx:
            return await directory.actor_of(tx, handle)


def _body_of(lead: LeadData) -> LeadBody:
    return LeadBody.model_validate(asdict(lead))
