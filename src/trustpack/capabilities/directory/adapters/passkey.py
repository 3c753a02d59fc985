"""Sign in by a passkey: no name is asked for, the authenticator knows whose key it is."""

from __future__ import annotations

from collections.abc import Mapping

from trustpack.capabilities.directory.store import accounts as store
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.auth.passkeys import Authenticators, challenge_of, new_challenge
from trustpack.platform.auth.ports import Ceremony, SignInFailed
from trustpack.platform.unit_of_work import UnitOfWork


class PasskeySignIn:
    """`answer["credential"]` is what `navigator.credentials.get` gave, as JSON."""

    name = "passkey"

    def __init__(self, unit_of_work: UnitOfWork, authenticators: Authenticators) -> None:
        self._unit_of_work = unit_of_work
        self._authenticators = authenticators

    async def begin(self, *, account_id: str | None = None) -> Ceremony:
        kept = new_challenge()
        allowed = await store.credentials_of(self._unit_of_work, account_id) if account_id is not None else ()
        return Ceremony(ask=self._authenticators.ask_for_assertion(challenge=challenge_of(kept), allowed=allowed), kept=kept)

    async def finish(self, answer: Mapping[str, str], *, kept: JsonObject) -> str:
        assertion = self._authenticators.read_assertion(answer.get("credential", ""))
        passkey = await store.passkey_by_credential(self._unit_of_work, assertion.credential_id)
        if passkey is None or assertion.user_handle not in {None, passkey.account_id.encode()}:
            raise SignInFailed
        sign_count = self._authenticators.verify_assertion(
            assertion, challenge=challenge_of(kept), public_key=passkey.public_key, sign_count=passkey.sign_count
        )
        now = self._unit_of_work.clock.now()
        if not await store.count_use(self._unit_of_work, passkey, sign_count=sign_count, now=now):
            raise SignInFailed
        return passkey.account_id
