"""`/switchboard/profile/...`: my sessions, my API tokens, how my account signs in."""

from __future__ import annotations

import re
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import RedirectResponse, Response

from trustpack.capabilities.directory.model import IssuedToken
from trustpack.capabilities.directory.model.sessions import Session, SessionEnd
from trustpack.capabilities.directory.pages.session import InSession, RecentlySignedIn, SigningIn
from trustpack.capabilities.directory.pages.sign_in import asked
from trustpack.capabilities.directory.pages.views import (
    PasskeysView,
    Present,
    SessionsView,
    TokenCreatedView,
    TokenShownView,
    TokensView,
)
from trustpack.capabilities.directory.service import accounts, own_tokens, sessions
from trustpack.kernel.errors import InvalidInput
from trustpack.platform.auth import cookies
from trustpack.platform.auth.csrf import csrf_token
from trustpack.platform.auth.forms import read_fields
from trustpack.platform.web.pages import Form
from trustpack.platform.web.pages.forms import read_form
from trustpack.platform.web.pages.once import KEY_FIELD, do_once, key_of_request, new_key

PROFILE: Final = "/switchboard/profile"
_LONGEST_DAYS: Final = 365


class NewToken(Form):
    """A token to make, once for each time that the form was shown."""

    label: str = ""
    days: str = "90"
    key: str = Field(pattern="^[0-9a-f]{32}$")


def build_router(present: Present) -> APIRouter:
    """Return the routes; `present` makes their pages."""
    router = APIRouter(prefix=PROFILE, include_in_schema=False)
    _add_sessions(router, present)
    _add_tokens(router, present)
    _add_passkeys(router, present)
    return router


def _add_sessions(router: APIRouter, present: Present) -> None:
    @router.get("/sessions")
    async def show_sessions(request: Request, session: InSession, sign_in: SigningIn) -> Response:
        async with sign_in.unit_of_work.transaction(session.actor.tenant_id) as tx:
            mine = await sessions.sessions_of(tx, session.actor, sign_in.limits)
        view = SessionsView(current=session.id, sessions=mine, form_token=csrf_token(session.text))
        return await present(request, "sessions", view)

    @router.post("/sessions/end-others")
    async def end_others(session: InSession, sign_in: SigningIn) -> Response:
        async with sign_in.unit_of_work.transaction(session.actor.tenant_id) as tx:
            await sessions.end_all_sessions(tx, session.actor, but=session.id)
        return _back("sessions")

    @router.post("/sessions/{session_id}/end")
    async def end_one(session_id: str, session: InSession, sign_in: SigningIn) -> Response:
        async with sign_in.unit_of_work.transaction(session.actor.tenant_id) as tx:
            await sessions.end_session(tx, session.actor, session_id, reason=SessionEnd.ENDED_BY_OWNER)
        return _back("sessions")


def _add_tokens(router: APIRouter, present: Present) -> None:
    @router.get("/tokens")
    async def show_tokens(request: Request, session: InSession, sign_in: SigningIn) -> Response:
        async with sign_in.unit_of_work.transaction(session.actor.tenant_id) as tx:
            mine = await own_tokens.own_tokens(tx, session.actor)
            view = TokensView(tokens=mine, form_token=csrf_token(session.text), now=tx.now, key=new_key(tx))
        return await present(request, "tokens", view)

    @router.post("/tokens")
    async def create_token(request: Request, session: RecentlySignedIn, sign_in: SigningIn) -> Response:
        form, actor = (await read_form(request, NewToken)).form, session.actor
        if form is None:
            raise InvalidInput("The form is not whole.")
        lifetime, made = timedelta(days=_days(form.days)), list[IssuedToken]()
        # Each showing of the form makes one token, whatever is in it.
        key = key_of_request(request, actor, {KEY_FIELD: form.key})
        async with sign_in.unit_of_work.transaction(actor.tenant_id) as tx:

            async def make() -> str:
                made.append(await own_tokens.create_own_token(tx, actor, label=form.label, lifetime=lifetime))
                return made[0].id

            token_id = await do_once(tx, key, make)
        if not made:
            shown = TokenShownView(id=token_id, form_token=csrf_token(session.text))
            return await present(request, "token_shown", shown, status=HTTPStatus.CONFLICT)
        [issued] = made
        return await present(
            request, "token_created", TokenCreatedView(id=issued.id, secret=issued.secret, expires_at=issued.expires_at)
        )

    @router.post("/tokens/{token_id}/revoke")
    async def revoke_token(token_id: str, session: InSession, sign_in: SigningIn) -> Response:
        async with sign_in.unit_of_work.transaction(session.actor.tenant_id) as tx:
            await own_tokens.revoke_own_token(tx, session.actor, token_id)
        return _back("tokens")


def _add_passkeys(router: APIRouter, present: Present) -> None:
    @router.get("/passkeys")
    async def show_passkeys(request: Request, session: InSession, sign_in: SigningIn) -> Response:
        async with sign_in.unit_of_work.transaction(session.actor.tenant_id) as tx:
            mine = await accounts.ways_in(tx, session.actor)
        view = PasskeysView(ways_in=mine, password_allowed=sign_in.passwords is not None, form_token=csrf_token(session.text))
        return await present(request, "passkeys", view)

    @router.post("/passkeys/begin")
    async def begin_passkey(session: RecentlySignedIn, sign_in: SigningIn) -> Response:
        begun = await accounts.begin_passkey(
            sign_in, account_id=_account(session), name=session.actor.handle, display_name=session.display_name
        )
        return asked(begun)

    @router.post("/passkeys")
    async def add_passkey(request: Request, session: RecentlySignedIn, sign_in: SigningIn) -> Response:
        fields = await read_fields(request)
        await accounts.add_passkey(
            sign_in,
            session,
            answer=fields.get("credential", ""),
            ticket=cookies.ceremony_ticket(request),
            label=fields.get("label", ""),
        )
        return _back("passkeys")

    @router.post("/passkeys/{passkey_id}/remove")
    async def remove_passkey(passkey_id: str, session: RecentlySignedIn, sign_in: SigningIn) -> Response:
        await accounts.remove_passkey(sign_in, session, passkey_id)
        return _back("passkeys")

    @router.post("/name")
    async def change_name(request: Request, session: RecentlySignedIn, sign_in: SigningIn) -> Response:
        name = (await read_fields(request)).get("name") or None
        async with sign_in.unit_of_work.transaction(session.actor.tenant_id) as tx:
            await accounts.change_name(tx, session.actor, name)
        return _back("passkeys")

    @router.post("/password")
    async def set_password(request: Request, session: RecentlySignedIn, sign_in: SigningIn) -> Response:
        fields = await read_fields(request)
        await accounts.set_password(sign_in, session, fields.get("password", ""))
        return _back("passkeys")

    @router.post("/password/remove")
    async def remove_password(session: RecentlySignedIn, sign_in: SigningIn) -> Response:
        await accounts.remove_password(sign_in, session)
        return _back("passkeys")


def _back(page: str) -> Response:
    return RedirectResponse(f"{PROFILE}/{page}", HTTPStatus.SEE_OTHER)


def _account(session: Session) -> str:
    assert session.actor.account_id is not None  # whoever has a session signed in by an account
    return session.actor.account_id


def _days(text: str) -> int:
    if not (re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) and 1 <= int(text) <= _LONGEST_DAYS):
        raise InvalidInput(errors=[{"field": "days", "message": f"A whole number of days from 1 to {_LONGEST_DAYS}."}])
    return int(text)
