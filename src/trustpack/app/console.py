"""Switchboard, the console: which workspaces it has, who looks at it, and how it is put around the application's routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, RedirectResponse, Response

from trustpack.app.signals import EVENTS_PATH
from trustpack.app.signals import router as signals_router
from trustpack.capabilities.directory import Session
from trustpack.capabilities.directory.pages import NAVIGATION, invitations, profile, saved_views, sign_in
from trustpack.capabilities.directory.pages import home as directory_home
from trustpack.capabilities.directory.pages.session import current_session, signing_in
from trustpack.capabilities.directory.pages.views import Present
from trustpack.capabilities.directory.service.signing_in import tenants_of_account
from trustpack.capabilities.evidence import pages as evidence_pages
from trustpack.capabilities.operations import pages as operations_pages
from trustpack.capabilities.operations.service.context import Operations
from trustpack.capabilities.revops import pages as revops_pages
from trustpack.capabilities.revops.service.context import RevOps
from trustpack.kernel.clock import Clock
from trustpack.kernel.ids import IdSource
from trustpack.platform.auth.csrf import csrf_token
from trustpack.platform.unit_of_work import UnitOfWork
from trustpack.platform.web.pages import Find, Page, Place, TenantChoice, Viewer, ViewerSource, Workspace
from trustpack.platform.web.pages.frame import PageFrame
from trustpack.platform.web.pages.headers import BASE_PATH
from trustpack.platform.web.pages.home import HOME_KEY, HomeSource
from trustpack.platform.web.pages.navigation import Counts
from trustpack.platform.web.pages.page import Site
from trustpack.platform.web.pages.routes import build_router
from trustpack.platform.web.pages.static_files import StaticFiles
from trustpack.platform.web.pages.templates import Templates

_CAPABILITIES = Path(__file__).resolve().parents[1] / "capabilities"
_DEVELOPER_WORKSPACE = Workspace(
    "Developers",
    (
        Place("components", "Components", "layers", f"{BASE_PATH}/components", "Components"),
        Place("sample-list", "A list", "shield-check", f"{BASE_PATH}/components/list", "List"),
        Place("sample-board", "A board", "gauge", f"{BASE_PATH}/components/board", "Board"),
    ),
)
_YOU = Workspace("You", (Place(HOME_KEY, "Home", "clipboard-list", BASE_PATH, "Home"),), signal="pages-changed")
_WORKSPACES = (_YOU, operations_pages.WORKSPACE, revops_pages.WORKSPACE)
_OUTSIDE_OF_A_SESSION = frozenset({"sign_in", "confirm", "resume", "invitation"})
"""Pages on the way to a session: the frame around the others belongs to the session that is there, or to none."""


async def viewer_of_session(request: Request) -> Viewer:
    """Return whoever the request's session belongs to. Raises `SessionNeeded`, `CsrfRefused`, `InvalidInput`."""
    # A handler that asks for a recent sign-in has had it resumed already.
    session: Session | None = getattr(request.state, "session", None)
    return await _viewer(request, session or await current_session(request, await signing_in(request)))


async def present(request: Request, page: str, view: object, *, status: int = 200) -> Response:
    """Show a page of the directory, inside the frame where there is a session and the page does not lead to another."""
    site: Site = request.app.state.site
    template = f"directory/{page}.html"
    session: Session | None = getattr(request.state, "session", None)
    if session is None or page in _OUTSIDE_OF_A_SESSION:
        form_token = getattr(view, "form_token", "")
        html = site.html(template, request=request, viewer=None, counts={}, form_token=form_token, view=view)
        return HTMLResponse(html, status)
    return await Page(request, await _viewer(request, session), site).show(template, status=status, view=view)


def build_site(
    clock: Clock,
    *,
    public_url: str,
    trusted_hosts: frozenset[str],
    viewer_source: ViewerSource = viewer_of_session,
    finders: Sequence[Find] = (),
    counts: Sequence[Counts] = (),
    home: Sequence[HomeSource] = (),
    position: Callable[[], Awaitable[str]] | None = None,
    developer_pages: bool = False,
) -> Site:
    """Return what all pages share; `developer_pages` adds the workspace of component pages."""
    static_files = StaticFiles()
    folders = {folder.parent.name: folder for folder in sorted(_CAPABILITIES.glob("*/templates"))}
    return Site(
        templates=Templates(static_files, folders),
        static_files=static_files,
        clock=clock,
        viewer_source=viewer_source,
        public_url=public_url,
        trusted_hosts=trusted_hosts,
        workspaces=(*_WORKSPACES, _DEVELOPER_WORKSPACE) if developer_pages else _WORKSPACES,
        account_places=(*revops_pages.ACCOUNT_PLACES, *NAVIGATION),
        finders=finders,
        events_path=EVENTS_PATH,
        position=position,
        counts=counts,
        home=home,
    )


def counts_of(unit_of_work: UnitOfWork, operations: Operations) -> tuple[Counts, ...]:
    """Return what counts beside each place how much waits for a viewer there, in one transaction for all places."""

    async def count(viewer: Viewer) -> Mapping[str, int]:
        async with unit_of_work.transaction(viewer.actor.tenant_id) as tx:
            return {**await operations_pages.counts(tx, operations, viewer), **await revops_pages.counts(tx, viewer)}

    return (count,)


def home_of(unit_of_work: UnitOfWork, operations: Operations, revops: RevOps) -> tuple[HomeSource, ...]:
    """Return what each capability gives to the first page."""
    return (
        directory_home.home(unit_of_work),
        operations_pages.home(operations),
        revops_pages.home(revops),
        evidence_pages.home(unit_of_work),
    )


def frame_of(site: Site, ids: IdSource) -> Middleware:
    """Return the middleware that stands outside of all other."""
    return Middleware(PageFrame, site=site, ids=ids)


def mount(app: FastAPI, site: Site, *, developer_pages: bool = False) -> None:
    """Add the routes that need no store to an application that has the console's frame."""
    app.state.site = site
    app.add_api_route("/", _lead_here, include_in_schema=False)
    app.include_router(build_router(with_components=developer_pages))


def mount_capabilities(app: FastAPI, *, show: Present = present) -> None:
    """Add the pages of every capability; `show` turns what those of the directory have to say into answers."""
    for pages in (sign_in, invitations, profile):
        app.include_router(pages.build_router(show))
    sign_in.confirm_where_needed(app, show)
    app.include_router(signals_router)
    app.include_router(saved_views.router)
    app.include_router(directory_home.router)
    app.include_router(operations_pages.router)
    app.include_router(revops_pages.router)
    app.include_router(evidence_pages.router)
    app.state.bundles = evidence_pages.BUNDLES


async def _lead_here() -> Response:
    return RedirectResponse(BASE_PATH, HTTPStatus.SEE_OTHER)


async def _viewer(request: Request, session: Session) -> Viewer:
    return Viewer(
        actor=session.actor,
        name=session.display_name,
        tenant_name=session.tenant_name,
        form_token=csrf_token(session.text),
        is_demo=session.is_demo,
        tenants=await _tenants(request, session),
    )


async def _tenants(request: Request, session: Session) -> tuple[TenantChoice, ...]:
    # A page that changes in place keeps the bar above it, so only a whole one has to know.
    if "hx-request" in request.headers or session.actor.account_id is None:
        return ()
    tenants = await tenants_of_account(request.app.state.sign_in, session.actor.account_id)
    return tuple(TenantChoice(tenant.tenant_id, tenant.name) for tenant in tenants)
