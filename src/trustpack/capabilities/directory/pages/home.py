"""The directory's part of the first page: how the viewer signs in, and whether they have put the first steps away."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from trustpack.capabilities.directory.service import accounts
from trustpack.platform.unit_of_work import UnitOfWork
from trustpack.platform.web.pages import ThisPage, Viewer, first_steps
from trustpack.platform.web.pages.headers import BASE_PATH
from trustpack.platform.web.pages.home import HomePart, HomeSource, Step
from trustpack.platform.web.routing import Store

router = APIRouter(prefix=BASE_PATH, include_in_schema=False)


@router.post("/first-steps/hide")
async def hide_first_steps(page: ThisPage, store: Store) -> Response:
    """Put the list of first steps away for good."""
    actor = page.viewer.actor
    async with store.transaction(actor.tenant_id) as tx:
        await first_steps.hide_steps(tx, actor)
    return page.go(BASE_PATH)


def home(unit_of_work: UnitOfWork) -> HomeSource:
    """Return what gives the directory's part."""

    async def part(viewer: Viewer) -> HomePart:
        actor = viewer.actor
        async with unit_of_work.transaction(actor.tenant_id) as tx:
            await first_steps.note_visit(tx, viewer)
            if await first_steps.has_hidden_steps(tx, actor):
                return HomePart(hides_steps=True)
            if viewer.is_demo:
                step = Step(1, "Come in with one click", "", done=True)
            else:
                has_passkey = bool((await accounts.ways_in(tx, actor)).passkeys)
                step = Step(1, "Sign in with a passkey", f"{BASE_PATH}/profile/passkeys", has_passkey)
        return HomePart(steps=(step,))

    return part
