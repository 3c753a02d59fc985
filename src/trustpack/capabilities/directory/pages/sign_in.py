"""`/switchboard/sign-in`, `/confirm`, `/sign-out`, `/tenant`: from nobody to a session, and back.

Every answer to a form is a redirect, so that it works without scripts and a reload repeats nothing.
"""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from trustpack.capabilities.directory.model.sessions import OpenedSession, RecentSignInNeeded, Session
from trustpack.capabilities.directory.pages.kept import read_sending
from trustpack.capabilities.directory.pages.session import InSession, SigningIn, kept_form
from trustpack.capabilities.directory.pages.views import ConfirmView, Present, ResumeView, SignInView, TenantsView
from trustpack.capabilities.directory.service import signing_in
from trustpack.capabilities.directory.service.context import SignIn
from trustpack.capabilities.directory.service.demo import DEMO, demo_doors
from trustpack.capabilities.directory.service.signing_in import Begun
from trustpack.platform.auth import cookies
from trustpack.platform.auth.csrf import csrf_token
from trustpack.platform.auth.forms import read_fields
from trustpack.platform.auth.kept_forms import unseal
from trustpack.platform.auth.limits import FailedAttempts
from trustpack.platform.auth.ports import SignInFailed
from trustpack.platform.auth.redirects import HOME, SIGN_IN, local_path
from trustpack.platform.web.rate_limits import address_of


def build_router(present: Present) -> APIRouter:
    """Return the routes; `present` makes their pages."""
    router = APIRouter(prefix="/switchboard", include_in_schema=False)
    _add_sign_in(router, present)
    _add_confirm(router, present)
    _add_ends(router)
    _add_tenants(router, present)
    return router


def _add_sign_in(router: APIRouter, present: Present) -> None:
    @router.get("/sign-in")
    async def show_sign_in(request: Request, sign_in: SigningIn) -> Response:
        return await present(request, "sign_in", await _sign_in_view(sign_in, next_path=request.query_params.get("next")))

    @router.post("/sign-in/{method}/begin")
    async def begin_sign_in(request: Request, method: str, sign_in: SigningIn) -> Response:
        attempts_of(request).spend(address=address_of(request.scope), name=None)
        return asked(await signing_in.begin(sign_in, method))

    @router.post("/sign-in/{method}")
    async def finish_sign_in(request: Request, method: str, sign_in: SigningIn) -> Response:
        fields = await read_fields(request)
        address, name = address_of(request.scope), fields.get("name", "").strip().lower()
        attempts_of(request).spend(address=address, name=name)
        try:
            opened = await signing_in.sign_in_by(
                sign_in,
                method,
                fields,
                ticket=cookies.ceremony_ticket(request),
                tenant_id=fields.get("tenant") or None,
                client=client_of(request),
                replaces=cookies.session_text(request),
            )
        except SignInFailed as refusal:
            view = await _sign_in_view(sign_in, next_path=fields.get("next"), refusal=refusal.detail, name=name)
            return await present(request, "sign_in", view, status=HTTPStatus.UNAUTHORIZED)
        attempts_of(request).give_back(address=address, name=name)
        return entered(opened, next_path=fields.get("next"))


def _add_confirm(router: APIRouter, present: Present) -> None:
    @router.get("/confirm")
    async def show_confirm(request: Request, session: InSession, sign_in: SigningIn) -> Response:
        return await present(request, "confirm", confirm_view(sign_in, session, next_path=request.query_params.get("next")))

    @router.post("/confirm/{method}/begin")
    async def begin_confirm(session: InSession, method: str, sign_in: SigningIn) -> Response:
        return asked(await signing_in.begin(sign_in, method, account_id=session.actor.account_id))

    @router.post("/confirm/{method}")
    async def finish_confirm(request: Request, session: InSession, method: str, sign_in: SigningIn) -> Response:
        fields = await read_fields(request)
        kept = fields.get("kept") or None
        form = unseal(kept, session_text=session.text) if kept is not None else None
        address, name = address_of(request.scope), session.actor.account_id
        attempts_of(request).spend(address=address, name=name)
        # While the session is there, which the confirmation ends: a failure in between would leave the browser with none.
        sending = await read_sending(request, form) if form is not None else None
        try:
            opened = await signing_in.confirm_by(
                sign_in, session, method, fields, ticket=cookies.ceremony_ticket(request), client=client_of(request)
            )
        except SignInFailed as refusal:
            view = confirm_view(sign_in, session, next_path=fields.get("next"), kept=kept, refusal=refusal.detail)
            return await present(request, "confirm", view, status=HTTPStatus.UNAUTHORIZED)
        attempts_of(request).give_back(address=address, name=name)
        if sending is None:
            return entered(opened, next_path=fields.get("next"))
        form, token = sending.form, csrf_token(opened.text)
        resume = ResumeView(path=form.path, fields=form.fields, form_token=token, sending=sending)
        page = await present(request, "resume", resume)
        cookies.give_session(page, opened.text)
        return page


