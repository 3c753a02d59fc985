"""Every change of the directory is one receipt; what changes nothing leaves none; what may not be is refused by name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.support.store import rows_as_owner
from tests.support.world import World
from trustpack.capabilities import directory
from trustpack.capabilities.directory.model import (
    AccountTaken,
    AlreadyExists,
    InvalidName,
    OwnApprovalRoleForbidden,
    PersonStatus,
    UnknownName,
)
from trustpack.capabilities.directory.service import everybody, revoke_token, set_person_status, tokens_of
from trustpack.kernel.actor import Actor, ActorKind, Role, system_actor
from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.platform.settings import Settings
from trustpack.platform.unit_of_work import Transaction

Work = Callable[[Transaction, Actor], Awaitable[Any]]
LIFETIME = timedelta(days=1)


async def do(world: World, work: Work, *, actor: Actor | None = None) -> Any:
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        return await work(tx, actor or world.operator)


def receipts_of_tenant(settings: Settings, world: World) -> list[tuple[str, str]]:
    rows = rows_as_owner(
        settings, "SELECT subject_kind, action FROM trustpack.receipts WHERE tenant_id = %s ORDER BY id", world.tenant_id
    )
    return [(row["subject_kind"], row["action"]) for row in rows]


async def add_team(tx: Transaction, actor: Actor) -> Any:
    return await directory.add_team(tx, actor, name="payments")


async def add_person(tx: Transaction, actor: Actor) -> Any:
    return await directory.add_person(tx, actor, handle="jane", display_name="Jane Doe")


async def link_account(tx: Transaction, actor: Actor) -> Any:
    return await directory.link_account(tx, actor, handle="user-engineer")


async def grant(tx: Transaction, actor: Actor) -> Any:
    return await directory.change_role(tx, actor, handle="user-engineer", role=Role.ADMIN, grant=True)


async def revoke(tx: Transaction, actor: Actor) -> Any:
    return await directory.change_role(tx, actor, handle="user-engineer", role=Role.ENGINEER, grant=False)


async def deactivate(tx: Transaction, actor: Actor) -> Any:
    return await set_person_status(tx, actor, handle="user-engineer", status=PersonStatus.DEACTIVATED)


async def issue(tx: Transaction, actor: Actor) -> Any:
    return await directory.issue_token(tx, actor, handle="user-engineer", label="ci", lifetime=LIFETIME)


async def end_token(tx: Transaction, actor: Actor) -> Any:
    [token] = await tokens_of(tx, (await directory.person_by_handle(tx, "user-engineer")).id)
    return await revoke_token(tx, actor, token_id=token.id)


CHANGES = [
    (add_team, ("team", "added")),
    (add_person, ("person", "added")),
    (link_account, ("person", "account_linked")),
    (grant, ("person", "role_granted")),
    (revoke, ("person", "role_revoked")),
    (deactivate, ("person", "deactivated")),
    (issue, ("token", "issued")),
    (end_token, ("token", "revoked")),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES, ids=lambda value: getattr(value, "__name__", None))
async def test_a_change_leaves_exactly_one_receipt(world: World, settings: Settings, change: Work, expected: tuple[str, str]):
    before = receipts_of_tenant(settings, world)

    await do(world, change)

    assert receipts_of_tenant(settings, world) == [*before, expected]


@pytest.mark.parametrize("change", [grant, revoke, deactivate, end_token], ids=lambda change: change.__name__)
async def test_doing_it_again_changes_nothing_and_leaves_no_receipt(world: World, settings: Settings, change: Work):
    await do(world, change)
    before = receipts_of_tenant(settings, world)

    await do(world, change)

    assert receipts_of_tenant(settings, world) == before


async def test_a_new_tenant_leaves_one_receipt(world: World, settings: Settings):
    assert receipts_of_tenant(settings, world).count(("tenant", "created")) == 1


async def test_joining_and_leaving_a_team_are_receipts_of_the_person_and_only_once_each(world: World, settings: Settings):
    await do(world, add_team)
    before = len(receipts_of_tenant(settings, world))

    for join in (True, True, False, False):
        await do(
            world,
            lambda tx, actor, join=join: directory.join_team(tx, actor, handle="user-engineer", team="payments", join=join),
        )

    assert receipts_of_tenant(settings, world)[before:] == [("person", "team_joined"), ("person", "team_left")]


async def test_reactivating_is_a_receipt(world: World, settings: Settings):
    await do(world, deactivate)
    await do(world, lambda tx, actor: set_person_status(tx, actor, handle="user-engineer", status=PersonStatus.ACTIVE))

    assert receipts_of_tenant(settings, world)[-1] == ("person", "reactivated")


async def test_a_receipt_names_the_actor(world: World, settings: Settings):
    await do(world, grant)

    [row] = rows_as_owner(
        settings, "SELECT actor_id FROM trustpack.receipts WHERE tenant_id = %s ORDER BY id DESC LIMIT 1", world.tenant_id
    )
    assert row["actor_id"] == "system:operator"


@pytest.mark.parametrize("role", [Role.TEAM_LEAD, Role.SECURITY_OFFICER, Role.MANAGER, Role.FINANCE])
async def test_an_admin_cannot_give_an_approval_role_to_the_own_person(world: World, settings: Settings, role: Role):
    admin = Actor(world.tenant_id, world.people["user-admin"].id, ActorKind.PERSON, "user-admin", roles=frozenset({Role.ADMIN}))
    before = receipts_of_tenant(settings, world)

    with pytest.raises(OwnApprovalRoleForbidden):
        await do(
            world, lambda tx, actor: directory.change_role(tx, actor, handle="user-admin", role=role, grant=True), actor=admin
        )

    assert receipts_of_tenant(settings, world) == before


async def test_an_account_of_another_person_of_the_tenant_is_refused(world: World):
    account = (await directory.authenticate(world.container.unit_of_work, world.tokens["user-engineer"])).account_id

    with pytest.raises(AccountTaken):
        await do(world, lambda tx, actor: directory.link_account(tx, actor, handle="user-team-lead", account_id=account))


async def test_a_new_person_cannot_bring_an_account_of_another_one(world: World):
    account = (await directory.authenticate(world.container.unit_of_work, world.tokens["user-engineer"])).account_id

    with pytest.raises(AccountTaken):
        await do(world, lambda tx, actor: directory.add_person(tx, actor, handle="jane", display_name="Jane", account_id=account))


@pytest.mark.parametrize("account_id", ["jane.doe@example.com", "", "usr_" + "0" * 32, "acc_'"])
async def test_an_account_id_that_is_none_of_ours_is_refused(world: World, account_id: str):
    # Accounts are global and hold no personal data: free text there would be both.
    with pytest.raises(TrustpackError):
        await do(
            world, lambda tx, actor: directory.add_person(tx, actor, handle="jane", display_name="Jane", account_id=account_id)
        )


async def test_a_token_for_an_account_of_somebody_else_is_refused(world: World):
    account = (await directory.authenticate(world.container.unit_of_work, world.tokens["user-team-lead"])).account_id

    with pytest.raises(UnknownName):
        await do(
            world,
            lambda tx, actor: directory.issue_token(
                tx, actor, handle="user-engineer", label="ci", lifetime=LIFETIME, account_id=account
            ),
        )


async def test_a_handle_that_is_taken_is_a_conflict(world: World):
    with pytest.raises(AlreadyExists) as caught:
        await do(world, lambda tx, actor: directory.add_person(tx, actor, handle="user-engineer", display_name="Another"))

    assert caught.value.kind == ErrorKind.CONFLICT


async def test_a_team_name_that_is_taken_is_a_conflict(world: World):
    await do(world, add_team)

    with pytest.raises(AlreadyExists):
        await do(world, add_team)


async def test_a_tenant_that_exists_is_a_conflict(world: World):
    with pytest.raises(AlreadyExists):
        await do(world, lambda tx, actor: directory.create_tenant(tx, actor, name="Again", is_demo=False))


async def test_the_same_handle_in_another_tenant_is_another_person(world: World, other_world: World):
    assert world.people["user-engineer"].id != other_world.people["user-engineer"].id


@pytest.mark.parametrize("slug", ["Acme", "a", "acme corp", "acme_corp", "a'--"])
async def test_a_tenants_slug_must_be_a_name(world: World, slug: str):
    with pytest.raises(InvalidName):
        async with world.container.unit_of_work.transaction(slug) as tx:
            await directory.create_tenant(tx, system_actor(slug, "operator"), name="Acme", is_demo=False)


@pytest.mark.parametrize(
    "work",
    [
        lambda tx, actor: directory.change_role(tx, actor, handle="nobody", role=Role.ADMIN, grant=True),
        lambda tx, actor: directory.link_account(tx, actor, handle="nobody"),
        lambda tx, actor: directory.issue_token(tx, actor, handle="nobody", label="x", lifetime=LIFETIME),
        lambda tx, actor: set_person_status(tx, actor, handle="nobody", status=PersonStatus.ACTIVE),
        lambda tx, actor: directory.join_team(tx, actor, handle="user-engineer", team="nothing"),
        lambda tx, actor: revoke_token(tx, actor, token_id="tok_nothing"),
    ],
    ids=["role", "account", "token", "status", "team", "revoke"],
)
async def test_a_name_that_nobody_has_is_not_found(world: World, work: Work):
    with pytest.raises(UnknownName):
        await do(world, work)


async def test_a_token_of_another_tenant_cannot_be_revoked(world: World, other_world: World):
    [row] = rows_as_owner(
        world.container.settings,
        "SELECT t.id FROM trustpack.tokens t JOIN trustpack.people p ON p.tenant_id = t.tenant_id AND p.id = t.person_id"
        " WHERE t.tenant_id = %s AND p.handle = 'user-ae'",
        other_world.tenant_id,
    )

    with pytest.raises(UnknownName):
        await do(world, lambda tx, actor: revoke_token(tx, actor, token_id=row["id"]))


async def test_ten_people_of_one_handle_at_once_become_one(world: World):
    results = await asyncio.gather(*(do(world, add_person) for _ in range(10)), return_exceptions=True)

    made = [result for result in results if not isinstance(result, BaseException)]
    assert len(made) == 1
    assert all(isinstance(result, AlreadyExists) for result in results if isinstance(result, BaseException))


async def test_only_active_people_are_asked_to_approve(world: World):
    await do(world, lambda tx, actor: set_person_status(tx, actor, handle="user-security", status=PersonStatus.DEACTIVATED))
    await world.add_person("security-bot", Role.SECURITY_OFFICER, kind=ActorKind.BOT)

    able = await do(world, lambda tx, _: directory.people_with_any_role(tx, [Role.SECURITY_OFFICER]))

    assert [person.handle for person in able] == ["user-lead-and-security"]


async def test_everybody_is_listed_by_handle(world: World):
    listed = [person.handle for person in await do(world, lambda tx, _: everybody(tx))]

    assert listed == sorted(world.people)


async def test_a_handle_is_its_text_and_knows_the_name_of_its_person(world: World) -> None:
    jane = await do(world, add_person)
    handles = await do(world, lambda tx, _: directory.handles_of(tx, [jane.id, world.operator.id]))

    assert handles == {jane.id: "jane"}
    assert json.dumps(handles[jane.id]) == '"jane"'
    assert getattr(handles[jane.id], "display_name", "") == "Jane Doe"
