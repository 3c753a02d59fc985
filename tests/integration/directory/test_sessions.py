"""Sessions: who holds one, how long, and that every end holds from the next request on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.browsers import session_of, signed_in
from tests.support.store import rows_as_owner, run_as_app
from tests.support.stored import chain_faults
from tests.support.world import World
from trustpack.capabilities import directory
from trustpack.capabilities.directory.model import PersonStatus
from trustpack.capabilities.directory.model.sessions import NobodyInTenant, RecentSignInNeeded, Session, SessionEnd, SessionNeeded
from trustpack.capabilities.directory.rules import require_recent
from trustpack.capabilities.directory.service import set_person_status
from trustpack.capabilities.directory.service.sessions import (
    end_all_sessions,
    end_session,
    resume_session,
    sessions_of,
    sign_out_person,
)
from trustpack.capabilities.directory.service.signing_in import switch_tenant, tenants_of_account
from trustpack.kernel.actor import ActorKind, Role
from trustpack.kernel.errors import NotFound
from trustpack.platform.settings import Settings

HANDLE = "user-team-lead"


async def resume(world: World, text: str | None) -> Session:
    return await resume_session(world.container.sign_in, text)


async def is_good(world: World, text: str | None) -> bool:
    try:
        await resume(world, text)
    except SessionNeeded:
        return False
    return True


async def end(world: World, session: Session, session_id: str | None = None) -> None:
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await end_session(tx, session.actor, session_id or session.id, reason=SessionEnd.SIGNED_OUT)


def receipts_of(settings: Settings, session_id: str) -> list[tuple[str, str, str]]:
    rows = rows_as_owner(
        settings, "SELECT action, state, actor_id FROM trustpack.receipts WHERE subject_id = %s ORDER BY seq", session_id
    )
    return [(row["action"], row["state"], row["actor_id"]) for row in rows]


async def test_a_session_names_its_person_with_roles_and_tenant_as_of_now(world: World):
    session = await session_of(world, HANDLE)
    await world.change_role(HANDLE, Role.ADMIN, grant=True)

    again = await resume(world, session.text)

    assert (again.actor.id, again.actor.handle, again.actor.tenant_id) == (world.people[HANDLE].id, HANDLE, world.tenant_id)
    assert again.actor.roles == {Role.TEAM_LEAD, Role.ADMIN}
    assert (again.tenant_name, again.is_demo, again.method) == (world.tenant_id, True, "passkey")


async def test_a_session_and_its_end_are_receipts_of_its_person(world: World, settings: Settings):
    session = await session_of(world, HANDLE)

    await end(world, session)

    person = world.people[HANDLE].id
    assert receipts_of(settings, session.id) == [("signed_in", "active", person), ("ended", "ended", person)]
    assert await chain_faults(world, session.id, table="sessions") == ()


async def test_a_session_is_resumed_in_one_round_trip(world: World):
    session = await session_of(world, HANDLE)
    before = int(world.container.app_pool.get_stats()["requests_num"])

    await resume(world, session.text)

    assert int(world.container.app_pool.get_stats()["requests_num"]) == before + 1


@pytest.mark.parametrize(
    "bend",
    [
        lambda text: None,
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
        lambda text: "nobody-knows" + text[text.index("_") :],
        lambda text: text.partition("_")[0] + "_" + "a" * 43,
        lambda text: f"tp_{text}",
        lambda text: "' OR '1'='1",
    ],
)
async def test_a_text_that_is_no_session_is_none(world: World, bend: Any):
    session = await session_of(world, HANDLE)

    assert not await is_good(world, bend(session.text))


async def test_a_session_is_good_in_its_own_tenant_alone(world: World, other_world: World):
    session = await session_of(world, HANDLE)

    assert not await is_good(other_world, session.text.replace(world.tenant_id, other_world.tenant_id))


async def test_a_token_is_no_session_and_a_session_no_token(world: World):
    session = await session_of(world, HANDLE)

    assert not await is_good(world, world.tokens[HANDLE].removeprefix("tp_"))
    with pytest.raises(directory.NotSignedIn):
        await directory.authenticate(world.container.unit_of_work, f"tp_{session.text}")


async def test_a_session_that_is_left_alone_ends(world: World):
    session = await session_of(world, HANDLE)
    world.clock.advance(minutes=29)
    assert await is_good(world, session.text)
    world.clock.advance(minutes=29)
    assert await is_good(world, session.text)

    world.clock.advance(minutes=30)

    assert not await is_good(world, session.text)


async def test_a_session_ends_after_its_longest_time_however_busy(world: World):
    session = await session_of(world, HANDLE)
    for _ in range(28):
        world.clock.advance(minutes=25)
        assert await is_good(world, session.text)

    world.clock.advance(minutes=20)

    assert not await is_good(world, session.text)


async def test_last_use_is_kept_to_the_minute(world: World, settings: Settings):
    session = await session_of(world, HANDLE)

    async def seen() -> Any:
        await resume(world, session.text)
        query = "SELECT last_seen_at FROM trustpack.session_uses WHERE session_id = %s"
        return rows_as_owner(settings, query, session.id)[0]["last_seen_at"]

    first = await seen()
    world.clock.advance(seconds=40)
    assert await seen() == first
    world.clock.advance(seconds=40)
    assert await seen() > first


async def test_an_ended_session_is_dead_and_stays_so(world: World, settings: Settings):
    session = await session_of(world, HANDLE)
    await end(world, session)

    await end(world, session)

    assert not await is_good(world, session.text)
    assert len(receipts_of(settings, session.id)) == 2


async def test_a_session_of_a_deactivated_person_is_dead_until_they_are_back(world: World):
    session = await session_of(world, HANDLE)
    states = []
    for status in (PersonStatus.DEACTIVATED, PersonStatus.ACTIVE):
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            await set_person_status(tx, world.operator, handle=HANDLE, status=status)
        states.append(await is_good(world, session.text))

    assert states == [False, True]


async def test_nobody_opens_a_session_for_a_bot_or_somebody_deactivated(world: World):
    await world.add_person("ci-bot", Role.ENGINEER, kind=ActorKind.BOT)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await set_person_status(tx, world.operator, handle=HANDLE, status=PersonStatus.DEACTIVATED)

    for handle in ("ci-bot", HANDLE):
        with pytest.raises(NobodyInTenant):
            await signed_in(world, handle)
    with pytest.raises(NobodyInTenant):
        await signed_in(world, HANDLE, account_id="acc_" + "0" * 32)


async def test_one_ends_the_own_sessions_only(world: World):
    mine, theirs = await session_of(world, HANDLE), await session_of(world, "user-engineer")

    with pytest.raises(NotFound):
        await end(world, mine, theirs.id)
    with pytest.raises(NotFound):
        await end(world, mine, "ses_nothing")

    assert await is_good(world, theirs.text)


async def test_all_sessions_end_but_the_own_and_those_of_others(world: World):
    kept, *gone = [await session_of(world, HANDLE) for _ in range(3)]
    other = await session_of(world, "user-engineer")

    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        ended = await end_all_sessions(tx, kept.actor, but=kept.id)

    assert ended == 2
    assert [await is_good(world, session.text) for session in (kept, other, *gone)] == [True, True, False, False]


async def test_an_operator_ends_every_session_of_somebody(world: World, settings: Settings):
    sessions = [await session_of(world, HANDLE) for _ in range(2)]

    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        assert await sign_out_person(tx, world.operator, handle=HANDLE) == 2

    assert not any([await is_good(world, session.text) for session in sessions])
    assert receipts_of(settings, sessions[0].id)[-1] == ("ended", "ended", "system:operator")


async def test_my_sessions_are_those_that_are_open_now(world: World):
    left_alone = await session_of(world, HANDLE)
    world.clock.advance(minutes=31)
    ended, mine, _ = await session_of(world, HANDLE), await session_of(world, HANDLE), await session_of(world, "user-engineer")
    await end(world, ended)

    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        found = await sessions_of(tx, mine.actor, world.container.sign_in.limits)

    assert [session.id for session in found] == [mine.id]
    assert left_alone.id not in {session.id for session in found}
    assert (found[0].client, found[0].method) == ("Test", "passkey")


async def test_a_sign_in_is_recent_for_ten_minutes(world: World):
    session = await session_of(world, HANDLE)
    limits = world.container.sign_in.limits

    require_recent(session, now=session.authenticated_at + timedelta(minutes=10), limits=limits)
    with pytest.raises(RecentSignInNeeded):
        require_recent(session, now=session.authenticated_at + timedelta(minutes=10, seconds=1), limits=limits)


async def in_both(world: World, other_world: World) -> Session:
    """Return a session in the first tenant of somebody whose account is an engineer's in the second."""
    session = await session_of(world, HANDLE)
    async with other_world.container.unit_of_work.transaction(other_world.tenant_id) as tx:
        await directory.link_account(tx, other_world.operator, handle="user-engineer", account_id=session.actor.account_id)
    return session


