"""`/switchboard/security/requests/new`: ask for access, and see what policy would say before anything is created."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator, Field, StringConstraints, ValidationError
from starlette.responses import Response

from trustpack.capabilities.operations.model import OPERATION_TYPE, NewRequest, OutsideTarget, Refused, Target, UnknownTarget
from trustpack.capabilities.operations.pages.asking_views import (
    PreviewView,
    choices_of,
    first_values,
    preview_of,
    values_of,
    with_target_of,
)
from trustpack.capabilities.operations.pages.requests import SHAPE
from trustpack.capabilities.operations.pages.views import NEW, REQUESTS
from trustpack.capabilities.operations.rules import texts
from trustpack.capabilities.operations.service import creating, reading, targets
from trustpack.capabilities.operations.service.context import Operations
from trustpack.capabilities.policy import DecisionMode
from trustpack.kernel.errors import NotFound
from trustpack.platform.web.idempotency import KeyReused
from trustpack.platform.web.pages import Form, FormReading, Page, ThisPage
from trustpack.platform.web.pages.lists import read_state
from trustpack.platform.web.pages.once import do_once, done_before, key_of_form, new_key

router = APIRouter(prefix=REQUESTS, include_in_schema=False)
_Name = Annotated[str, StringConstraints(min_length=1, max_length=texts.LONGEST_NAME, pattern=texts.NAME)]
_WORDS: Final = {
    "target": "Choose one of the targets.",
    "environment": "Choose an environment.",
    "scope": "Say whose rows: one line of at most 200 characters.",
    "minutes": "Say how many minutes, as a whole number from 1 on.",
    "justification": "Say in some words what you need it for.",
    "ticket": "A ticket is at most 100 letters, digits and signs, without spaces.",
}
_SENT_BEFORE: Final = "This form was sent before, and what it asked for then is in the list. Send it again to ask for this too."


class Wanted(Form):
    """What a request asks for: all that policy looks at."""

    target: _Name
    environment: _Name
    scope: Annotated[str, StringConstraints(min_length=1, max_length=texts.LONGEST_SCOPE, pattern=texts.ONE_VISIBLE_LINE)]
    minutes: int = Field(gt=0, le=texts.LONGEST_DURATION_SECONDS // 60)


class Asking(Wanted):
    """A request as it is written down."""

    justification: Annotated[
        str, StringConstraints(min_length=1, pattern=texts.SOMETHING_VISIBLE), AfterValidator(texts.within_bytes)
    ]
    ticket: Annotated[str, StringConstraints(max_length=texts.LONGEST_TICKET, pattern=f"^$|{texts.TICKET}")] = ""
    key: str = Field(pattern=r"^[0-9a-f]{32}$")
    step: str = ""


@router.get("/new")
async def show_form(page: ThisPage, like: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Show the form, filled with what another request asked for where one is named. Raises `NotFound`."""
    actor = page.viewer.actor
    given: dict[str, str] = {}
    if like:
        async with _operations(page.request).unit_of_work.transaction(actor.tenant_id) as tx:
            given = values_of(await reading.find_readable(tx, actor, like))
    return await _show(page, FormReading(given, {}, None))


@router.post("/new/preview")
async def preview_form(page: ThisPage) -> Response:
    """Show what would come of the form; nothing is created. Its parts are fetched while the form is filled in."""
    read = _in_words(await page.read(Asking))
    listed = await _targets(page)
    if not listed:
        raise NotFound
    given = with_target_of(listed, read.given)
    return page.show_part(
        "operations/ask_parts.html",
        choices=choices_of(listed, given),
        reading=FormReading(given, {}, None),
        preview=await _preview(page, read.given),
    )


