"""Decisions in the store: as they were given, in their own tenant, for ever."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from tests.support.stored import decisions_about
from tests.support.world import World
from trustpack.capabilities import policy
from trustpack.kernel.errors import NotFound


async def stored_decision(world: World) -> policy.Decision:
    request = await world.ask()
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        [decision] = await policy.decisions_of(tx, request["id"])
    return decision


async def store(world: World, decision: policy.Decision) -> None:
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await policy.record_decision(tx, decision)


def new_id(world: World) -> str:
    return world.container.unit_of_work.ids.new("dec")


async def test_a_decision_is_read_back_as_it_was_made(world: World) -> None:
    made = replace(
        await stored_decision(world), id=new_id(world), reasons=(policy.Reason("role_missing", {"roles": ["engineer"]}),)
    )

    await store(world, made)

    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        assert await policy.find_decision(tx, made.id) == made


async def test_decisions_about_a_subject_come_oldest_first(world: World) -> None:
    request = await world.approved()
    await world.act("user-engineer", request["id"], "execute")

    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        decisions = await policy.decisions_of(tx, request["id"])
        ids = await policy.decision_ids_of(tx, [request["id"], "hro_unknown"])

    assert [decision.subject_version for decision in decisions] == [0, 3]
    assert ids == {request["id"]: tuple(decision.id for decision in decisions)}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trustpack.policy_decisions SET allowed = true WHERE id = %(id)s",
        "DELETE FROM trustpack.policy_decisions WHERE id = %(id)s",
        "TRUNCATE trustpack.policy_decisions CASCADE",
    ],
)
async def test_the_application_cannot_change_a_decision(world: World, statement: Any) -> None:
    decision = await stored_decision(world)

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            await tx.write(statement, {"id": decision.id})

    assert len(await decisions_about(world, decision.subject_id)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": policy.PolicyOutcome.ENGINE_UNAVAILABLE, "allowed": True},
        {"outcome": policy.PolicyOutcome.DENIED, "allowed": True},
        {"outcome": policy.PolicyOutcome.ALLOWED, "allowed": False},
        {"outcome": policy.PolicyOutcome.ALLOWED, "result": None},
        {"input": b'{"action":"execute"}'},
        {"subject_version": -1},
        {"duration_us": -1},
    ],
    ids=" ".join,
)
async def test_a_decision_that_contradicts_itself_cannot_be_stored(world: World, change: dict[str, Any]) -> None:
    decision = replace(await stored_decision(world), id=new_id(world), **change)

    with pytest.raises(psycopg.errors.CheckViolation):
        await store(world, decision)


async def test_a_decision_id_is_used_once(world: World) -> None:
    decision = await stored_decision(world)

    with pytest.raises(psycopg.errors.UniqueViolation):
        await store(world, decision)


async def test_a_decision_belongs_to_the_tenant_that_asked(world: World, other_world: World) -> None:
    decision = await stored_decision(world)

    with pytest.raises(ValueError, match="own tenant"):
        await store(other_world, replace(decision, id=new_id(world)))


async def test_another_tenants_decision_is_not_found(world: World, other_world: World) -> None:
    decision = await stored_decision(other_world)

    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        with pytest.raises(NotFound):
            await policy.find_decision(tx, decision.id)
        assert await policy.decisions_of(tx, decision.subject_id) == ()


async def test_a_failed_commit_of_what_it_allows_takes_the_decision_back(world: World) -> None:
    decision = replace(await stored_decision(world), id=new_id(world))

    async def store_and_fail() -> None:
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            await policy.record_decision(tx, decision)
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store_and_fail()

    assert len(await decisions_about(world, decision.subject_id)) == 1
