"""How an account signs in: invitations, names, passkeys, passwords; who may change what, and the receipt of each change."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.support.authenticator import Authenticator
from tests.support.browsers import session_of
from tests.support.enrolling import PASSWORD, asked, invited, quick_passwords, with_passkey, with_password
from tests.support.store import rows_as_owner
from tests.support.stored import chain_faults
from tests.support.world import World
from trustpack.capabilities import directory
from trustpack.capabilities.directory.model import PersonStatus, UnknownName
from trustpack.capabilities.directory.model.sessions import (
    InvalidSignInName,
    InvitationNotOpen,
    LastWayIn,
    MethodNotAllowed,
    NameTaken,
    NobodyInTenant,
    OpenedSession,
    PasskeyKnown,
    Session,
    SessionNeeded,
)
from trustpack.capabilities.directory.rules import DEFAULT_TOKEN_LIFETIME
from trustpack.capabilities.directory.service import accounts, set_person_status
from trustpack.capabilities.directory.service.context import SignIn
from trustpack.capabilities.directory.service.own_tokens import create_own_token, own_tokens, revoke_own_token
from trustpack.capabilities.directory.service.sessions import resume_session
from trustpack.capabilities.directory.service.signing_in import begin, confirm_by, sign_in_by
from trustpack.kernel.actor import ActorKind, Role
from trustpack.kernel.errors import NotFound
from trustpack.platform.auth.passwords import SHORTEST, Passwords, WeakPassword
from trustpack.platform.auth.ports import SignInFailed
from trustpack.platform.settings import Settings

HANDLE = "user-team-lead"


@pytest.fixture
def sign_in(world: World) -> SignIn:
    return replace(world.container.sign_in, passwords=quick_passwords())


def changes_of(world: World, handle: str = HANDLE) -> list[str]:
    """Return the actions of a person's receipts after the first."""
    rows = rows_as_owner(
        world.container.settings,
        "SELECT action FROM trustpack.receipts WHERE subject_id = %s AND seq > 1 ORDER BY seq",
        world.people[handle].id,
    )
    return [row["action"] for row in rows]


def count(world: World, query: str, *parameters: Any) -> int:
    return int(rows_as_owner(world.container.settings, f"SELECT count(*) AS n FROM {query}", *parameters)[0]["n"])


async def add_key(sign_in: SignIn, session: Session, device: Authenticator | None = None) -> Authenticator:
    """Give the account of a session one more passkey."""
    device = device or Authenticator()
    begun = await accounts.begin_passkey(sign_in, account_id=session.actor.account_id or "", name="n", display_name="N")
    await accounts.add_passkey(sign_in, session, answer=device.create(asked(begun.ask)), ticket=begun.ticket, label="  Phone\n2 ")
    return device


async def enter(sign_in: SignIn, device: Authenticator, **options: Any) -> OpenedSession:
    """Sign in with a passkey."""
    begun = await begin(sign_in, "passkey")
    answer = {"credential": device.get(asked(begun.ask))}
    return await sign_in_by(
        sign_in, "passkey", answer, **{"ticket": begun.ticket, "tenant_id": None, "client": "Test", **options}
    )


async def test_who_accepts_an_invitation_with_a_passkey_signs_in_with_it_from_then_on(world: World, sign_in: SignIn):
    device = await with_passkey(world, sign_in, HANDLE, name=f"Lead@{world.tenant_id}")

    session = await resume_session(sign_in, (await enter(sign_in, device)).text)

    assert (session.actor.handle, session.method) == (HANDLE, "passkey")
    assert changes_of(world) == ["sign_in_name_set", "passkey_added"]
    assert await chain_faults(world, world.people[HANDLE].id, table="people") == ()


async def test_an_invitation_tells_whom_it_is_for(world: World, sign_in: SignIn):
    found = await accounts.read_invitation(sign_in, await invited(world, HANDLE))

    assert (found.handle, found.tenant_id, found.sign_in_name) == (HANDLE, world.tenant_id, None)


