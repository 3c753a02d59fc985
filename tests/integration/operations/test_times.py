"""How long access may last and when it begins: one exact rule, which no clock on a wall and no field of a body moves."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.clock import MovableClock
from tests.support.stored import counts
from tests.support.world import World, request_body
from tests.support.worlds import ScriptedWorld, scripted_world
from trustpack.app.bootstrap import open_container
from trustpack.kernel.clock import parse_time
from trustpack.platform.settings import Settings

REQUESTS = "/high-risk-ops/requests"
NO_DURATIONS = [
    0, -1, -7_200, 0.5, 60.0, 7_200.0, 1e300, "7200", "PT2H", "2h", "", "NaN", None, True, False, [7_200], {"seconds": 7_200},
    2**31, 2**63, 10**400, float("nan"), float("inf"),
]  # fmt: skip


@pytest.fixture
def berlin_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process lives where clocks change twice a year."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.adversarial(23)
@pytest.mark.parametrize("field", ["duration_seconds", "duration_minutes"])
async def test_a_duration_that_is_no_positive_whole_number_is_refused_and_leaves_nothing(world: World, field: str) -> None:
    before, accepted = await counts(world), []
    for duration in NO_DURATIONS:
        response = await world.http.post(
            REQUESTS,
            content=json.dumps({**request_body(duration_minutes=None), field: duration}).encode(),
            headers={"Authorization": f"Bearer {world.tokens['user-engineer']}", "Content-Type": "application/json"},
        )
        if response.status_code != 422:
            accepted.append(duration)

    assert accepted == []
    assert await counts(world) == before


@pytest.mark.adversarial(23)
@pytest.mark.parametrize(
    ("durations", "status"),
    [
        ({"duration_seconds": 7_200}, 201),
        ({"duration_minutes": 120}, 201),
        ({"duration_seconds": 7_201}, 403),
        ({"duration_minutes": 121}, 403),
        ({"duration_seconds": 2**31 - 1}, 403),
        ({"duration_minutes": 120, "duration_seconds": 7_200}, 422),
    ],
)
async def test_two_hours_are_allowed_and_one_second_more_is_denied(world: World, durations: dict[str, int], status: int) -> None:
    response = await world.call("user-engineer", "POST", REQUESTS, request_body(**{"duration_minutes": None, **durations}))

    assert response.status_code == status


@pytest.mark.adversarial(23)
async def test_two_hours_are_two_hours_whatever_clocks_on_walls_do(settings: Settings, berlin_time: None) -> None:
    clock = MovableClock()
    async with open_container(settings, clock=clock) as container, scripted_world(container, clock) as world:
        for change in (
            datetime(2027, 3, 28, 0, 30, tzinfo=UTC),
            datetime(2027, 10, 31, 0, 30, tzinfo=UTC),
            datetime(2027, 12, 31, 22, 30, tzinfo=UTC),
        ):
            clock.advance(seconds=(change - clock.now()).total_seconds())
            await world.issue_token("user-engineer")
            for handle in ("user-team-lead", "user-security"):
                await world.issue_token(handle)
            began = clock.now()

            active = await world.active(duration_minutes=120)

            lasts = parse_time(active["grant"]["expires_at"]) - began
            assert timedelta(hours=2) - timedelta(seconds=1) < lasts < timedelta(hours=2, seconds=30), change
            assert active["grant"]["expires_at"].endswith("Z")


@pytest.mark.adversarial(24)
async def test_access_begins_when_it_is_executed_and_not_when_it_was_asked_for(scripted: ScriptedWorld) -> None:
    approved = await scripted.approved()
    scripted.clock.advance(minutes=50)
    began = scripted.clock.now()

    response = await scripted.act("user-engineer", approved["id"], "execute")

    lasts = parse_time(response.json()["grant"]["expires_at"]) - began
    assert timedelta(minutes=59) < lasts < timedelta(minutes=61)


@pytest.mark.adversarial(24)
async def test_access_that_is_begun_beyond_its_window_is_refused(scripted: ScriptedWorld) -> None:
    approved = await scripted.approved()
    scripted.clock.advance(minutes=60)

    response = await scripted.act("user-engineer", approved["id"], "execute")

    assert response.status_code == 409
    assert scripted.target.roles == {}
