"""What a form asks for is done once, however often it is sent: its one-time key is an idempotency key (ADR-0011)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from starlette.requests import Request

from trustpack.kernel.actor import Actor
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.idempotency import Reply, RequestKey, once, peek
from trustpack.platform.web.pages.page import Page
from trustpack.proof.canonical import digest_of_value

KEY_FIELD = "key"
_KEY_BYTES = 16


def new_key(tx: Transaction) -> str:
    """Return the one-time key of a form that is about to be shown."""
    return tx.ids.random_bytes(_KEY_BYTES).hex()


def key_of_form(page: Page, given: Mapping[str, str]) -> RequestKey:
    """Return the key that was sent with a form, bound to who sent it, where to, and everything in it."""
    return key_of_request(page.request, page.viewer.actor, given)


def key_of_request(request: Request, actor: Actor, given: Mapping[str, str]) -> RequestKey:
    """Return the key among the fields of a form, bound to who sent it, where to, and all of these fields."""
    return RequestKey(actor.id, request.method, digest_of_value(request.url.path), given[KEY_FIELD], digest_of_value(dict(given)))


async def done_before(tx: Transaction, key: RequestKey) -> str | None:
    """Return where the same form led before, if it was sent before. Raises `KeyReused`."""
    kept = await peek(tx, key)
    return kept.body.decode() if kept is not None else None


async def do_once(tx: Transaction, key: RequestKey, work: Callable[[], Awaitable[str]]) -> str:
    """Do what a form asks for and return where it leads, or return where the same form led before. Raises `KeyReused`."""

    async def reply() -> Reply:
        return Reply(status=HTTPStatus.SEE_OTHER, body=(await work()).encode())

    return (await once(tx, key, reply)).body.decode()
