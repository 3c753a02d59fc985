"""Two tenants with everything that a page can show, in every state, and browsers of everybody who may look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import httpx2
from fastapi import FastAPI

from tests.support.authenticator import Authenticator
from tests.support.browsers import Browser, session_of, signed_in
from tests.support.cases import case_in
from tests.support.clock import MovableClock
from tests.support.deals import LEAD, Deals
from tests.support.delegating import DEPUTY, day, end, lend
from tests.support.demo_stores import empty_store
from tests.support.enrolling import PASSWORD, invited, quick_passwords, with_passkey
from tests.support.hostile_texts import MIXED, SHORT, LoudWorld
from tests.support.matrix import DELEGATE, Matrix, populate_matrix
from tests.support.page_catalogue import COLUMNS, NOBODY, OUTSIDER, OWNER, Entry
from tests.support.page_forms import PageForm, ReadPage
from tests.support.store import rows_as_owner, tables_of_tenants
from tests.support.stored import run_due
from tests.support.worlds import ScriptedWorld, scripted_world
from trustpack.app.bootstrap import open_container
from trustpack.app.http import build_app
from trustpack.capabilities.directory.adapters.password import PasswordSignIn
from trustpack.capabilities.directory.service import accounts, own_tokens
from trustpack.capabilities.directory.service.context import SignIn
from trustpack.capabilities.directory.store import accounts_of
from trustpack.capabilities.revops.service.context import EXPIRE_JOB
from trustpack.platform.auth.cookies import SESSION_COOKIE
from trustpack.platform.settings import Settings

VISITOR = "user-visitor"
LATER = 30
"""How many days from now on nobody's roles have to be as they are."""
_LAST_SEEN = frozenset({"session_uses", "token_uses", "passkey_uses"})
"""Tables that say when something was last used, which is no change."""
_names = count(1)


@dataclass(slots=True)
class Stage:
    """The tenant that is looked at, the one that must not know of it, and the application that serves both."""

    matrix: Matrix
    app: FastAPI
    http: httpx2.AsyncClient
    standing: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    @property
    def here(self) -> ScriptedWorld:
        return self.matrix.here

    @property
    def deals(self) -> Deals:
        return self.matrix.deals

    async def browser(self, handle: str) -> Browser:
        """Return a browser in which somebody has just signed in; the outsider is an administrator elsewhere."""
        if handle == NOBODY:
            return Browser(self.http)
        world = self.matrix.there if handle == OUTSIDER else self.here
        opened = await signed_in(world, "user-admin" if handle == OUTSIDER else handle)
        return Browser(self.http, {SESSION_COOKIE: opened.text})

    async def made(self, kind: str, state: str = "") -> dict[str, str]:
        """Make something of a kind in a state; return the ids by which pages name it."""
        match kind:
            case "request":
                made = await case_in(self.here, state or "pending_approval", asyncio.Event())
                self.here.target.forget_script()
                return {"request": made}
            case "quote":
                quote = await quote_in(self.deals, state or "draft")
                return {"quote": quote["id"], "opportunity": quote["opportunity_id"]}
            case "lead" | "opportunity":
                return await self._new_lead()
            case "delegation":
                return {"delegation": await self._new_delegation(state or "upcoming")}
            case _:
                return await self._made_for_oneself(kind)

    async def kept(self, kind: str, state: str = "") -> dict[str, str]:
        """Return what was made of a kind in a state for looking at; it is made once."""
        if (kind, state) not in self.standing:
            self.standing[kind, state] = await self.made(kind, state)
        return self.standing[kind, state]

    def named(self, text: str, things: Mapping[str, str]) -> str:
        """Return a text of the catalogue with the names of what it is about in their places."""
        tenants = {"tenant": self.here.tenant_id, "other_tenant": self.matrix.there.tenant_id}
        return text.format(**tenants, **{"number": str(next(_names)), "later": day(self.deals, LATER), **things})

    async def form(self, entry: Entry, things: Mapping[str, str]) -> dict[str, str]:
        """Return what a browser would send from the page that leads to a route: its form, filled in."""
        if not entry.form_on:
            return {}
        form = await self.read_form(entry, things)
        return form.filled({name: self.named(value, things) for name, value in entry.fill.items()})

    async def read_form(self, entry: Entry, things: Mapping[str, str]) -> PageForm:
        """Return the form that leads to a route, as the page shows it."""
        browser = await self.browser(entry.by)
        page = await browser.get(self.named(entry.form_on, things), Accept="text/html")
        assert page.status_code == 200, page.text
        return ReadPage(page.text).form_to(self.named(entry.form_to or entry.url, things))

    def stand(self, world: ScriptedWorld | None = None) -> dict[str, str]:
        """Return a digest of the tenant's rows in every table, but for those that say when something was last used."""
        tenant_id = (world or self.here).tenant_id
        settings = self.here.container.settings
        tables = [table for table in tables_of_tenants(settings) if table not in _LAST_SEEN]
        parts = (
            f"SELECT '{table}' AS name, md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) AS digest"
            f" FROM trustpack.{table} AS t WHERE tenant_id = %s"
            for table in tables
        )
        found = rows_as_owner(settings, " UNION ALL ".join(parts), *([tenant_id] * len(tables)))
        return {row["name"]: row["digest"] for row in found}

    async def _made_for_oneself(self, kind: str) -> dict[str, str]:
        match kind:
            case "session":
                return {kind: (await signed_in(self.here, OWNER)).id}
            case "token":
                return {kind: await self._new_token()}
            case "passkey":
                return {kind: await self._new_passkey()}
            case "view":
                return {kind: await self._new_view()}
            case "invitation":
                handle = f"user-invited-{next(_names)}"  # another invitation would withdraw the first
                await self.here.add_person(handle)
                return {kind: await invited(self.here, handle)}
            case "password":
                # Only who has a passkey too can do without a password.
                await self.kept("passkey")
                await self._give_passwords()
            case _:
                assert not kind, f"nobody knows how to make a {kind}"
        return {}

    async def _new_lead(self) -> dict[str, str]:
        lead = LEAD | {"email": f"jo.{next(_names)}@acme.com", "company": SHORT}
        answer = await self.deals.call("user-ae", "POST", "/leads", lead)
        assert answer.status_code == 201, answer.text
        return {"lead": answer.json()["lead"]["id"], "opportunity": answer.json()["opportunity"]["id"]}

    async def _new_delegation(self, state: str) -> str:
        # A person lends only so many at once: those of earlier tests make room.
        keeps = {self.matrix.standing["delegation"], *(things.get("delegation") for things in self.standing.values())}
        held = (await self.deals.call("user-manager", "GET", "/delegations?active=true&limit=200")).json()["items"]
        for one in held:
            if one["id"] not in keeps:
                assert (await end(self.deals, one)).status_code == 200
        if state in {"upcoming", "withdrawn"}:
            made = await lend(self.deals, to=DELEGATE, begins=LATER, reason=MIXED)
        else:
            made = await lend(self.deals, to=DEPUTY, lasts=1, reason=MIXED)
        if state == "withdrawn":
            assert (await end(self.deals, made, "user-admin")).status_code == 200
        elif state == "over":
            self.here.clock.advance(days=1)
        return str(made["id"])

    async def _new_token(self) -> str:
        session = await session_of(self.here, OWNER)
        async with self.here.container.unit_of_work.transaction(self.here.tenant_id) as tx:
            lifetime = session.absolute_end - tx.now
            return (await own_tokens.create_own_token(tx, session.actor, label=SHORT, lifetime=lifetime)).id

    async def _new_view(self) -> str:
        browser, name = await self.browser(OWNER), f"View {next(_names)}"
        kept = {"path": "/switchboard/security/requests", "query": "status=active", "name": name}
        assert (await browser.post("/switchboard/views", kept)).status_code == 303
        page = await browser.get("/switchboard/views?list=/switchboard/security/requests")
        return [form.action.split("/")[-2] for form in ReadPage(page.text).forms if form.action.endswith("/delete")][-1]

    async def _give_passwords(self) -> None:
        for handle in COLUMNS.values():
            if handle != NOBODY:
                world, name = (self.matrix.there, "user-admin") if handle == OUTSIDER else (self.here, handle)
                await accounts.set_password(world.container.sign_in, await session_of(world, name), PASSWORD)

    async def _new_passkey(self) -> str:
        device = Authenticator(origin=self.here.container.settings.console_url)
        await with_passkey(self.here, self.here.container.sign_in, OWNER, device=device)
        session = await session_of(self.here, OWNER)
        async with self.here.container.unit_of_work.transaction(self.here.tenant_id) as tx:
            return max((await accounts.ways_in(tx, session.actor)).passkeys, key=lambda held: held.created_at).id