async def test_an_invitation_is_used_once(world: World, sign_in: SignIn):
    text = await invited(world, HANDLE)
    await accounts.accept_with_password(sign_in, text, password=PASSWORD, name=f"once@{world.tenant_id}", client="Test")

    with pytest.raises(InvitationNotOpen):
        await accounts.read_invitation(sign_in, text)
    with pytest.raises(InvitationNotOpen):
        await accounts.accept_with_password(sign_in, text, password=PASSWORD, name=None, client="Test")


async def test_an_invitation_that_two_open_at_once_lets_one_in(world: World, sign_in: SignIn):
    text = await invited(world, HANDLE)

    results = await asyncio.gather(
        *(
            accounts.accept_with_password(sign_in, text, password=PASSWORD, name=f"n{number}@{world.tenant_id}", client="Test")
            for number in range(3)
        ),
        return_exceptions=True,
    )

    assert sorted(type(result).__name__ for result in results) == ["InvitationNotOpen", "InvitationNotOpen", "OpenedSession"]
    assert changes_of(world) == ["sign_in_name_set", "password_set"]


async def test_an_invitation_ends_after_a_day_or_with_the_next_one(world: World, sign_in: SignIn):
    first = await invited(world, HANDLE)
    second = await invited(world, HANDLE)
    with pytest.raises(InvitationNotOpen):
        await accounts.read_invitation(sign_in, first)
    await accounts.read_invitation(sign_in, second)

    world.clock.advance(hours=24)

    with pytest.raises(InvitationNotOpen):
        await accounts.read_invitation(sign_in, second)


@pytest.mark.parametrize(
    "bend", [lambda _: "", lambda text: text[:-1] + "-", lambda text: text.upper(), lambda _: "acme_" + "a" * 43]
)
async def test_an_invitation_cannot_be_guessed(world: World, sign_in: SignIn, bend: Any):
    with pytest.raises(InvitationNotOpen):
        await accounts.read_invitation(sign_in, bend(await invited(world, HANDLE)))


async def test_an_invitation_of_somebody_deactivated_meanwhile_opens_nothing(world: World, sign_in: SignIn):
    text = await invited(world, HANDLE)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await set_person_status(tx, world.operator, handle=HANDLE, status=PersonStatus.DEACTIVATED)

    with pytest.raises(InvitationNotOpen):
        await accounts.accept_with_password(sign_in, text, password=PASSWORD, name=f"gone@{world.tenant_id}", client="Test")
    with pytest.raises(UnknownName):
        await invited(world, HANDLE)


async def test_nobody_invites_a_bot(world: World):
    await world.add_person("ci-bot", Role.ENGINEER, kind=ActorKind.BOT)

    with pytest.raises(UnknownName):
        await invited(world, "ci-bot")


async def test_an_invitation_that_fails_stays_open(world: World, sign_in: SignIn):
    await with_password(world, sign_in, "user-engineer", name=f"taken@{world.tenant_id}")
    text = await invited(world, HANDLE)

    for name, error in ((f"TAKEN@{world.tenant_id}", NameTaken), ("x", InvalidSignInName), (None, InvalidSignInName)):
        with pytest.raises(error):
            await accounts.accept_with_password(sign_in, text, password=PASSWORD, name=name, client="Test")
    with pytest.raises(WeakPassword):
        await accounts.accept_with_password(
            sign_in, text, password="a" * (SHORTEST - 1), name=f"ok@{world.tenant_id}", client="Test"
        )

    assert (await accounts.read_invitation(sign_in, text)).handle == HANDLE
    assert changes_of(world) == []
    assert count(world, "trustpack.sessions WHERE person_id = %s", world.people[HANDLE].id) == 0


async def test_the_secret_of_an_invitation_is_stored_nowhere(world: World, sign_in: SignIn):
    secret = (await invited(world, HANDLE)).partition("_")[2]

    assert count(world, "trustpack.invitations t WHERE t::text LIKE %s", f"%{secret}%") == 0
    assert count(world, "trustpack.receipts t WHERE convert_from(body, 'UTF8') LIKE %s", f"%{secret}%") == 0


