"""`/switchboard/profile/delegations`: what I lent and what was lent to me, lend one of my roles, and withdraw what I lent.

A page about oneself, and yet of this capability: delegations are owned here, and the directory, which makes the other pages
below `/switchboard/profile`, is below RevOps and may not import it. `app/console.py` puts all of them into one menu.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import Field, ValidationError
from starlette.responses import Response

from trustpack.capabilities.directory import RecentlySignedIn
from trustpack.capabilities.revops.model import (
    DelegationEnded,
    DelegationForbidden,
    DelegationPhase,
    InvalidDelegation,
    TooManyDelegations,
    WrittenDelegation,
)
from trustpack.capabilities.revops.pages.quote_readings import as_sentence
from trustpack.capabilities.revops.service import delegations
from trustpack.capabilities.revops.service.own_delegations import (
    OwnDelegation,
    own_delegations,
    possible_borrowers,
    roles_to_lend,
)
from trustpack.capabilities.revops.service.shapes import DelegationBody
from trustpack.kernel.errors import InvalidInput, Refused
from trustpack.kernel.ids import require_id
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.idempotency import KeyReused
from trustpack.platform.web.pages import Form, FormReading, Page, Place, ThisPage, called
from trustpack.platform.web.pages.headers import BASE_PATH
from trustpack.platform.web.pages.lists import PAGE_SIZE
from trustpack.platform.web.pages.once import do_once, key_of_form, new_key
from trustpack.platform.web.pages.roles import ROLE_WORDS
from trustpack.platform.web.pages.times import exact_date
from trustpack.platform.web.routing import Store

DELEGATIONS: Final = f"{BASE_PATH}/profile/delegations"
PLACE: Final = Place("delegations", "Delegations", "users", DELEGATIONS)
MOST_SUGGESTED: Final = 200
"""Colleagues whom the field suggests; whoever comes after them in the order of handles is written by hand."""
router = APIRouter(prefix=DELEGATIONS, include_in_schema=False)
Before = Annotated[str, Query(max_length=64)]
_CHIPS: Final = {
    DelegationPhase.UPCOMING: ("pending", "Upcoming"),
    DelegationPhase.IN_FORCE: ("active", "In force"),
    DelegationPhase.LENDS_NOTHING: ("warning", "Lends nothing"),
    DelegationPhase.OVER: ("expired", "Over"),
    DelegationPhase.WITHDRAWN: ("expired", "Withdrawn"),
}
_PAST: Final = frozenset({DelegationPhase.OVER, DelegationPhase.WITHDRAWN})
_EXPECTED: Final = {
    "role": "Choose one of your roles that can be lent.",
    "to": "Write the handle of a colleague, such as dev-patel.",
    "from_date": "Write a day such as 2026-11-23.",
    "until_date": "Write a day such as 2026-11-23.",
    "reason": "Say why, in at most 4,096 bytes of visible text.",
}
_SENT_BEFORE: Final = "This form was sent before with other content, and that delegation is there. Send it again for this one."


class DelegationForm(Form):
    """A role to lend; what its fields may be, `DelegationBody` says."""

    role: str = ""
    to: str = ""
    from_date: str = ""
    until_date: str = ""
    reason: str = ""
    key: str = Field(pattern=r"^[0-9a-f]{32}$")


@dataclass(frozen=True, slots=True)
class Row:
    """A delegation in the list. `made_by` names whoever made it for the lender; `ended_at` is None unless it was withdrawn."""

    id: str
    role: str
    is_lent: bool
    other: str
    days: str
    reason: str
    chip: tuple[str, str]
    made_by: str
    ended_by: str
    ended_at: datetime | None
    can_withdraw: bool


@dataclass(frozen=True, slots=True)
class DelegationsView:
    """My delegations, and what I could lend to whom: pairs of value and label."""

    lent: Sequence[Row]
    borrowed: Sequence[Row]
    older_path: str
    roles: Sequence[tuple[str, str]]
    people: Sequence[tuple[str, str]]
    today: str
    key: str


@router.get("")
async def show_delegations(page: ThisPage, store: Store, before: Before = "") -> Response:
    """Show the newest of what I lent and was lent, or those that are older than one."""
    return await _show(page, store, FormReading({}, {}, None), before=before)


@router.post("")
async def lend(_: RecentlySignedIn, page: ThisPage, store: Store) -> Response:
    """Lend one of the viewer's own roles, once for each time that the form was shown."""
    reading = await page.read(DelegationForm)
    if reading.form is None:
        raise InvalidInput("The form is not whole.")
    written, actor = _read(reading.form), page.viewer.actor
    if not isinstance(written, WrittenDelegation):
        return await _show(page, store, replace(reading, errors=written), status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        async with store.transaction(actor.tenant_id) as tx:

            async def work() -> str:
                await delegations.create_delegation(tx, actor, written)
                return DELEGATIONS

            return page.go(await do_once(tx, key_of_form(page, reading.given), work))
    except InvalidDelegation as error:
        faults = {fault["field"]: as_sentence(fault["message"]) for fault in error.data["errors"]}
        return await _show(page, store, replace(reading, errors=faults), status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except DelegationForbidden as error:
        if not roles_to_lend(actor):  # there is no form for them
            raise
        return await _show(page, store, replace(reading, errors={"role": error.detail}), status=HTTPStatus.FORBIDDEN)
    except TooManyDelegations as error:
        notice = f"{error.detail} {error.next_step}"
        return await _show(page, store, reading, status=HTTPStatus.CONFLICT, notice=notice)
    except KeyReused:
        return await _show(page, store, reading, status=HTTPStatus.CONFLICT, notice=_SENT_BEFORE)


@router.post("/{delegation_id}/withdraw")
async def withdraw(_: RecentlySignedIn, page: ThisPage, store: Store, delegation_id: str) -> Response:
    """End a delegation at once. Raises `NotFound`, `NotYourDelegation`."""
    actor = page.viewer.actor
    try:
        async with store.transaction(actor.tenant_id) as tx:
            outcome = await delegations.end_delegation(tx, actor, delegation_id)
    except DelegationEnded:
        # Sent twice, it was done once; the page says by whom and when.
        return page.go(DELEGATIONS)
    # Raised only now: the refusal has a receipt of its own, which the transaction keeps.
    if isinstance(outcome, Refused):
        raise outcome.error
    return page.go(DELEGATIONS)


def _read(form: DelegationForm) -> WrittenDelegation | Mapping[str, str]:
    try:
        return DelegationBody.model_validate(form.model_dump(exclude={"key"})).to_written()
    except ValidationError as error:
        return {name: _EXPECTED[name] for name in (str(fault["loc"][0]) for fault in error.errors())}


async def _show(
    page: Page,
    store: Store,
    reading: FormReading[DelegationForm],
    *,
    before: str = "",
    status: int = HTTPStatus.OK,
    notice: str = "",
) -> Response:
    async with store.transaction(page.viewer.actor.tenant_id, consistent=True) as tx:
        view = await _view(tx, page, before)
    return await page.show("revops/delegations.html", status=status, view=view, reading=reading, notice_text=notice)


async def _view(tx: Transaction, page: Page, before: str) -> DelegationsView:
    actor = page.viewer.actor
    before_id = require_id(before, prefix="dlg") if before else None
    found = await own_delegations(tx, actor, before_id=before_id, limit=PAGE_SIZE + 1)
    rows = [_row_of(one, actor.id) for one in found[:PAGE_SIZE]]
    people = (await possible_borrowers(tx, actor))[:MOST_SUGGESTED]
    return DelegationsView(
        lent=[row for row in rows if row.is_lent],
        borrowed=[row for row in rows if not row.is_lent],
        older_path=f"{DELEGATIONS}?before={rows[-1].id}" if len(found) > PAGE_SIZE else "",
        roles=[(role.value, ROLE_WORDS[role]) for role in roles_to_lend(actor)],
        people=[(person.handle, person.display_name) for person in people],
        today=tx.now.date().isoformat(),
        key=new_key(tx),
    )


def _row_of(own: OwnDelegation, viewer_id: str) -> Row:
    one, handles = own.view.delegation, own.view.handles
    is_lent = one.from_person == viewer_id
    other = one.to_person if is_lent else one.from_person
    return Row(
        id=one.id,
        role=ROLE_WORDS[one.role],
        is_lent=is_lent,
        other=called(handles.get(other, other)),
        days=_days(one.from_date, one.until_date),
        reason=own.view.reason or "",
        chip=_CHIPS[own.view.phase],
        made_by="" if one.created_by == one.from_person else called(handles.get(one.created_by, one.created_by)),
        ended_by=called(own.ended_by or ""),
        ended_at=one.ended_at,
        can_withdraw=own.may_end and own.view.phase not in _PAST,
    )


def _days(first: date, last: date) -> str:
    days = [exact_date(datetime.combine(day, time.min, UTC)) for day in (first, last)]
    return f"On {days[0]}" if first == last else f"From {days[0]} until {days[1]}"