async def test_an_account_finds_its_tenants_and_no_others(world: World, other_world: World):
    session = await in_both(world, other_world)

    found = await tenants_of_account(world.container.sign_in, session.actor.account_id or "")

    assert {tenant.tenant_id for tenant in found} == {world.tenant_id, other_world.tenant_id}


async def test_a_tenant_in_which_one_is_deactivated_is_not_found(world: World, other_world: World):
    session = await in_both(world, other_world)
    async with other_world.container.unit_of_work.transaction(other_world.tenant_id) as tx:
        await set_person_status(tx, other_world.operator, handle="user-engineer", status=PersonStatus.DEACTIVATED)

    found = await tenants_of_account(world.container.sign_in, session.actor.account_id or "")

    assert {tenant.tenant_id for tenant in found} == {world.tenant_id}


async def test_a_change_of_tenant_ends_the_old_session_and_makes_nothing_more_recent(world: World, other_world: World):
    session = await in_both(world, other_world)
    world.clock.advance(minutes=11)

    opened = await switch_tenant(world.container.sign_in, session, other_world.tenant_id, client="Test")

    there = await resume(other_world, opened.text)
    assert there.actor.id == other_world.people["user-engineer"].id
    assert there.actor.roles == {Role.ENGINEER}
    assert (there.authenticated_at, there.absolute_end) == (session.authenticated_at, session.absolute_end)
    assert not await is_good(world, session.text)


