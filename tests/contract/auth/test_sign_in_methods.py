"""What holds for every way to sign in, whatever is behind it; a new implementation is added to `SUBJECTS`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

import pytest

from tests.support.enrolling import PASSWORD, asked, quick_passwords, with_passkey, with_password
from tests.support.world import World
from trustpack.capabilities.directory.adapters.demo import DemoSignIn
from trustpack.capabilities.directory.adapters.passkey import PasskeySignIn
from trustpack.capabilities.directory.adapters.password import PasswordSignIn
from trustpack.capabilities.directory.service.context import SignIn
from trustpack.capabilities.directory.store import accounts_of
from trustpack.platform.auth.ports import Ceremony, SignInFailed, SignInMethod

HANDLE = "user-team-lead"
Answer = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Subject:
    """A method, the account that can sign in by it, how its owner answers, and answers of somebody else."""

    method: SignInMethod
    account_id: str
    answers: Callable[[Ceremony | None], Answer]
    wrong: Mapping[str, Callable[[Answer], Answer]]

    async def sign_in(self, change: Callable[[Answer], Answer] = dict, *, account_id: str | None = None) -> str:
        """Begin, answer and finish."""
        ceremony = await self.method.begin(account_id=account_id)
        return await self.method.finish(change(self.answers(ceremony)), kept=ceremony.kept if ceremony is not None else {})


async def account_of(world: World) -> str:
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        return (await accounts_of(tx, world.people[HANDLE].id))[0]


def changed(**changes: str) -> Callable[[Answer], Answer]:
    return lambda answer: {**answer, **changes}


async def by_passkey(world: World) -> Subject:
    sign_in = world.container.sign_in
    device = await with_passkey(world, sign_in, HANDLE)
    strange = await with_passkey(world, sign_in, "user-engineer")
    strange.keys[0].user_handle = device.keys[0].user_handle

    def answers(ceremony: Ceremony | None) -> Answer:
        assert ceremony is not None
        return {"credential": device.get(asked(ceremony.ask))}

    return Subject(
        PasskeySignIn(sign_in.unit_of_work, sign_in.authenticators),
        await account_of(world),
        answers,
        {
            "of nobody": changed(credential="{}"),
            "to another challenge": lambda _: {"credential": device.get({"challenge": "AAAA"})},
            "of another's key in this name": lambda _: {"credential": strange.get({"challenge": "AAAA"})},
        },
    )


async def by_password(world: World) -> Subject:
    sign_in = with_passwords(world)
    name = f"lead@{world.tenant_id}"
    await with_password(world, sign_in, HANDLE, name=name)
    assert sign_in.passwords is not None
    return Subject(
        PasswordSignIn(sign_in.unit_of_work, sign_in.passwords),
        await account_of(world),
        lambda _: {"name": f" {name.upper()} ", "password": PASSWORD},
        {
            "with another password": changed(password=PASSWORD + "!"),
            "with an empty password": changed(password=""),
            "of a name that nobody has": changed(name="nobody@nowhere"),
            "with a password without end": changed(password=PASSWORD * 100),
        },
    )


async def by_demo(world: World) -> Subject:
    sign_in = world.container.sign_in
    return Subject(
        DemoSignIn(sign_in.unit_of_work, sign_in.system_pool),
        await account_of(world),
        lambda _: {"tenant": world.tenant_id, "handle": HANDLE},
        {
            "of another tenant": changed(tenant="no-such-tenant"),
            "as nobody": changed(handle="nobody"),
        },
    )


def with_passwords(world: World) -> SignIn:
    return replace(world.container.sign_in, passwords=quick_passwords())


SUBJECTS: Mapping[str, Callable[[World], Awaitable[Subject]]] = {
    "passkey": by_passkey,
    "password": by_password,
    "demo": by_demo,
}


@pytest.fixture(params=SUBJECTS)
async def subject(request: pytest.FixtureRequest, demo_world: World) -> Subject:
    return await SUBJECTS[request.param](demo_world)


async def test_the_right_answer_proves_the_account(subject: Subject):
    assert await subject.sign_in() == subject.account_id


async def test_it_proves_it_again_next_time(subject: Subject):
    assert [await subject.sign_in() for _ in range(2)] == [subject.account_id] * 2


async def test_a_right_answer_of_somebody_who_was_asked_to_confirm_proves_the_account(subject: Subject):
    assert await subject.sign_in(account_id=subject.account_id) == subject.account_id


async def test_a_wrong_answer_is_refused_and_says_nothing_of_the_reason(subject: Subject):
    said = set()
    for change in subject.wrong.values():
        with pytest.raises(SignInFailed) as refusal:
            await subject.sign_in(change)
        said.add((refusal.value.detail, refusal.value.next_step, str(refusal.value.data)))

    assert len(said) == 1


async def test_an_empty_answer_is_refused(subject: Subject):
    with pytest.raises(SignInFailed):
        await subject.sign_in(lambda _: {})


async def test_an_answer_is_bound_to_what_was_asked(subject: Subject):
    ceremony = await subject.method.begin()
    if ceremony is None:
        return
    with pytest.raises(SignInFailed):
        await subject.method.finish(subject.answers(ceremony), kept={})


async def test_one_answer_proves_the_account_once_however_often_it_is_sent_at_once(subject: Subject):
    ceremony = await subject.method.begin()
    if ceremony is None:
        return
    answer = subject.answers(ceremony)

    results = await asyncio.gather(*(subject.method.finish(answer, kept=ceremony.kept) for _ in range(4)), return_exceptions=True)

    assert [result for result in results if isinstance(result, str)] == [subject.account_id]
    assert all(isinstance(result, str | SignInFailed) for result in results)


async def test_its_name_is_the_word_that_stands_in_paths(subject: Subject):
    assert subject.method.name in SUBJECTS
