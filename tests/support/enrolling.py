"""People who can sign in: by a passkey in software, by a password, by the demo's click."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pwdlib.hashers.argon2 import Argon2Hasher

from tests.support.authenticator import Authenticator
from tests.support.world import World
from trustpack.capabilities.directory.service import accounts
from trustpack.capabilities.directory.service.context import SignIn
from trustpack.platform.auth.passwords import Passwords

PASSWORD = "correct horse battery staple"


def quick_passwords() -> Passwords:
    """Passwords whose hashes cost next to nothing."""
    return Passwords(Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1))


async def invited(world: World, handle: str) -> str:
    """Return the text of a new invitation."""
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        return (await accounts.invite(tx, world.operator, handle=handle)).text


async def with_passkey(
    world: World, sign_in: SignIn, handle: str, *, name: str | None = None, device: Authenticator | None = None
) -> Authenticator:
    """Let somebody accept an invitation with a new passkey, and return what holds it."""
    text, device = await invited(world, handle), device or Authenticator()
    account_id = (await accounts.read_invitation(sign_in, text)).account_id
    begun = await accounts.begin_passkey(sign_in, account_id=account_id, name=handle, display_name=handle)
    await accounts.accept_with_passkey(
        sign_in, text, answer=device.create(asked(begun.ask)), ticket=begun.ticket, label="Key", name=name, client="Test"
    )
    return device


async def with_password(world: World, sign_in: SignIn, handle: str, *, name: str, password: str = PASSWORD) -> None:
    """Let somebody accept an invitation with a password."""
    text = await invited(world, handle)
    await accounts.accept_with_password(sign_in, text, password=password, name=name, client="Test")


def asked(ask: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a browser is asked, as it arrives there."""
    return dict(json.loads(json.dumps(ask)))
