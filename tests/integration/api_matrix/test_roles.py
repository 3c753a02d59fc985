"""Every route for everybody: who reads, who acts, who is refused with a receipt, and for whom a case does not exist."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from fastapi.routing import iter_route_contexts

from tests.integration.api_matrix.expected import ABOUT_A_CASE, CALLS, COLUMNS, COMMANDS, EXPECTED, OPEN_TO_EVERYBODY, Call
from tests.support.cases import case_in
from tests.support.delegating import receipts_of
from tests.support.matrix import Ids, Matrix, ids_of, ids_of_deal, new_delegation, shape_of
from tests.support.stored import tables_holding
from trustpack.app.bootstrap import Container
from trustpack.app.http import build_app
from trustpack.capabilities import directory
from trustpack.capabilities.directory.model import PersonStatus
from trustpack.capabilities.directory.service import revoke_token, set_person_status, tokens_of
from trustpack.kernel.actor import Role
from trustpack.platform.web.pages.frame import is_page_path

HIDDEN, REFUSED, DONE = 404, 403, {200, 201}


async def new_case(matrix: Matrix, call: Call) -> Ids:
    """Make what a route is called about, in the state that it asks for; return its ids and those of one of every kind."""
    if call.is_about_a_delegation:
        return {**matrix.standing, **await new_delegation(matrix.deals)}
    if call.is_about_a_deal:
        return {**matrix.standing, **ids_of_deal(await matrix.deals.in_state(call.state))}
    return {**matrix.standing, **ids_of(await matrix.here.read(await case_in(matrix.here, call.state, asyncio.Event())))}


async def actions_of(matrix: Matrix, call: Call, ids: Ids) -> list[str]:
    """Return the actions of the receipts of what a route is called about."""
    if call.is_about_a_delegation:
        return [receipt["action"] for receipt in await receipts_of(matrix.deals, {"id": ids["delegation"]})]
    return await (matrix.deals.actions({"id": ids["quote"]}) if call.is_about_a_deal else matrix.here.actions(ids["request"]))


def test_every_route_of_the_application_has_its_row_in_the_matrix(container: Container) -> None:
    routes = iter_route_contexts(build_app(container, with_worker=False).routes)

    served = {
        f"{method} {route.path}"
        for route in routes
        for method in (route.methods or set()) - {"HEAD"}
        if not is_page_path(route.path)
    }

    assert served == EXPECTED.keys() == CALLS.keys(), "a new route needs its row in tests/integration/api_matrix/expected.py"


def test_every_row_has_everybody() -> None:
    assert {route for route, row in EXPECTED.items() if row.keys() != set(COLUMNS.values())} == set()


@pytest.mark.adversarial(17, 18)
@pytest.mark.parametrize("route", EXPECTED)
async def test_a_route_answers_each_person_as_the_matrix_says(matrix: Matrix, route: str) -> None:
    call = CALLS[route]
    ids = await new_case(matrix, call)

    answers = {}
    for handle in EXPECTED[route]:
        answers[handle] = (await matrix.ask(handle, route, call, ids)).status_code
        if route in COMMANDS and answers[handle] in DONE:
            ids = await new_case(matrix, call)

    assert answers == EXPECTED[route]


@pytest.mark.adversarial(1)
@pytest.mark.parametrize("route", COMMANDS)
async def test_a_refused_command_leaves_a_receipt_and_one_on_a_hidden_case_leaves_none(matrix: Matrix, route: str) -> None:
    ids = await new_case(matrix, CALLS[route])
    unable = {handle: status for handle, status in EXPECTED[route].items() if status not in DONE}

    left = {}
    for handle in unable:
        before = await actions_of(matrix, CALLS[route], ids)
        await matrix.ask(handle, route, CALLS[route], ids)
        left[handle] = (await actions_of(matrix, CALLS[route], ids))[len(before) :]

    assert left == {handle: ["refused"] if status == REFUSED else [] for handle, status in unable.items()}


@pytest.mark.parametrize("handle", COLUMNS.values())
async def test_a_list_holds_what_its_reader_may_read_and_nothing_else(matrix: Matrix, handle: str) -> None:
    ids = await new_case(matrix, Call("", state="pending_approval"))
    reads = EXPECTED["GET /high-risk-ops/requests/{request_id}"][handle] in DONE

    listed = (await matrix.here.call(handle, "GET", "/high-risk-ops/requests?limit=1")).json()["items"]

    assert (ids["request"] in {item["id"] for item in listed}) == reads


@pytest.mark.parametrize("handle", COLUMNS.values())
async def test_a_list_of_quotes_holds_what_its_reader_may_read_and_nothing_else(matrix: Matrix, handle: str) -> None:
    quote = await matrix.deals.quote()
    reads = EXPECTED["GET /revops/quotes/{quote_id}"][handle] in DONE

    listed = (await matrix.here.call(handle, "GET", "/revops/quotes?limit=1")).json()["items"]

    assert (quote["id"] in {item["id"] for item in listed}) == reads


async def token_without_use(matrix: Matrix, reason: str) -> str:
    """Make somebody who was entitled to everything, and take the sign-in away for a reason."""
    here, handle = matrix.here, f"ex-{reason}"
    token = await here.add_person(handle, *Role)
    async with here.container.unit_of_work.transaction(here.tenant_id) as tx:
        match reason:
            case "revoked":
                [owned] = await tokens_of(tx, here.people[handle].id)
                await revoke_token(tx, here.operator, token_id=owned.id)
            case "deactivated":
                await set_person_status(tx, here.operator, handle=handle, status=PersonStatus.DEACTIVATED)
            case "expired":
                issued = await directory.issue_token(
                    tx, here.operator, handle=handle, label="short", lifetime=timedelta(seconds=1)
                )
                here.clock.advance(seconds=2)
                return issued.secret
            case "moved":
                return token.replace(f"tp_{here.tenant_id}_", f"tp_{matrix.there.tenant_id}_")
    return token


@pytest.mark.parametrize("reason", ["revoked", "deactivated", "expired", "moved"])
async def test_who_is_not_signed_in_any_more_meets_the_same_refusal_everywhere(matrix: Matrix, reason: str) -> None:
    matrix.here.tokens[reason] = await token_without_use(matrix, reason)
    ids = await new_case(matrix, Call("", state="active"))
    behind_sign_in = [route for route in CALLS if route not in OPEN_TO_EVERYBODY]

    refusals = {route: shape_of(await matrix.ask(reason, route, CALLS[route], ids)) for route in behind_sign_in}

    without = {route: shape_of(await matrix.ask(None, route, CALLS[route], ids)) for route in behind_sign_in}
    assert {refusal["status"] for refusal in refusals.values()} == {401}
    assert refusals == without


@pytest.mark.adversarial(33)
async def test_credentials_are_in_the_one_answer_and_nowhere_else(matrix: Matrix) -> None:
    ids = await new_case(matrix, Call("", state="active"))
    issue = "POST /high-risk-ops/requests/{request_id}/credentials"

    shown = (await matrix.ask("user-engineer", issue, CALLS[issue], ids)).json()["password"]

    told = [
        (route, handle)
        for route in (*OPEN_TO_EVERYBODY, *ABOUT_A_CASE)
        for handle in COLUMNS.values()
        if shown in (await matrix.ask(handle, route, CALLS[route], ids)).text
    ]
    assert told == []
    assert tables_holding(matrix.here, shown) == []
