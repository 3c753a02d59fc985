"""Everybody who may call the API, in two tenants, and calls whose answers and statements can be compared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import httpx2
import psycopg
import pytest
from psycopg import AsyncCursor, sql

from tests.support.deals import Deals, selling
from tests.support.delegating import lend
from tests.support.worlds import ScriptedWorld
from trustpack.capabilities import directory
from trustpack.kernel.actor import ActorKind, Role

OUTSIDER = "outsider"
DELEGATE = "user-team-mate"
_BEGINS_DAYS_AHEAD = 30


Ids = Mapping[str, str]
"""The ids by which a case can be named: `request`, `decision` and `person`; `quote`, `opportunity`, `lead` and `deal_decision`;
and `delegation`, with its days."""


class Call(Protocol):
    """How a route is called: a URL with places for ids, and a body."""

    @property
    def url(self) -> str: ...

    @property
    def body(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Matrix:
    """The tenant that is asked, and the one that it must not know of; `standing` is a case and a deal of the first."""

    here: ScriptedWorld
    there: ScriptedWorld
    deals: Deals
    deals_there: Deals
    standing: Ids

    async def ask(self, handle: str | None, route: str, call: Call, ids: Ids, *, key: str | None = None) -> httpx2.Response:
        """Call a route about the case with these ids; the outsider does so with a token of the other tenant."""
        return await self.here.call(handle, route.split(maxsplit=1)[0], call.url.format(**ids), filled(call.body, ids), key=key)


async def populate_matrix(here: ScriptedWorld, there: ScriptedWorld) -> Matrix:
    """Add the people that the usual cast lacks, and the outsider's token to those of the first tenant."""
    deals, deals_there = await selling(here), await selling(there)
    for handle in ("user-team-mate", "user-without-role"):
        await here.add_person(handle)
    await there.add_person(DELEGATE)
    await here.add_person("bot-with-role", Role.TEAM_LEAD, Role.ENGINEER, Role.MANAGER, kind=ActorKind.BOT)
    async with here.container.unit_of_work.transaction(here.tenant_id) as tx:
        for team, handles in {"payments": ("user-engineer", "user-team-mate"), "search": ("user-engineer-2",)}.items():
            await directory.add_team(tx, here.operator, name=team)
            for handle in handles:
                await directory.join_team(tx, here.operator, handle=handle, team=team)
        await directory.join_team(tx, here.operator, handle="user-team-mate", team="enterprise")
    here.tokens[OUTSIDER] = there.tokens["user-engineer"]
    standing = {
        **ids_of(await here.active()),
        **ids_of_deal(await deals.approved()),
        **await new_delegation(deals),
        "lead": deals.lead_id,
    }
    return Matrix(here, there, deals, deals_there, standing)


def filled(body: Any, ids: Ids) -> Any:
    """Return a body with the ids of a case in the places for them."""
    if not isinstance(body, dict):
        return body
    return {name: value.format(**ids) if isinstance(value, str) else filled(value, ids) for name, value in body.items()}


def ids_of_deal(quote: Mapping[str, Any]) -> Ids:
    """Return the ids of a quote as the API shows it; one that policy was never asked about has no decision."""
    decision = (quote["decisions"] or [f"dec_{'0' * 32}"])[0]
    return {"quote": quote["id"], "opportunity": quote["opportunity_id"], "deal_decision": decision}


async def new_delegation(deals: Deals) -> Ids:
    """Make a delegation of the manager that lends nothing yet, so that nobody's rights change; return its id and its days."""
    made = await lend(deals, to=DELEGATE, begins=_BEGINS_DAYS_AHEAD)
    return {"delegation": made["id"], "first_day": made["from_date"], "last_day": made["until_date"]}


def ids_of(request: Mapping[str, Any]) -> Ids:
    """Return the ids of a request as the API shows it."""
    return {"request": request["id"], "decision": request["decisions"][0], "person": request["requester"]["id"]}


def shape_of(answer: httpx2.Response) -> dict[str, Any]:
    """Return all by which a caller can tell two answers apart, but for what is new in every answer."""
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    body = re.sub(rb'"request_id": "[^"]*"', b"", answer.content)
    return {"status": int(answer.status_code), "headers": headers, "body": body}


@contextmanager
def recorded_statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Record the text of every statement that this process sends to PostgreSQL."""
    sent: list[str] = []
    execute = AsyncCursor.execute

    async def recording(cursor: AsyncCursor[Any], query: Any, *arguments: Any, **options: Any) -> Any:
        sent.append(query.as_string(cursor) if isinstance(query, sql.Composable) else str(query))
        return await execute(cursor, query, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.AsyncCursor, "execute", recording)
        yield sent
