"""The same POST again: the first answer again, the work once (ADR-0011)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.support.store import rows_as_owner
from tests.support.world import World, request_body
from trustpack.platform.jobs import Job
from trustpack.platform.settings import Settings
from trustpack.platform.web.idempotency import (
    KEPT_FOR,
    SWEEP_EVERY,
    SWEEP_JOB,
    Reply,
    RequestKey,
    SecretNotReplayed,
    claim,
    forget,
    keep,
    once,
    schedule_sweep,
    sweep_handlers,
)

PATH = "/high-risk-ops/requests"


def requests_of(settings: Settings, world: World) -> int:
    [row] = rows_as_owner(
        settings, "SELECT count(*) AS n FROM trustpack.high_risk_requests WHERE tenant_id = %s", world.tenant_id
    )
    return int(row["n"])


def keys_of(settings: Settings, world: World) -> list[str]:
    return [
        row["key"]
        for row in rows_as_owner(settings, "SELECT key FROM trustpack.idempotency_keys WHERE tenant_id = %s", world.tenant_id)
    ]


def request_key(**changes: str) -> RequestKey:
    fields = {"actor_id": "usr_1", "method": "POST", "path": "/things", "key": "k1", "request_digest": "sha256:1", **changes}
    return RequestKey(**fields)


async def test_the_same_request_again_gets_the_first_answer_byte_for_byte(world: World, settings: Settings):
    first = await world.call("user-engineer", "POST", PATH, request_body(), key="k1")
    again = await world.call("user-engineer", "POST", PATH, request_body(), key="k1")

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert requests_of(settings, world) == 1


async def test_the_first_answer_is_repeated_even_after_the_subject_has_moved_on(world: World):
    first = await world.call("user-engineer", "POST", PATH, request_body(), key="k1")
    await world.act("user-engineer", first.json()["id"], "cancel")

    again = await world.call("user-engineer", "POST", PATH, request_body(), key="k1")

    assert again.content == first.content


async def test_without_a_key_every_request_is_a_new_one(world: World, settings: Settings):
    for _ in range(2):
        await world.call("user-engineer", "POST", PATH, request_body())

    assert requests_of(settings, world) == 2


async def test_the_same_key_with_another_body_is_refused(world: World, settings: Settings):
    await world.call("user-engineer", "POST", PATH, request_body(), key="k1")

    response = await world.call("user-engineer", "POST", PATH, request_body(ticket="INC-9"), key="k1")

    assert (response.status_code, response.json()["code"]) == (409, "idempotency.key_reused")
    assert requests_of(settings, world) == 1


async def test_twenty_equal_requests_at_once_make_one_subject_and_get_one_answer(world: World, settings: Settings):
    responses = await asyncio.gather(*(world.call("user-engineer", "POST", PATH, request_body(), key="k1") for _ in range(20)))

    assert {response.status_code for response in responses} == {201}
    assert len({response.content for response in responses}) == 1
    assert requests_of(settings, world) == 1


async def test_a_key_belongs_to_its_actor(world: World, settings: Settings):
    first = await world.call("user-engineer", "POST", PATH, request_body(), key="k1")
    other = await world.call("user-engineer-2", "POST", PATH, request_body(), key="k1")

    assert (first.status_code, other.status_code) == (201, 201)
    assert first.json()["id"] != other.json()["id"]


async def test_a_key_belongs_to_its_tenant(world: World, other_world: World):
    first = await world.call("user-engineer", "POST", PATH, request_body(), key="k1")
    other = await other_world.call("user-engineer", "POST", PATH, request_body(ticket="INC-9"), key="k1")

    assert (first.status_code, other.status_code) == (201, 201)


async def test_a_key_belongs_to_its_path(world: World):
    first, second = await world.ask(), await world.ask()

    votes = [
        await world.act("user-team-lead", request["id"], "approve", {"effect_digest": request["effect_digest"]}, key="k1")
        for request in (first, second)
    ]

    assert [vote.status_code for vote in votes] == [200, 200]
    assert [vote.json()["id"] for vote in votes] == [first["id"], second["id"]]


async def test_a_refused_attempt_is_repeated_and_leaves_one_receipt(world: World):
    request = await world.ask()
    body = {"effect_digest": "sha256:" + "0" * 64}

    first = await world.act("user-team-lead", request["id"], "approve", body, key="k1")
    again = await world.act("user-team-lead", request["id"], "approve", body, key="k1")

    assert first.status_code == 409
    assert again.content == first.content
    assert await world.actions(request["id"]) == ["requested", "refused"]


async def test_a_denial_by_policy_is_repeated_and_leaves_one_subject(world: World, settings: Settings):
    first = await world.call("user-ae", "POST", PATH, request_body(), key="k1")
    again = await world.call("user-ae", "POST", PATH, request_body(), key="k1")

    assert first.status_code == 403
    assert again.content == first.content
    assert requests_of(settings, world) == 1


async def test_a_request_that_left_nothing_behind_may_be_corrected_under_the_same_key(world: World):
    bad = await world.call("user-engineer", "POST", PATH, request_body(justification=None), key="k1")

    good = await world.call("user-engineer", "POST", PATH, request_body(), key="k1")

    assert (bad.status_code, good.status_code) == (422, 201)


@pytest.mark.parametrize("key", ["", "with space", "tab\t", "é", "x" * 256])
async def test_a_malformed_key_is_refused(world: World, settings: Settings, key: str):
    response = await world.http.post(
        PATH,
        json=request_body(),
        headers=[(b"Authorization", f"Bearer {world.tokens['user-engineer']}".encode()), (b"Idempotency-Key", key.encode())],
    )

    assert response.status_code == 422
    assert requests_of(settings, world) == 0


async def test_a_key_of_255_characters_is_accepted(world: World):
    response = await world.call("user-engineer", "POST", PATH, request_body(), key="~" * 255)

    assert response.status_code == 201


async def test_work_is_done_once_under_a_key(world: World):
    done: list[int] = []

    async def work() -> Reply:
        done.append(1)
        return Reply(status=201, body=b"made")

    replies = []
    for _ in range(2):
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            replies.append(await once(tx, request_key(), work))

    assert replies == [Reply(201, b"made"), Reply(201, b"made")]
    assert done == [1]


async def test_work_that_failed_is_done_by_the_next_with_the_same_key(world: World):
    async def fail() -> Reply:
        raise ValueError("a bug")

    async def work() -> Reply:
        return Reply(status=201, body=b"made")

    with pytest.raises(ValueError, match="a bug"):
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            await once(tx, request_key(), fail)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        reply = await once(tx, request_key(), work)

    assert reply == Reply(201, b"made")


async def test_an_answer_with_a_secret_is_not_stored_and_not_repeated(world: World, settings: Settings):
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await claim(tx, request_key())
        await keep(tx, request_key(), Reply(200, b"hunter2", holds_secret=True))

    with pytest.raises(SecretNotReplayed):
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            await claim(tx, request_key())
    [row] = rows_as_owner(settings, "SELECT body FROM trustpack.idempotency_keys WHERE tenant_id = %s", world.tenant_id)
    assert row["body"] is None


async def test_a_key_that_was_given_back_can_be_claimed_again(world: World):
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await claim(tx, request_key())
        await forget(tx, request_key())

    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        assert await claim(tx, request_key(request_digest="sha256:2")) is None


async def sweep(world: World) -> None:
    """Run the tenant's sweep as a worker does."""
    unit_of_work = world.container.unit_of_work
    job = Job(world.tenant_id, "job_1", SWEEP_JOB, world.tenant_id, world.clock.now(), 1, "lease_1")
    await sweep_handlers(unit_of_work)[SWEEP_JOB](job)


