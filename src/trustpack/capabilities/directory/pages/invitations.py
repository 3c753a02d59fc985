"""`/switchboard/invitation/{text}`: set up, once, how an account signs in."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from trustpack.capabilities.directory.pages.session import SigningIn
from trustpack.capabilities.directory.pages.sign_in import asked, attempts_of, client_of, entered
from trustpack.capabilities.directory.pages.views import InvitationView, Present
from trustpack.capabilities.directory.service import accounts
from trustpack.capabilities.directory.service.context import SignIn
from trustpack.platform.auth import cookies
from trustpack.platform.auth.forms import read_fields
from trustpack.platform.auth.redirects import HOME
from trustpack.platform.web.rate_limits import address_of


def build_router(present: Present) -> APIRouter:
    """Return the routes; `present` makes their pages."""
    router = APIRouter(prefix="/switchboard/invitation", include_in_schema=False)

    @router.get("/{text}")
    async def show_invitation(request: Request, text: str, sign_in: SigningIn) -> Response:
        return await present(request, "invitation", await _view(request, sign_in, text))

    @router.post("/{text}/passkey/begin")
    async def begin_passkey(request: Request, text: str, sign_in: SigningIn) -> Response:
        invited = (await _view(request, sign_in, text)).invited
        return asked(
            await accounts.begin_passkey(
                sign_in,
                account_id=invited.account_id,
                name=invited.sign_in_name or invited.handle,
                display_name=invited.display_name,
            )
        )

    @router.post("/{text}/passkey")
    async def accept_with_passkey(request: Request, text: str, sign_in: SigningIn) -> Response:
        fields = await read_fields(request)
        await _view(request, sign_in, text)
        opened = await accounts.accept_with_passkey(
            sign_in,
            text,
            answer=fields.get("credential", ""),
            ticket=cookies.ceremony_ticket(request),
            label=fields.get("label", ""),
            name=fields.get("name") or None,
            client=client_of(request),
        )
        return entered(opened, next_path=HOME)

    @router.post("/{text}/password")
    async def accept_with_password(request: Request, text: str, sign_in: SigningIn) -> Response:
        fields = await read_fields(request)
        await _view(request, sign_in, text)
        opened = await accounts.accept_with_password(
            sign_in,
            text,
            password=fields.get("password", ""),
            name=fields.get("name") or None,
            client=client_of(request),
        )
        return entered(opened, next_path=HOME)

    return router


async def _view(request: Request, sign_in: SignIn, text: str) -> InvitationView:
    # A link is a secret like a password, so guessing one is limited like guessing the other.
    address = address_of(request.scope)
    attempts_of(request).spend(address=address, name=None)
    invited = await accounts.read_invitation(sign_in, text)
    attempts_of(request).give_back(address=address, name=None)
    return InvitationView(text=text, invited=invited, password_allowed=sign_in.passwords is not None)
