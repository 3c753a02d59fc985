"""Another tenant's ids on every route: the same answer, and the same statements, as for an id that never was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.api_matrix.expected import ABOUT_A_CASE, CALLS, COLUMNS, COMMANDS, EXPECTED, LISTS
from tests.support.delegating import receipts_of
from tests.support.matrix import Ids, Matrix, ids_of, ids_of_deal, new_delegation, recorded_statements, shape_of
from trustpack.platform.web.pagination import encode_cursor

UNKNOWN: Ids = {
    name: f"{prefix}_0190163d8694739b962b6e2b9f9d4f4c"
    for name, prefix in {
        "request": "hro",
        "decision": "dec",
        "person": "usr",
        "quote": "quo",
        "opportunity": "opp",
        "lead": "lead",
        "deal_decision": "dec",
        "delegation": "dlg",
    }.items()
}
MALFORMED: Ids = {name: f"{text[:3]}_1" for name, text in UNKNOWN.items()}
HIDDEN = 404
INSIDERS = [handle for handle in COLUMNS.values() if handle != "outsider"]


@pytest.fixture(scope="module")
async def theirs(matrix: Matrix) -> Ids:
    """The ids of a live case of the other tenant."""
    deals = matrix.deals_there
    return {
        **ids_of(await matrix.there.active()),
        **ids_of_deal(await deals.approved()),
        **await new_delegation(deals),
        "lead": deals.lead_id,
    }


@pytest.fixture(scope="module")
async def ours(matrix: Matrix) -> Ids:
    """The ids of a live case of the tenant that is asked."""
    deals = matrix.deals
    return {
        **ids_of(await matrix.here.active()),
        **ids_of_deal(await deals.approved()),
        **await new_delegation(deals),
        "lead": deals.lead_id,
    }


async def watched(
    monkeypatch: pytest.MonkeyPatch, matrix: Matrix, handle: str | None, route: str, ids: Ids, *, key: str | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Call a route and return what its caller can see of the answer, and the statements that it took."""
    with recorded_statements(monkeypatch) as sent:
        answer = await matrix.ask(handle, route, CALLS[route], ids, key=key)
    return shape_of(answer), sent


async def stand_of(matrix: Matrix, theirs: Ids) -> object:
    """Return how the other tenant's case, deal and delegation stand, with every receipt."""
    quote = {"id": theirs["quote"]}
    return (
        await matrix.there.read(theirs["request"]),
        await matrix.there.actions(theirs["request"]),
        await matrix.deals_there.read(quote),
        await matrix.deals_there.actions(quote),
        await receipts_of(matrix.deals_there, {"id": theirs["delegation"]}),
    )


@pytest.mark.parametrize("route", ABOUT_A_CASE)
async def test_another_tenants_id_is_answered_like_an_unknown_one_with_the_same_statements(
    monkeypatch: pytest.MonkeyPatch, matrix: Matrix, theirs: Ids, route: str
) -> None:
    foreign, unknown = {}, {}
    for handle in INSIDERS:
        foreign[handle] = await watched(monkeypatch, matrix, handle, route, theirs)
        unknown[handle] = await watched(monkeypatch, matrix, handle, route, UNKNOWN)

    assert foreign == unknown
    assert all(sent for _, sent in foreign.values())


@pytest.mark.parametrize("route", COMMANDS)
async def test_with_an_idempotency_key_another_tenants_id_is_no_different_either(
    monkeypatch: pytest.MonkeyPatch, matrix: Matrix, theirs: Ids, route: str
) -> None:
    foreign = [await watched(monkeypatch, matrix, "user-engineer", route, theirs, key="k1") for _ in range(2)]
    unknown = [await watched(monkeypatch, matrix, "user-engineer", route, UNKNOWN, key="k1") for _ in range(2)]

    assert foreign == unknown


@pytest.mark.parametrize("route", [route for route in ABOUT_A_CASE if HIDDEN in EXPECTED[route].values()])
async def test_a_case_that_is_hidden_in_the_own_tenant_looks_like_one_that_is_not_there(
    matrix: Matrix, ours: Ids, route: str
) -> None:
    unable = [handle for handle, status in EXPECTED[route].items() if status == HIDDEN]

    hidden = {handle: shape_of(await matrix.ask(handle, route, CALLS[route], ours)) for handle in unable}

    assert hidden == {handle: shape_of(await matrix.ask(handle, route, CALLS[route], UNKNOWN)) for handle in unable}


@pytest.mark.parametrize("route", [route for route in ABOUT_A_CASE if route not in LISTS])
async def test_a_malformed_id_is_answered_like_an_unknown_one(matrix: Matrix, route: str) -> None:
    malformed = {handle: shape_of(await matrix.ask(handle, route, CALLS[route], MALFORMED)) for handle in COLUMNS.values()}

    unknown = {handle: shape_of(await matrix.ask(handle, route, CALLS[route], UNKNOWN)) for handle in COLUMNS.values()}
    assert malformed == unknown
    assert {shape["status"] for shape in malformed.values()} == {404}


@pytest.mark.parametrize("route", ABOUT_A_CASE)
async def test_without_sign_in_every_id_is_refused_alike_and_nothing_is_looked_up(
    monkeypatch: pytest.MonkeyPatch, matrix: Matrix, ours: Ids, theirs: Ids, route: str
) -> None:
    refusals = [await watched(monkeypatch, matrix, None, route, ids) for ids in (ours, theirs, UNKNOWN, MALFORMED)]

    assert refusals == [refusals[0]] * 4
    assert (refusals[0][0]["status"], refusals[0][1]) == (401, [])


@pytest.mark.parametrize("ids_are", ["theirs", "unknown"])
async def test_a_filter_or_cursor_with_a_foreign_id_shows_the_own_tenant_only(
    matrix: Matrix, ours: Ids, theirs: Ids, ids_are: str
) -> None:
    ids: Mapping[str, str] = {"theirs": theirs, "unknown": UNKNOWN}[ids_are]

    filtered = (await matrix.here.call("user-admin", "GET", f"/high-risk-ops/requests?requester={ids['person']}")).json()
    cursor = encode_cursor(ids["request"])
    paged = (await matrix.here.call("user-admin", "GET", f"/high-risk-ops/requests?limit=200&cursor={cursor}")).json()

    quotes = (await matrix.here.call("user-admin", "GET", f"/revops/quotes?opportunity_id={ids['opportunity']}")).json()
    assert filtered == quotes == {"items": [], "next_cursor": None}
    assert {item["requester"]["id"] for item in paged["items"]} <= {person.id for person in matrix.here.people.values()}


async def test_asking_about_another_tenants_case_changes_nothing_there(matrix: Matrix, theirs: Ids) -> None:
    before = await stand_of(matrix, theirs)

    for route in COMMANDS:
        for handle in INSIDERS:
            await matrix.ask(handle, route, CALLS[route], theirs)

    assert before == await stand_of(matrix, theirs)
