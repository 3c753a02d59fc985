"""The routes that every console has: its static files, the finding of objects, and the pages for developers."""

from __future__ import annotations

from itertools import chain
from operator import attrgetter
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from trustpack.kernel.errors import NotFound
from trustpack.platform.web.pages import samples
from trustpack.platform.web.pages.headers import BASE_PATH, STATIC_PATH
from trustpack.platform.web.pages.navigation import Found
from trustpack.platform.web.pages.page import Page, Site, ThisPage

MAX_FOUND = 15
SearchText = Annotated[str, Query(max_length=200)]


def build_router(*, with_components: bool) -> APIRouter:
    """Return the routes; `with_components` adds the page that shows each component in every state."""
    router = APIRouter(prefix=BASE_PATH, include_in_schema=False)
    router.add_api_route("", home, methods=["GET"])
    router.add_api_route("/find", find, methods=["GET"])
    router.add_api_route("/find/list", find_list, methods=["GET"])
    router.add_api_route(f"{STATIC_PATH.removeprefix(BASE_PATH)}/{{name:path}}", static_file, methods=["GET"])
    if with_components:
        router.add_api_route("/components", components, methods=["GET"])
        router.add_api_route("/components/{kind}", components, methods=["GET"])
        router.add_api_route("/components/list/{object_id}", component_object, methods=["GET"])
    return router


async def home(page: ThisPage) -> Response:
    """Show what waits for the viewer and what they have under way; without any part of it, lead to the first place.

    Raises `NotFound` when there is none.
    """
    if page.site.home:
        return await _show_home(page)
    places = (*(place for workspace in page.site.workspaces for place in workspace.places), *page.site.account_places)
    first = next((place for place in places if place.path != BASE_PATH), None)
    if first is None:
        raise NotFound
    return page.go(first.path)


async def _show_home(page: Page) -> Response:
    parts = [await source(page.viewer) for source in page.site.home]
    lists = [one for part in parts for one in part.lists]
    steps = sorted((step for part in parts for step in part.steps), key=attrgetter("order"))
    return await page.show(
        "home.html",
        waiting=[one for one in lists if one.is_waiting],
        own=[one for one in lists if not one.is_waiting],
        steps=[] if any(part.hides_steps for part in parts) else [step.shown_to(page.viewer) for step in steps],
    )


async def static_file(name: str, request: Request) -> Response:
    """Send a static file. Raises `NotFound`."""
    site: Site = request.app.state.site
    found = site.static_files.find(name)
    if found is None:
        raise NotFound
    if found.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.gzipped, headers={"content-encoding": "gzip"}, media_type=found.media_type)
    return Response(found.content, media_type=found.media_type)


async def find(page: ThisPage, q: SearchText = "") -> Response:
    """Show what fits the text, as a page of its own."""
    return await page.show("find.html", text=q, found=await _found(page, q))


async def find_list(page: ThisPage, q: SearchText = "") -> Response:
    """Show what fits the text, for the palette."""
    return page.show_part("found.html", text=q, found=await _found(page, q))


async def components(page: ThisPage, kind: str = "all") -> Response:
    """Show each component in every state, or one of the usual pages made of them. Raises `NotFound`."""
    if kind not in samples.KINDS:
        raise NotFound
    return await page.show(f"samples/{kind}.html", sample=samples.sample(page.site.clock.now()))


async def component_object(page: ThisPage, object_id: str) -> Response:
    """Show a list with an open object."""
    return await page.show("samples/object.html", sample=samples.sample(page.site.clock.now()), current=object_id)


async def _found(page: Page, text: str) -> list[Found]:
    wanted = text.strip()
    if not wanted or "\x00" in wanted:  # which no stored text holds
        return []
    by_finder = [await finder(page.viewer, wanted) for finder in page.site.finders]
    return list(chain.from_iterable(by_finder))[:MAX_FOUND]
