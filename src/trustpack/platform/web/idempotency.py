"""Idempotency keys: the same POST again gets the first answer again, and the work is done once (ADR-0011).

The key's row is written in the transaction of the effect. A parallel request with the same key waits for that row and then
replays; if the first one rolls back, the second does the work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Header, Request

from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.platform import jobs
from trustpack.platform.jobs import Handler, Job
from trustpack.platform.unit_of_work import Transaction, UnitOfWork
from trustpack.proof.canonical import digest_of

KEPT_FOR = timedelta(hours=72)
SWEEP_EVERY = timedelta(days=1)
SWEEP_JOB = "idempotency.sweep"
_KEY = r"^[\x21-\x7e]{1,255}$"


class KeyReused(TrustpackError):
    """The key was used for another request before."""

    kind = ErrorKind.CONFLICT
    code = "idempotency.key_reused"
    title = "The idempotency key is taken"
    detail = "This Idempotency-Key was already used for a request with another body."
    next_step = "Use a new key for a new request; repeat a key only with exactly the same body."


class SecretNotReplayed(TrustpackError):
    """The first answer carried a secret, which is never stored and therefore never repeated."""

    kind = ErrorKind.CONFLICT
    code = "idempotency.secret_not_replayed"
    title = "The answer carried a secret"
    detail = "The first answer to this Idempotency-Key carried a secret; it was shown once and is not kept."
    next_step = "Ask again with a new key and `rotate`, which replaces the secret."


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it goes over the wire. One that `holds_secret` is never stored."""

    status: int
    body: bytes
    holds_secret: bool = False


@dataclass(frozen=True, slots=True)
class RequestKey:
    """One key of one actor for one method and path, with the digest of the body that came with it."""

    actor_id: str
    method: str
    path: str
    key: str
    request_digest: str


async def request_key(
    request: Request,
    key: Annotated[str | None, Header(alias="Idempotency-Key", description="Repeat a request safely.", pattern=_KEY)] = None,
) -> tuple[Request, str | None]:
    """FastAPI dependency: the request and its key, if it sent one; a malformed key is refused."""
    return request, key


async def key_of(keyed: tuple[Request, str | None], *, actor_id: str) -> RequestKey | None:
    """Return the full key of a request by its actor, or None if it sent none."""
    request, key = keyed
    if key is None:
        return None
    # The path is the client's text of any length, so its digest stands for it.
    path = digest_of(request.url.path.encode())
    return RequestKey(actor_id, request.method, path, key, digest_of(await request.body()))


async def once(tx: Transaction, key: RequestKey | None, work: Callable[[], Awaitable[Reply]]) -> Reply:
    """Do the work and keep its answer under the key, or return the answer that is kept already.

    Raises `KeyReused`, `SecretNotReplayed`.
    """
    if key is None:
        return await work()
    kept = await claim(tx, key)
    if kept is not None:
        return kept
    reply = await work()
    await keep(tx, key, reply)
    return reply


async def claim(tx: Transaction, key: RequestKey) -> Reply | None:
    """Claim the key for this transaction, or return the answer that is kept; one without a status is still being worked on."""
    values = _values(tx, key)
    fresh = await tx.fetch_one(
        "INSERT INTO trustpack.idempotency_keys (tenant_id, actor_id, method, path, key, request_digest, created_at)"
        " VALUES (%(tenant)s, %(actor)s, %(method)s, %(path)s, %(key)s, %(digest)s, %(now)s)"
        " ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO NOTHING RETURNING key",
        {**values, "digest": key.request_digest, "now": tx.now},
    )
    if fresh is not None:
        return None
    kept = await peek(tx, key)
    assert kept is not None  # the insert found it, and keys are deleted days later
    return kept


async def peek(tx: Transaction, key: RequestKey) -> Reply | None:
    """Return the answer that is kept under the key, or None. Raises `KeyReused`, `SecretNotReplayed`."""
    row = await tx.fetch_one(
        "SELECT request_digest, status, body, holds_secret FROM trustpack.idempotency_keys WHERE tenant_id = %(tenant)s"
        " AND actor_id = %(actor)s AND method = %(method)s AND path = %(path)s AND key = %(key)s",
        _values(tx, key),
    )
    if row is None:
        return None
    if row["request_digest"] != key.request_digest:
        raise KeyReused
    if row["holds_secret"]:
        raise SecretNotReplayed
    return Reply(status=row["status"] or 0, body=row["body"] or b"")


async def keep(tx: Transaction, key: RequestKey | None, reply: Reply) -> None:
    """Keep the answer for later repeats; of an answer with a secret, only that there was one."""
    if key is None:
        return
    await tx.write(
        "UPDATE trustpack.idempotency_keys SET status = %(status)s, body = %(body)s, holds_secret = %(secret)s"
        " WHERE tenant_id = %(tenant)s AND actor_id = %(actor)s AND method = %(method)s AND path = %(path)s AND key = %(key)s",
        {
            **_values(tx, key),
            "status": reply.status,
            "body": None if reply.holds_secret else reply.body,
            "secret": reply.holds_secret,
        },
    )


async def forget(tx: Transaction, key: RequestKey | None) -> None:
    """Give a claimed key back in the same transaction, because the work was not done."""
    if key is None:
        return
    await tx.write(
        "DELETE FROM trustpack.idempotency_keys WHERE tenant_id = %(tenant)s AND actor_id = %(actor)s AND method = %(method)s"
        " AND path = %(path)s AND key = %(key)s",
        _values(tx, key),
    )


async def schedule_sweep(tx: Transaction) -> None:
    """Ask for the tenant's old keys to be deleted once a day; called when a tenant is made."""
    await jobs.schedule(tx, kind=SWEEP_JOB, subject_id=tx.tenant_id, due_at=tx.now + SWEEP_EVERY)


def sweep_handlers(unit_of_work: UnitOfWork) -> Mapping[str, Handler]:
    """Return the handler that deletes keys older than `KEPT_FOR` and asks for the next day's sweep."""

    async def sweep(job: Job) -> None:
        async with unit_of_work.transaction(job.tenant_id) as tx:
            await tx.write(
                "DELETE FROM trustpack.idempotency_keys WHERE tenant_id = %(tenant)s AND created_at < %(before)s",
                {"tenant": tx.tenant_id, "before": tx.now - KEPT_FOR},
            )
            await schedule_sweep(tx)

    return {SWEEP_JOB: sweep}


def _values(tx: Transaction, key: RequestKey) -> dict[str, str]:
    return {"tenant": tx.tenant_id, "actor": key.actor_id, "method": key.method, "path": key.path, "key": key.key}
