"""Sign in by a name and a password, where the installation allows it."""

from __future__ import annotations

from collections.abc import Mapping

from trustpack.capabilities.directory.store import accounts as store
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.auth.passwords import Passwords
from trustpack.platform.auth.ports import SignInFailed
from trustpack.platform.unit_of_work import UnitOfWork


class PasswordSignIn:
    """`answer` has `name` and `password`. A name that nobody has takes as long as a wrong password."""

    name = "password"

    def __init__(self, unit_of_work: UnitOfWork, passwords: Passwords) -> None:
        self._unit_of_work = unit_of_work
        self._passwords = passwords

    async def begin(self, *, account_id: str | None = None) -> None:
        """Nothing is asked before the form is sent."""

    async def finish(self, answer: Mapping[str, str], *, kept: JsonObject) -> str:
        name = answer.get("name", "").strip().lower()
        found = await store.password_by_name(self._unit_of_work, name)
        account_id, stored = found if found is not None else (None, None)
        if not await self._passwords.is_right(answer.get("password", ""), stored=stored) or account_id is None:
            raise SignInFailed
        return account_id
