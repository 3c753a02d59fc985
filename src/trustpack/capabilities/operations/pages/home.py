"""What Security gives to the first page: what waits for the viewer, what they asked for, and the steps that lead there."""

from __future__ import annotations

from trustpack.capabilities.operations.model import GrantStatus, Status
from trustpack.capabilities.operations.pages.inbox import INBOX, PLACE
from trustpack.capabilities.operations.pages.views import CHIPS, NEW, REQUESTS, name_of, received_of, short
from trustpack.capabilities.operations.pages.wording import type_of
from trustpack.capabilities.operations.service import waiting
from trustpack.capabilities.operations.service.context import Operations
from trustpack.capabilities.operations.service.reading import RequestView
from trustpack.kernel.actor import Role
from trustpack.platform.web.pages import Viewer, called, first_steps
from trustpack.platform.web.pages.home import FIRST_ROWS, HomeList, HomePart, HomeRow, HomeSource, Step


def home(operations: Operations) -> HomeSource:
    """Return what gives the part of Security."""

    async def part(viewer: Viewer) -> HomePart:
        actor, is_demo = viewer.actor, viewer.is_demo
        async with operations.unit_of_work.transaction(actor.tenant_id) as tx:
            inbox = await waiting.needs_my_approval(tx, operations, actor, limit=FIRST_ROWS)
            own = await waiting.my_open_requests(tx, actor, limit=FIRST_ROWS)
            people = await first_steps.people_of_steps(tx, viewer)
            deeds = await waiting.first_deeds(tx, people)
        lists: list[HomeList] = []
        if inbox.views or not PLACE.useful_to.isdisjoint(actor.roles):
            lists.append(_waiting(inbox.views))
        if own or Role.ENGINEER in actor.roles:
            lists.append(_own(own))
        return HomePart(tuple(lists), _steps(operations, deeds, is_demo=is_demo))

    return part


def _waiting(views: tuple[RequestView, ...]) -> HomeList:
    return HomeList(
        title="Requests that need my approval",
        path=INBOX,
        empty="Nothing waits for you.",
        rows=tuple(
            HomeRow(
                short_id=short(view.request.id),
                path=f"{REQUESTS}/{view.request.id}",
                title=f"{type_of(view.request.type)} · {view.request.target_name}",
                note=f"{called(name_of(view, view.request.requester_id))}: {view.request.justification}",
                chip=CHIPS[view.request.status],
                beside=received_of(view),
                at=view.request.approval_expires_at,
                at_means="expires",
            )
            for view in views
        ),
        is_waiting=True,
    )


def _own(views: tuple[RequestView, ...]) -> HomeList:
    return HomeList(
        title="My requests and access",
        path=REQUESTS,
        empty="You have asked for nothing that is still open.",
        rows=tuple(_own_row(view) for view in views),
        add_path=NEW,
        add_text="Ask for access",
    )


def _own_row(view: RequestView) -> HomeRow:
    request, grant = view.request, view.grant
    is_active = grant is not None and grant.status == GrantStatus.ACTIVE
    return HomeRow(
        short_id=short(request.id),
        path=f"{REQUESTS}/{request.id}",
        title=f"{type_of(request.type)} · {request.target_name}",
        note=request.justification,
        chip=CHIPS[request.status],
        beside=received_of(view) if request.status == Status.PENDING_APPROVAL else "",
        at=request.created_at,
        until=grant.expires_at if grant is not None and is_active else None,
        since=grant.granted_at if grant is not None and is_active else None,
        until_means="Auto-reverts",
        afterwards="reverting…",
    )


def _steps(operations: Operations, deeds: waiting.FirstDeeds, *, is_demo: bool) -> tuple[Step, ...]:
    if is_demo:
        ask, approve = "Come in as an engineer, and ask for access", "Come in as somebody else, and approve it"
    else:
        ask, approve = "Ask for access to a database", "Approve what somebody else asked for"
    return (
        Step(2, ask, NEW, deeds.asked, waiting.roles_that_ask(operations)),
        Step(3, approve, INBOX, deeds.approved, waiting.roles_that_approve(operations)),
    )