async def quote_in(deals: Deals, state: str) -> dict[str, Any]:
    """Return a new quote in any state."""
    if state in {"draft", "pending_approval", "approved"}:
        return await deals.in_state(state)
    if state == "activated":
        quote = await deals.approved()
        answer = await deals.act("user-ae", quote, "activate")
    else:
        quote = await deals.submitted()
        match state:
            case "rejected":
                answer = await deals.act("user-manager", quote, "reject", {"reason": MIXED})
            case "recalled":
                answer = await deals.act("user-ae", quote, "recall", {"reason": MIXED})
            case "expired":
                deals.world.clock.advance(days=14, seconds=1)
                await run_due(deals.world, kinds=(EXPIRE_JOB,))
                answer = await deals.call("user-ae", "GET", f"/quotes/{quote['id']}")
            case _:
                raise AssertionError(f"a quote is never {state}")
    assert answer.status_code == 200, answer.text
    found = await deals.read(quote)
    assert found["status"] == state, found["status"]
    return found


def _with_quick_passwords(sign_in: SignIn) -> SignIn:
    passwords = quick_passwords()
    password = PasswordSignIn(sign_in.unit_of_work, passwords)
    return replace(sign_in, passwords=passwords, methods={**sign_in.methods, "password": password})


@asynccontextmanager
async def open_stage(settings: Settings, *, public_url: str = "http://localhost:8000") -> AsyncIterator[Stage]:
    """Open both tenants on a store of their own, where the demo's sign-in and passwords are allowed."""
    own = empty_store(settings, demo_sign_in=True, password_sign_in=True, public_url=public_url, database_pool_size=8)
    clock = MovableClock()
    async with open_container(own, clock=clock) as opened:
        container = replace(opened, sign_in=_with_quick_passwords(opened.sign_in))
        async with scripted_world(container, clock, kind=LoudWorld) as here, scripted_world(container, clock) as there:
            matrix = await populate_matrix(here, there)
            # Somebody of two tenants.
            async with container.unit_of_work.transaction(here.tenant_id) as tx:
                [account, *_] = await accounts_of(tx, here.people[OWNER].id)
            await there.add_person(VISITOR, account_id=account)
            await here.add_person(DEPUTY)
            app = build_app(here.container, with_worker=False)
            transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False, client=("192.0.2.7", 4711))
            async with httpx2.AsyncClient(transport=transport, base_url=public_url) as http:
                stage = Stage(matrix, app, http)
                # First, because the clock goes on until nobody decides any more.
                await stage.kept("request", "expired")
                await stage.kept("quote", "expired")
                await stage.kept("delegation", "over")
                yield stage
