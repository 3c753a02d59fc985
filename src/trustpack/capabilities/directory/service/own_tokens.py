"""A person's own API tokens: what they see of them, make, and revoke. The same rules as for tokens that an operator makes."""

from __future__ import annotations

from datetime import timedelta

from trustpack.capabilities.directory import store
from trustpack.capabilities.directory.model import IssuedToken, Token
from trustpack.capabilities.directory.rules import readable_label
from trustpack.capabilities.directory.service import issue_token, revoke_token
from trustpack.kernel.actor import Actor
from trustpack.kernel.errors import NotFound
from trustpack.platform.unit_of_work import Transaction


async def own_tokens(tx: Transaction, actor: Actor) -> tuple[Token, ...]:
    """Return the actor's tokens with their last use, newest first; never their secrets, which nobody has."""
    return await store.tokens_of(tx, actor.id)


async def create_own_token(tx: Transaction, actor: Actor, *, label: str, lifetime: timedelta) -> IssuedToken:
    """Make a token for the account that the actor signed in by; its secret is returned here only."""
    return await issue_token(
        tx,
        actor,
        handle=actor.handle,
        label=readable_label(label, default="API token"),
        lifetime=lifetime,
        account_id=actor.account_id,
    )


async def revoke_own_token(tx: Transaction, actor: Actor, token_id: str) -> None:
    """End one of the actor's tokens at once. Raises `NotFound`. Guarantee: revoking twice changes nothing."""
    if token_id not in {token.id for token in await own_tokens(tx, actor)}:
        raise NotFound
    await revoke_token(tx, actor, token_id=token_id)
