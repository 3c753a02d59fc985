"""What a handler of a page gets: who looks, and how to answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from starlette.responses import RedirectResponse, Response

from trustpack.kernel.clock import Clock
from trustpack.platform.web.pages.compression import html_answer
from trustpack.platform.web.pages.forms import Form, FormReading, read_form
from trustpack.platform.web.pages.home import HomeSource
from trustpack.platform.web.pages.navigation import Counts, Find, Place, Workspace, place_at, useful_workspaces
from trustpack.platform.web.pages.static_files import StaticFiles
from trustpack.platform.web.pages.templates import Moment, Templates
from trustpack.platform.web.pages.viewer import Viewer, ViewerSource

THEMES = ("system", "light", "dark")
THEME_COOKIE = "theme"
_POSITION = "trustpack.position"
F = TypeVar("F", bound=Form)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything that the pages of one process share."""

    templates: Templates
    static_files: StaticFiles
    clock: Clock
    viewer_source: ViewerSource
    public_url: str
    trusted_hosts: frozenset[str]
    workspaces: Sequence[Workspace] = ()
    account_places: Sequence[Place] = ()
    finders: Sequence[Find] = ()
    counts: Sequence[Counts] = ()
    home: Sequence[HomeSource] = ()
    events_path: str | None = None
    """Where the signals of changes come from; None: pages do not refresh themselves."""
    position: Callable[[], Awaitable[str]] | None = None
    """Tells the event after which a page that is made now has to hear what it missed."""

    def html(
        self,
        template: str,
        *,
        request: Request,
        viewer: Viewer | None,
        counts: Mapping[str, int],
        form_token: str = "",
        **values: Any,
    ) -> str:
        """Return the HTML of a page, or of a part of one, as this request's viewer sees it.

        Without a viewer its forms carry `form_token`: a page on the way to a session shows no frame around itself.
        """
        moment = Moment(self.clock.now(), str(request.scope["trustpack.nonce"]), viewer.form_token if viewer else form_token)
        theme = request.cookies.get(THEME_COOKIE, "")
        place = place_at(request.url.path, self.workspaces)
        roles = viewer.actor.roles if viewer is not None else frozenset()
        frame = {
            "site": self,
            "workspaces": useful_workspaces(self.workspaces, roles, counts, place),
            "viewer": viewer,
            "counts": counts,
            "place": place,
            "signal": next((one.signal for one in self.workspaces if place in one.places), ""),
            "position": request.scope.get(_POSITION, ""),
            "path": request.url.path,
            "address": _address(request),
            "theme": theme if theme in THEMES else THEMES[0],
        }
        return self.templates.render(template, moment, {**frame, **values})


def _address(request: Request) -> str:
    # Where the page can be fetched anew; an answer to a form has no such place.
    if request.method != "GET":
        return ""
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


@dataclass(frozen=True, slots=True)
class Page:
    """One request of a signed-in viewer."""

    request: Request
    viewer: Viewer
    site: Site

    async def show(self, template: str, *, status: int = HTTPStatus.OK, **values: Any) -> Response:
        """Answer with a template; `values` are what it shows."""
        counts: dict[str, int] = {}
        for count in self.site.counts:
            counts.update(await count(self.viewer))
        html = self.site.html(template, request=self.request, viewer=self.viewer, counts=counts, **values)
        return html_answer(self.request, html, status=status)

    def show_part(self, template: str, **values: Any) -> Response:
        """Answer with a piece of a page, without the frame around it."""
        html = self.site.html(template, request=self.request, viewer=self.viewer, counts={}, **values)
        return html_answer(self.request, html)

    async def read(self, shape: type[F]) -> FormReading[F]:
        """Read the form that was posted, which the viewer's session made. Raises `InvalidInput`."""
        return await read_form(self.request, shape)

    @staticmethod
    def go(path: str) -> Response:
        """Send the browser to a path of ours after a form was carried out; reloading then repeats nothing."""
        if not path.startswith("/") or path.startswith(("//", "/\\")):
            raise ValueError("a redirect leads to a path of ours")
        return RedirectResponse(path, HTTPStatus.SEE_OTHER)


async def _this_page(request: Request) -> Page:
    site: Site = request.app.state.site
    viewer = await site.viewer_source(request)
    request.scope["trustpack.viewer"] = viewer
    request.scope["trustpack.actor"] = viewer.actor
    if site.position is not None and "hx-request" not in request.headers:  # a page that changes in place keeps its stream
        request.scope[_POSITION] = await site.position()
    return Page(request, viewer, site)


ThisPage = Annotated[Page, Depends(_this_page)]
"""The page being asked for, for a handler's signature: its viewer is signed in."""
