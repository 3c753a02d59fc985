"""The dependencies that every page of the console begins with, whatever its capability.

A handler that takes `InSession` is called only with a session that is good now; for a method that changes something, only with
this session's token; that a page of ours sent it, the frame around all pages has seen. One that takes `RecentlySignedIn` is
called only soon after a sign-in besides. Nothing of it can be forgotten: without the dependency there is no session.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Request

from trustpack.capabilities.directory.model.sessions import Session, SessionNeeded
from trustpack.capabilities.directory.rules import require_recent
from trustpack.capabilities.directory.service.context import SignIn
from trustpack.capabilities.directory.service.sessions import resume_session
from trustpack.platform.auth import cookies
from trustpack.platform.auth.forms import is_form, read_fields, require_form_token
from trustpack.platform.auth.kept_forms import KeptForm, seal
from trustpack.platform.auth.origins import SAFE_METHODS
from trustpack.platform.auth.redirects import local_path

BACKGROUND_HEADER: Final = "x-background"
"""Sent by a page that fetches something by itself: a tab that nobody looks at must not keep its session from ending."""


async def signing_in(request: Request) -> SignIn:
    """Return the collaborators of signing in."""
    sign_in: SignIn = request.app.state.sign_in
    return sign_in


SigningIn = Annotated[SignIn, Depends(signing_in)]


async def current_session(request: Request, sign_in: SigningIn) -> Session:
    """Return the session that the request belongs to. Raises `SessionNeeded`, `CsrfRefused`, `InvalidInput`."""
    is_use = BACKGROUND_HEADER not in request.headers
    session = await resume_session(sign_in, cookies.session_text(request), is_use=is_use)
    request.scope["trustpack.actor"] = session.actor
    request.state.session = session
    await require_form_token(request, session_text=session.text)
    return session


InSession = Annotated[Session, Depends(current_session)]


async def recent_session(session: InSession, sign_in: SigningIn) -> Session:
    """Return the session if its owner has signed in or confirmed a short time ago. Raises `RecentSignInNeeded`."""
    require_recent(session, now=sign_in.unit_of_work.clock.now(), limits=sign_in.limits)
    return session


RecentlySignedIn = Annotated[Session, Depends(recent_session)]


async def watching_session(request: Request) -> Session | None:
    """Return the session that a stream belongs to, without using it; None where it has ended.

    A stream asks at its beginning and at every heartbeat: an open page must not keep its session from ending.
    """
    try:
        session = await resume_session(await signing_in(request), cookies.session_text(request), is_use=False)
    except SessionNeeded:
        return None
    request.scope["trustpack.actor"] = session.actor
    return session


async def kept_form(request: Request) -> str | None:
    """Return what a page that answers `RecentSignInNeeded` hides in its form as `kept`; None where nothing had been entered."""
    if request.method in SAFE_METHODS or not is_form(request):
        return None
    session: Session = request.state.session
    path, query = request.url.path, request.url.query
    # With the list that it was sent from, so that it leads back to that; but for what could lead elsewhere.
    whole = local_path(f"{path}?{query}" if query else path, default=path)
    return seal(KeptForm(path=whole, fields=await read_fields(request)), session_text=session.text)