async def test_a_tenant_of_others_cannot_be_changed_to(world: World, other_world: World):
    session = await session_of(world, HANDLE)

    with pytest.raises(NotFound):
        await switch_tenant(world.container.sign_in, session, other_world.tenant_id, client="Test")

    assert await is_good(world, session.text)


async def test_two_who_end_a_session_at_once_leave_one_receipt(world: World, settings: Settings):
    session = await session_of(world, HANDLE)

    await asyncio.gather(*(end(world, session) for _ in range(4)))

    assert [action for action, _, _ in receipts_of(settings, session.id)] == ["signed_in", "ended"]


async def test_ending_everything_twice_at_once_ends_each_session_once(world: World, settings: Settings):
    sessions = [await session_of(world, HANDLE) for _ in range(3)]

    async def end_everything() -> int:
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            return await end_all_sessions(tx, sessions[0].actor)

    assert sum(await asyncio.gather(end_everything(), end_everything())) == 3
    assert {len(receipts_of(settings, session.id)) for session in sessions} == {2}


async def test_the_text_of_a_session_is_stored_nowhere_and_shown_by_nothing(world: World, settings: Settings):
    session = await session_of(world, HANDLE)
    secret = session.text.partition("_")[2]

    tables = rows_as_owner(
        settings, "SELECT relname FROM pg_class WHERE relnamespace = 'trustpack'::regnamespace AND relkind = 'r'"
    )
    found = [
        table["relname"]
        for table in tables
        if rows_as_owner(settings, f"SELECT FROM trustpack.{table['relname']} t WHERE t::text LIKE %s LIMIT 1", f"%{secret}%")
    ]

    assert found == []
    assert secret not in repr(session)
    assert secret not in repr(await signed_in(world, HANDLE))


async def test_a_session_cannot_be_opened_past_the_product(world: World):
    session = await session_of(world, HANDLE)

    with pytest.raises(Exception, match="has no receipt"):
        await run_as_app(
            world.container,
            world.tenant_id,
            "INSERT INTO trustpack.sessions SELECT tenant_id, 'ses_forged', 1, status, account_id, person_id, 'sha256:x', method,"
            " client, authenticated_at, created_at, absolute_end FROM trustpack.sessions WHERE id = %(id)s",
            id=session.id,
        )
    with pytest.raises(Exception, match="must raise its version"):
        await run_as_app(
            world.container,
            world.tenant_id,
            "UPDATE trustpack.sessions SET absolute_end = absolute_end + interval '1 year' WHERE id = %(id)s",
            id=session.id,
        )


async def test_other_limits_end_a_session_sooner(world: World):
    session = await session_of(world, HANDLE)
    world.clock.advance(minutes=5)
    limits = replace(world.container.sign_in.limits, idle=timedelta(minutes=4))

    with pytest.raises(SessionNeeded):
        await resume_session(replace(world.container.sign_in, limits=limits), session.text)