async def test_a_key_made_for_one_account_is_not_taken_for_another(world: World, sign_in: SignIn):
    mine, theirs = await session_of(world, HANDLE), await session_of(world, "user-engineer")
    begun = await accounts.begin_passkey(sign_in, account_id=theirs.actor.account_id or "", name="n", display_name="N")

    with pytest.raises(SignInFailed):
        await accounts.add_passkey(sign_in, mine, answer=Authenticator().create(asked(begun.ask)), ticket=begun.ticket, label="")


async def test_a_ceremony_serves_once_and_for_five_minutes(world: World, sign_in: SignIn):
    device = await with_passkey(world, sign_in, HANDLE)
    begun = await begin(sign_in, "passkey")
    answer = {"credential": device.get(asked(begun.ask))}
    await sign_in_by(sign_in, "passkey", answer, ticket=begun.ticket, tenant_id=None, client="Test")
    late = await begin(sign_in, "passkey")
    late_answer = {"credential": device.get(asked(late.ask))}
    world.clock.advance(minutes=5)

    for sent, ticket in ((answer, begun.ticket), (late_answer, late.ticket), (answer, None), (answer, "nothing")):
        with pytest.raises(SignInFailed):
            await sign_in_by(sign_in, "passkey", sent, ticket=ticket, tenant_id=None, client="Test")