@router.post("/new")
async def ask(page: ThisPage) -> Response:
    """Create the request, once, and lead to it; one that policy denies is there too, with the reasons."""
    read = _in_words(await page.read(Asking))
    if read.form is None or read.form.step == "preview":
        is_preview = read.given.get("step") == "preview"
        # Whoever only looks is told what is missing by the preview.
        shown = FormReading(read.given, {}, None) if is_preview else read
        return await _show(page, shown, status=HTTPStatus.OK if is_preview else HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        return page.go(await _ask(page, read.form, read.given))
    except KeyReused:
        return await _show(page, read, status=HTTPStatus.CONFLICT, notice=_SENT_BEFORE)
    except UnknownTarget:
        errors = {"target": "There is no such target any more."}
        return await _show(page, FormReading(read.given, errors, None), status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except OutsideTarget as error:
        return await _show(page, read, status=HTTPStatus.UNPROCESSABLE_ENTITY, notice=error.detail)


async def _ask(page: Page, form: Asking, given: Mapping[str, str]) -> str:
    operations, actor, key = _operations(page.request), page.viewer.actor, key_of_form(page, given)
    async with operations.unit_of_work.transaction(actor.tenant_id) as tx:
        if (led_to := await done_before(tx, key)) not in {None, NEW}:
            return str(led_to)
    new = _new_request(form, justification=form.justification, ticket=form.ticket or None)
    proposal = await creating.propose(operations, actor, new, mode=DecisionMode.ENFORCE)
    async with operations.unit_of_work.transaction(actor.tenant_id) as tx:

        async def work() -> str:
            outcome = await creating.create_request(tx, operations, actor, proposal)
            if proposal.outside is not None:
                return NEW
            return f"{REQUESTS}/{outcome.error.data['subject_id'] if isinstance(outcome, Refused) else outcome.id}"

        path = await do_once(tx, key, work)
    # Raised only now: the refusal has a decision of its own, which the transaction keeps.
    if proposal.outside is not None:
        raise proposal.outside
    return path


async def _show(page: Page, read: FormReading[Asking], *, status: int = HTTPStatus.OK, notice: str = "") -> Response:
    listed = await _targets(page)
    if not listed:
        return await page.show("operations/ask_nothing.html")
    given = {**(first_values(listed) if not read.given else {}), **read.given}
    async with _operations(page.request).unit_of_work.transaction(page.viewer.actor.tenant_id) as tx:
        key = new_key(tx)
    return await page.show(
        "operations/ask.html",
        status=status,
        choices=choices_of(listed, given),
        reading=replace(read, given=given),
        preview=await _preview(page, given),
        key=key,
        keep=read_state(SHAPE, page.request.query_params).query,
        notice_text=notice,
    )


async def _preview(page: Page, given: Mapping[str, str]) -> PreviewView:
    try:
        wanted = Wanted.model_validate({name: given.get(name, "") for name in Wanted.model_fields})
    except ValidationError as error:
        return PreviewView(missing=tuple(_WORDS[str(fault["loc"][0])] for fault in error.errors()))
    new = _new_request(wanted, justification="", ticket=None)
    try:
        return preview_of(await creating.preview(_operations(page.request), page.viewer.actor, new), target=new.target)
    except (OutsideTarget, UnknownTarget) as error:
        return PreviewView(fault=error.detail)


async def _targets(page: Page) -> tuple[Target, ...]:
    tenant_id = page.viewer.actor.tenant_id
    async with _operations(page.request).unit_of_work.transaction(tenant_id) as tx:
        return await targets.list_targets(tx)


def _new_request(wanted: Wanted, *, justification: str, ticket: str | None) -> NewRequest:
    return NewRequest(
        type=OPERATION_TYPE,
        environment=wanted.environment,
        target=wanted.target,
        scope=wanted.scope,
        duration_seconds=wanted.minutes * 60,
        justification=justification,
        ticket=ticket,
    )


def _in_words(read: FormReading[Asking]) -> FormReading[Asking]:
    return replace(read, errors={name: _WORDS.get(name, text) for name, text in read.errors.items()})


def _operations(request: Request) -> Operations:
    found: Operations = request.app.state.operations
    return found