def _add_ends(router: APIRouter) -> None:
    @router.post("/sign-out")
    async def sign_out(session: InSession, sign_in: SigningIn) -> Response:
        await signing_in.sign_out(sign_in, session)
        response = RedirectResponse(SIGN_IN, HTTPStatus.SEE_OTHER)
        cookies.take_session_back(response)
        return response


def _add_tenants(router: APIRouter, present: Present) -> None:
    @router.get("/tenant")
    async def show_tenants(request: Request, session: InSession, sign_in: SigningIn) -> Response:
        tenants = await signing_in.tenants_of_account(sign_in, session.actor.account_id or "")
        view = TenantsView(current=session.actor.tenant_id, tenants=tenants, form_token=csrf_token(session.text))
        return await present(request, "tenants", view)

    @router.post("/tenant")
    async def change_tenant(request: Request, session: InSession, sign_in: SigningIn) -> Response:
        tenant_id = (await read_fields(request)).get("tenant", "")
        opened = await signing_in.switch_tenant(sign_in, session, tenant_id, client=client_of(request))
        return entered(opened, next_path=HOME)


def confirm_view(
    sign_in: SignIn, session: Session, *, next_path: str | None, kept: str | None = None, refusal: str | None = None
) -> ConfirmView:
    """Return the page that asks a session's owner to confirm; also what answers `RecentSignInNeeded`, with the form kept."""
    return ConfirmView(
        methods=tuple(sign_in.methods),
        tenant_id=session.actor.tenant_id,
        handle=session.actor.handle,
        form_token=csrf_token(session.text),
        next=local_path(next_path),
        kept=kept,
        refusal=refusal,
    )


def confirm_where_needed(app: FastAPI, present: Present) -> None:
    """Have `RecentSignInNeeded` answered by the page that asks to confirm, with what was entered kept in it."""

    async def ask_to_confirm(request: Request, _: Exception) -> Response:
        session, sign_in = request.state.session, request.app.state.sign_in
        next_path = request.url.path if request.method == "GET" else None
        view = confirm_view(sign_in, session, next_path=next_path, kept=await kept_form(request))
        return await present(request, "confirm", view, status=HTTPStatus.UNAUTHORIZED)

    app.add_exception_handler(RecentSignInNeeded, ask_to_confirm)


def asked(begun: Begun) -> Response:
    """Return what the browser is asked, with the cookie that ties its answer to it."""
    response = JSONResponse(begun.ask)
    if begun.ticket is not None:
        cookies.give_ceremony(response, begun.ticket)
    return response


def entered(opened: OpenedSession, *, next_path: str | None) -> Response:
    """Send somebody with a new session on their way."""
    response = RedirectResponse(local_path(next_path), HTTPStatus.SEE_OTHER)
    cookies.give_session(response, opened.text)
    return response


def attempts_of(request: Request) -> FailedAttempts:
    """Return the count of failed attempts of this process."""
    attempts: FailedAttempts = request.app.state.failed_attempts
    return attempts


def client_of(request: Request) -> str:
    """Return what the browser calls itself, for its owner to recognise the session by."""
    return request.headers.get("user-agent", "").replace("\x00", "") or "unknown"


async def _sign_in_view(sign_in: SignIn, *, next_path: str | None, refusal: str | None = None, name: str = "") -> SignInView:
    doors = await demo_doors(sign_in) if DEMO in sign_in.methods else ()
    return SignInView(methods=tuple(sign_in.methods), doors=doors, next=local_path(next_path), refusal=refusal, name=name)