async def test_ceremonies_that_nobody_finished_go_away(world: World, sign_in: SignIn):
    for _ in range(3):
        await begin(sign_in, "passkey")
    world.clock.advance(minutes=6)
    now = world.clock.now()

    for _ in range(1 + count(world, "trustpack.ceremonies") // 10):
        await begin(sign_in, "passkey")

    assert count(world, "trustpack.ceremonies WHERE expires_at < %s", now) == 0


async def test_a_known_key_is_not_added_again(world: World, sign_in: SignIn):
    session = await session_of(world, HANDLE)
    device = await add_key(sign_in, session)
    begun = await accounts.begin_passkey(sign_in, account_id=session.actor.account_id or "", name="n", display_name="N")
    answer = Authenticator().create(asked(begun.ask), again=device.keys[0])

    assert len(asked(begun.ask)["excludeCredentials"]) == 1
    with pytest.raises(PasskeyKnown):
        await accounts.add_passkey(sign_in, session, answer=answer, ticket=begun.ticket, label="")


async def test_a_removed_key_signs_nobody_in(world: World, sign_in: SignIn):
    session = await session_of(world, HANDLE)
    first, second = await add_key(sign_in, session), await add_key(sign_in, session)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        held = (await accounts.ways_in(tx, session.actor)).passkeys

    await accounts.remove_passkey(sign_in, session, held[0].id)

    assert held[0].label == "Phone 2"
    with pytest.raises(SignInFailed):
        await enter(sign_in, first)
    await enter(sign_in, second)
    assert changes_of(world) == ["passkey_added", "passkey_added", "passkey_removed"]


async def test_the_last_way_in_stays(world: World, sign_in: SignIn):
    session = await session_of(world, HANDLE)
    await add_key(sign_in, session)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        [held] = (await accounts.ways_in(tx, session.actor)).passkeys

    with pytest.raises(LastWayIn):
        await accounts.remove_passkey(sign_in, session, held.id)
    await accounts.set_password(sign_in, session, PASSWORD)
    with pytest.raises(LastWayIn):  # a password counts only where passwords do
        await accounts.remove_passkey(replace(sign_in, passwords=None), session, held.id)
    await accounts.remove_passkey(sign_in, session, held.id)
    with pytest.raises(LastWayIn):
        await accounts.remove_password(sign_in, session)


async def test_the_same_password_again_is_no_change_and_another_one_is(world: World, sign_in: SignIn):
    session = await session_of(world, HANDLE)
    await accounts.set_password(sign_in, session, PASSWORD)
    other = await session_of(world, HANDLE)

    await accounts.set_password(sign_in, session, PASSWORD)

    assert changes_of(world) == ["password_set"]
    with pytest.raises(SessionNeeded):  # whoever sets a password wants nobody else to be there
        await resume_session(sign_in, other.text, is_use=False)
    await accounts.set_password(sign_in, session, f"{PASSWORD} too")
    assert changes_of(world) == ["password_set", "password_set"]


async def test_of_equal_passwords_that_are_set_at_once_one_is_a_change(world: World, sign_in: SignIn):
    session = await session_of(world, HANDLE)

    await asyncio.gather(*(accounts.set_password(sign_in, session, PASSWORD) for _ in range(3)))

    assert changes_of(world) == ["password_set"]


async def test_two_keys_that_go_at_once_leave_one(world: World, sign_in: SignIn):
    session = await session_of(world, HANDLE)
    await add_key(sign_in, session)
    await add_key(sign_in, session)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        held = (await accounts.ways_in(tx, session.actor)).passkeys

    results = await asyncio.gather(
        *(accounts.remove_passkey(sign_in, session, passkey.id) for passkey in held), return_exceptions=True
    )

    assert sorted(type(result).__name__ for result in results) == ["LastWayIn", "NoneType"]


async def test_the_key_of_somebody_else_is_not_removed(world: World, sign_in: SignIn):
    mine, theirs = await session_of(world, HANDLE), await session_of(world, "user-engineer")
    for session in (mine, theirs):
        await add_key(sign_in, session)
        await add_key(sign_in, session)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        held = (await accounts.ways_in(tx, theirs.actor)).passkeys

    with pytest.raises(NotFound):
        await accounts.remove_passkey(sign_in, mine, held[0].id)


async def test_a_name_is_unique_over_tenants_and_can_be_erased(world: World, other_world: World, sign_in: SignIn):
    mine, theirs = await session_of(world, HANDLE), await session_of(other_world, HANDLE)
    name = f"lead@{world.tenant_id}"
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await accounts.change_name(tx, mine.actor, name)
    with pytest.raises(NameTaken):
        async with world.container.unit_of_work.transaction(other_world.tenant_id) as tx:
            await accounts.change_name(tx, theirs.actor, f" {name.upper()}")

    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await accounts.change_name(tx, mine.actor, None)

    assert count(world, "trustpack.account_names WHERE name = %s", name) == 0
    assert count(world, "trustpack.receipts WHERE convert_from(body, 'UTF8') LIKE %s", f"%{name}%") == 0
    assert changes_of(world) == ["sign_in_name_set", "sign_in_name_removed"]


async def test_without_the_setting_there_is_no_password(world: World):
    session = await session_of(world, HANDLE)

    with pytest.raises(MethodNotAllowed):
        await accounts.set_password(world.container.sign_in, session, PASSWORD)
    with pytest.raises(MethodNotAllowed):
        await begin(world.container.sign_in, "password")
    assert set(world.container.sign_in.methods) == {"passkey"}


async def test_an_unknown_name_costs_as_much_work_as_a_wrong_password():
    checked: list[str] = []

    class Noting:
        def __init__(self) -> None:
            self._inner = quick_passwords()._hash.current_hasher

        def hash(self, password: Any, *, salt: Any = None) -> str:
            return self._inner.hash(password, salt=salt)

        def verify(self, password: Any, hash: Any) -> bool:  # noqa: A002 - the name is the package's
            checked.append(str(hash))
            return self._inner.verify(password, hash)

        def check_needs_rehash(self, hash: Any) -> bool:  # noqa: A002
            return False

        @classmethod
        def identify(cls, hash: Any) -> bool:  # noqa: A002
            return True

    passwords = Passwords(Noting())

    assert not await passwords.is_right("whatever it is", stored=None)
    assert not await passwords.is_right("the password of nobody", stored=None)
    assert not await passwords.is_right("whatever it is", stored=await passwords.hash(PASSWORD))
    assert await passwords.is_right(PASSWORD, stored=await passwords.hash(PASSWORD))
    assert [text.split("$")[3] for text in checked] == [checked[0].split("$")[3]] * 4


async def test_one_typed_differently_is_one_password():
    passwords = quick_passwords()

    stored = await passwords.hash("Gru\u0308\u00dfe aus dem Keller")

    assert await passwords.is_right("Gr\u00fc\u00dfe aus dem Keller", stored=stored)


async def test_a_confirmation_replaces_the_session_by_one_that_is_recent_and_ends_as_late(world: World, sign_in: SignIn):
    device = await with_passkey(world, sign_in, HANDLE)
    session = await session_of(world, HANDLE)
    world.clock.advance(minutes=20)
    begun = await begin(sign_in, "passkey", account_id=session.actor.account_id)

    opened = await confirm_by(
        sign_in, session, "passkey", {"credential": device.get(asked(begun.ask))}, ticket=begun.ticket, client="Test"
    )

    confirmed = await resume_session(sign_in, opened.text)
    assert confirmed.authenticated_at > session.authenticated_at
    assert confirmed.absolute_end == session.absolute_end
    with pytest.raises(SessionNeeded):
        await resume_session(sign_in, session.text)


async def test_nobody_confirms_for_somebody_else(world: World, sign_in: SignIn):
    other = await with_passkey(world, sign_in, "user-engineer")
    session = await session_of(world, HANDLE)
    own = await begin(sign_in, "passkey", account_id=session.actor.account_id)
    anybodys = await begin(sign_in, "passkey")

    for begun in (own, anybodys):
        with pytest.raises(SignInFailed):
            await confirm_by(
                sign_in, session, "passkey", {"credential": other.get(asked(begun.ask))}, ticket=begun.ticket, client="Test"
            )
    assert (await resume_session(sign_in, session.text)).id == session.id


async def test_a_session_that_ended_meanwhile_cannot_be_confirmed(world: World, sign_in: SignIn):
    device = await with_passkey(world, sign_in, HANDLE)
    session = await session_of(world, HANDLE)

    async def confirm() -> OpenedSession:
        begun = await begin(sign_in, "passkey", account_id=session.actor.account_id)
        answer = {"credential": device.get(asked(begun.ask))}
        return await confirm_by(sign_in, session, "passkey", answer, ticket=begun.ticket, client="Test")

    await confirm()
    with pytest.raises(SessionNeeded):
        await confirm()


async def test_a_sign_in_replaces_the_session_that_the_browser_holds(world: World, sign_in: SignIn):
    device = await with_passkey(world, sign_in, HANDLE)
    held = await session_of(world, "user-engineer")

    await enter(sign_in, device, replaces=held.text)

    with pytest.raises(SessionNeeded):
        await resume_session(sign_in, held.text)


async def test_a_tenant_that_is_not_ones_own_cannot_be_signed_in_to(world: World, other_world: World, sign_in: SignIn):
    device = await with_passkey(world, sign_in, HANDLE)

    with pytest.raises(NobodyInTenant):
        await enter(sign_in, device, tenant_id=other_world.tenant_id)


async def test_own_tokens_are_made_shown_once_and_revoked(world: World):
    session = await session_of(world, HANDLE)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        issued = await create_own_token(tx, session.actor, label=" my\nlaptop ", lifetime=DEFAULT_TOKEN_LIFETIME)
    await directory.authenticate(world.container.unit_of_work, issued.secret)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        listed = {token.id: token for token in await own_tokens(tx, session.actor)}
        await revoke_own_token(tx, session.actor, issued.id)

    assert listed[issued.id].label == "my laptop"
    assert listed[issued.id].account_id == session.actor.account_id
    assert listed[issued.id].last_used_at is not None
    assert {token.person_id for token in listed.values()} == {session.actor.id}
    with pytest.raises(directory.NotSignedIn):
        await directory.authenticate(world.container.unit_of_work, issued.secret)


async def test_the_token_of_somebody_else_is_not_revoked(world: World, settings: Settings):
    session = await session_of(world, HANDLE)
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        [theirs] = await own_tokens(tx, (await session_of(world, "user-ae")).actor)

    with pytest.raises(NotFound):
        async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
            await revoke_own_token(tx, session.actor, theirs.id)

    assert rows_as_owner(settings, "SELECT status FROM trustpack.tokens WHERE id = %s", theirs.id) == [{"status": "active"}]