async def claimed(world: World, key: str) -> None:
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await claim(tx, request_key(key=key))


async def test_keys_are_swept_when_they_are_old_and_not_before(world: World, settings: Settings):
    await claimed(world, "old")
    world.clock.advance(seconds=(KEPT_FOR - timedelta(minutes=1)).total_seconds())
    await claimed(world, "young")
    await sweep(world)
    before = keys_of(settings, world)

    world.clock.advance(minutes=2)
    await sweep(world)

    assert sorted(before) == ["old", "young"]
    assert keys_of(settings, world) == ["young"]


async def test_sweeping_leaves_the_keys_of_other_tenants(world: World, other_world: World, settings: Settings):
    await claimed(other_world, "k1")
    world.clock.advance(seconds=KEPT_FOR.total_seconds() + 1)

    await sweep(world)

    assert keys_of(settings, other_world) == ["k1"]


async def test_a_tenant_is_swept_again_a_day_later(world: World, settings: Settings):
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await schedule_sweep(tx)
    world.clock.advance(hours=25)

    await sweep(world)

    [row] = rows_as_owner(
        settings, "SELECT due_at FROM trustpack.jobs WHERE tenant_id = %s AND kind = %s", world.tenant_id, SWEEP_JOB
    )
    assert timedelta() < row["due_at"] - world.clock.now() <= SWEEP_EVERY


async def test_a_new_tenant_has_its_first_sweep_ahead(world: World, settings: Settings):
    rows = rows_as_owner(
        settings, "SELECT due_at FROM trustpack.jobs WHERE tenant_id = %s AND kind = %s", world.tenant_id, SWEEP_JOB
    )

    assert len(rows) == 1
