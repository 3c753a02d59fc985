"""`/switchboard/views`: the views of a list that the viewer keeps."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from trustpack.capabilities.directory.model.saved_views import SavedView
from trustpack.capabilities.directory.service import saved_views
from trustpack.kernel.errors import InvalidInput
from trustpack.platform.auth.redirects import local_path
from trustpack.platform.web.pages import Form, FormReading, Page, ThisPage
from trustpack.platform.web.routing import Store

VIEWS: Final = "/switchboard/views"
router = APIRouter(prefix=VIEWS, include_in_schema=False)


class NewView(Form):
    """A list as it is shown, and what to call it."""

    path: str = Field(max_length=200)
    query: str = Field("", max_length=800)
    name: str = Field(max_length=200)


class NewName(Form):
    """What to call a view from now on."""

    name: str = Field(max_length=200)


class Nothing(Form):
    """A form without fields."""


@router.get("")
async def show_views(page: ThisPage, store: Store, path: Annotated[str, Query(alias="list", max_length=200)]) -> Response:
    """Show the views of one list, to rename and to delete them."""
    async with store.transaction(page.viewer.actor.tenant_id) as tx:
        mine = await saved_views.saved_views(tx, page.viewer.actor, path)
    return await page.show("directory/saved_views.html", views=mine, path=VIEWS, list_path=local_path(path))


@router.post("")
async def save_view(page: ThisPage, store: Store) -> Response:
    """Keep the list as it is shown."""
    reading = await page.read(NewView)
    form = reading.form
    if form is None:
        raise _refused(reading)
    async with store.transaction(page.viewer.actor.tenant_id) as tx:
        view = await saved_views.save_view(tx, page.viewer.actor, path=form.path, name=form.name, query=form.query)
    return page.go(_address(view))


@router.post("/{view_id}/rename")
async def rename_view(page: ThisPage, store: Store, view_id: str) -> Response:
    """Give a view another name."""
    reading = await page.read(NewName)
    form = reading.form
    if form is None:
        raise _refused(reading)
    async with store.transaction(page.viewer.actor.tenant_id) as tx:
        view = await saved_views.rename_view(tx, page.viewer.actor, view_id, name=form.name)
    return _back_to_views(page, view)


@router.post("/{view_id}/delete")
async def delete_view(page: ThisPage, store: Store, view_id: str) -> Response:
    """Remove a view."""
    await page.read(Nothing)
    async with store.transaction(page.viewer.actor.tenant_id) as tx:
        view = await saved_views.delete_view(tx, page.viewer.actor, view_id)
    return _back_to_views(page, view)


def _back_to_views(page: Page, view: SavedView) -> Response:
    return page.go(f"{VIEWS}?list={view.path}")


def _address(view: SavedView) -> str:
    return f"{view.path}?{view.query}" if view.query else view.path


def _refused(reading: FormReading[NewView] | FormReading[NewName]) -> InvalidInput:
    return InvalidInput(errors=[{"field": name, "message": text} for name, text in reading.errors.items()])
