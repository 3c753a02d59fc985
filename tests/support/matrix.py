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

from tests.support.worlds import ScriptedWorld
from trustpack.capabilities import directory
from trustpack.kernel.actor import ActorKind, Role

OUTSIDER = "outsider"


Ids = Mapping[str, str]
"""The ids by which a case can be named: `request`, `decision` and `person`."""


class Call(Protocol):
    """How a route is called: a URL with places for ids, and a body."""

    @property
    def url(self) -> str: ...

    @property
    def body(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Matrix:
    """The tenant that is asked, and the one that it must not know of."""

    here: ScriptedWorld
    there: ScriptedWorld

    async def ask(self, handle: str | None, route: str, call: Call, ids: Ids, *, key: str | None = None) -> httpx2.Response:
        """Call a route about the case with these ids; the outsider does so with a token of the other tenant."""
        return await self.here.call(handle, route.split(maxsplit=1)[0], call.url.format(**ids), call.body, key=key)


async def populate_matrix(here: ScriptedWorld, there: ScriptedWorld) -> Matrix:
    """Add the people that the usual cast lacks, and the outsider's token to those of the first tenant."""
    for handle, roles in {"user-manager": {Role.MANAGER}, "user-finance": {Role.FINANCE}}.items():
        await here.add_person(handle, *roles)
    for handle in ("user-team-mate", "user-without-role"):
        await here.add_person(handle)
    await here.add_person("bot-with-role", Role.TEAM_LEAD, Role.ENGINEER, kind=ActorKind.BOT)
    async with here.container.unit_of_work.transaction(here.tenant_id) as tx:
        for team, handles in {"payments": ("user-engineer", "user-team-mate"), "search": ("user-engineer-2",)}.items():
            await directory.add_team(tx, here.operator, name=team)
            for handle in handles:
                await directory.join_team(tx, here.operator, handle=handle, team=team)
    here.tokens[OUTSIDER] = there.tokens["user-engineer"]
    return Matrix(here, there)


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
