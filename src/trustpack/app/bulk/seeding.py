"""Fill a demo tenant: tell every story once, then copy it, batch by batch; what is there already stays as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import httpx2

from trustpack.app.bootstrap import Container, open_container
from trustpack.app.bulk.capture import deals_there, rows_of_story
from trustpack.app.bulk.cast import Cast, end_tokens, engage, lend_tokens
from trustpack.app.bulk.loading import load
from trustpack.app.bulk.moulds import Copy, Mould
from trustpack.app.bulk.plots import QUOTES_PER_DEAL, REQUESTS_PER_DEAL, chance, deals, requests
from trustpack.app.bulk.stories import Narrator, StoryClock, mailbox_of
from trustpack.app.http import build_app
from trustpack.capabilities import directory
from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.platform.settings import Settings

DEALS_PER_BATCH: Final = 500
_LOADERS: Final = 4
"""So many transactions at once: while one is being checked by the store, the next is being made."""
_DAYS: Final = timedelta(days=60)
_DEALS_BEGAN: Final = timedelta(days=13)
"""So long ago the stories of deals begin: what waits for an approval waits 14 days at most."""
_REQUESTS_BEGAN: Final = timedelta(hours=6)
_STILL_OPEN: Final = timedelta(hours=1)
Report = Callable[[int, int], None]
"""Is told how many deals are done, of how many."""


class NotADemoTenant(TrustpackError):
    """The bulk set would be among real data."""

    kind = ErrorKind.FORBIDDEN
    code = "seed.not_a_demo_tenant"
    title = "This is no demo tenant"
    next_step = "Name a tenant that is marked as demo; `trustpack tenant create --demo` makes one."


@dataclass(frozen=True, slots=True)
class _Moulds:
    """What copies are made from: a deal of every kind, and as many times two requests."""

    deals: Sequence[Mould]
    requests: Sequence[Mould]
    cast: Cast
    now: datetime
    wanted: int

    def of_deal(self, deal: int) -> Iterator[tuple[Mould, int]]:
        """Yield the moulds of a deal and of its requests, each with the number that its copy bears."""
        yield self.deals[deal % len(self.deals)], deal
        for request in range(deal * REQUESTS_PER_DEAL, (deal + 1) * REQUESTS_PER_DEAL):
            yield self.requests[request % len(self.requests)], request


async def seed_bulk(settings: Settings, tenant_id: str, *, quotes: int, report: Report) -> None:
    """Bring the tenant to so many bulk quotes, four to a deal and with two requests for each deal, beside the stories themselves.

    Each batch is stored whole or not at all, and what is missing of a run that was ended is added by the next one. Raises
    `NotADemoTenant`.
    """
    wanted = -(-quotes // QUOTES_PER_DEAL)
    async with open_container(settings) as container:
        batches = await _missing(container, tenant_id, wanted)
        report(wanted - sum(map(len, batches)), wanted)
        if batches:
            moulds = await _tell_stories(settings, tenant_id, wanted=wanted, now=container.unit_of_work.clock.now())
            await _load_all(container, tenant_id, moulds, batches, report=lambda more: report(more, wanted))


async def _missing(container: Container, tenant_id: str, wanted: int) -> list[list[int]]:
    """Return the deals that are not there yet, in batches."""
    batches = []
    async with container.unit_of_work.transaction(tenant_id) as tx:
        if not await directory.is_demo_tenant(tx):
            raise NotADemoTenant(f"{tenant_id} does not exist, or is not marked as demo.")
        for start in range(0, wanted, DEALS_PER_BATCH):
            mailboxes = {mailbox_of(number_of(deal)): deal for deal in range(start, min(start + DEALS_PER_BATCH, wanted))}
            there = await deals_there(tx, list(mailboxes))
            batches.append([deal for mailbox, deal in mailboxes.items() if mailbox not in there])
    return [batch for batch in batches if batch]


async def _tell_stories(settings: Settings, tenant_id: str, *, wanted: int, now: datetime) -> _Moulds:
    clock = StoryClock(now - _DAYS)
    unlimited = settings.model_copy(update={"token_requests_per_second": 0, "failed_sign_ins_per_minute": 0})
    async with open_container(unlimited, clock=clock) as container:
        cast = await engage(container, tenant_id)
        tokens = await lend_tokens(container, tenant_id, cast)
        app = build_app(container, with_worker=False)
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://stories") as http:
            narrator = Narrator(http, {role: token.secret for role, token in tokens.items()}, clock)
            told = await _tell(narrator, container, now=now)
        await end_tokens(container, tenant_id, tokens)
        async with container.unit_of_work.transaction(tenant_id) as tx:
            of_deals, of_requests = [[Mould(await rows_of_story(tx, ids)) for ids in stories] for stories in told]
    return _Moulds(of_deals, of_requests, cast, now, wanted)


async def _tell(narrator: Narrator, container: Container, *, now: datetime) -> tuple[list[tuple[str, ...]], ...]:
    run = container.unit_of_work.ids.random_bytes(2).hex()
    of_deals, of_requests = [], []
    for place, plots in enumerate(deals()):
        narrator.clock.moment = now - _DEALS_BEGAN
        of_deals.append(await narrator.tell_deal(f"bulk-f{run}{place:03}", plots))
    for place, ending in enumerate(requests()):
        narrator.clock.moment = now - _REQUESTS_BEGAN
        of_requests.append(await narrator.tell_request(f"bulk-f{run}{place:03}", ending))
    return of_deals, of_requests


async def _load_all(
    container: Container, tenant_id: str, moulds: _Moulds, batches: Sequence[Sequence[int]], *, report: Callable[[int], None]
) -> None:
    left = iter(batches)

    async def load_some() -> None:
        for batch in left:
            copies = await asyncio.to_thread(_copies, container, moulds, batch)
            async with container.unit_of_work.transaction(tenant_id, pipelined=False) as tx:
                await load(tx, copies)
            report(len(batch))

    async with asyncio.TaskGroup() as group:
        for _ in range(_LOADERS):
            group.create_task(load_some())


def _copies(container: Container, moulds: _Moulds, batch: Sequence[int]) -> dict[str, str]:
    lines: dict[str, list[str]] = {}
    for deal in batch:
        cast = _casting(moulds.cast, deal)
        for mould, number in moulds.of_deal(deal):
            wanted = Copy(
                number=number_of(number),
                later=_later(mould, now=moulds.now, place=(deal + chance("when", number)) / moulds.wanted),
                cast=cast,
                noise=container.unit_of_work.ids.random_bytes(mould.noise_bytes),
            )
            for table, text in mould.copy(wanted).items():
                lines.setdefault(table, []).append(text)
    return {table: "".join(texts) for table, texts in lines.items()}


def number_of(place: int) -> str:
    """Return the number by which a deal or request names itself."""
    return f"bulk-{place:08}"


def _later(mould: Mould, *, now: datetime, place: float) -> timedelta:
    """Return how much later a copy happens: at `place` of the time in which it can have ended and is still true.

    Deals follow each other in time as in number, so that the store writes to the ends of its indexes.
    """
    latest = now - mould.last
    earliest = now - _DAYS - mould.first if mould.deadline is None else now + _STILL_OPEN - mould.deadline
    return timedelta(seconds=int((earliest + (latest - earliest) * place).total_seconds()))


def _casting(cast: Cast, deal: int) -> dict[str, str]:
    """Return who plays in a copy, by who played in the story."""
    casting: dict[str, str] = {}
    for role, players in cast.items():
        first, chosen = players[0], players[int(chance("cast", role.value, deal) * len(players))]
        casting |= {first.id: chosen.id, first.account_id: chosen.account_id}
    return casting
