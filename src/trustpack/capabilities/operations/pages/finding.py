"""What the palette finds among high-risk requests: an id or its end, a ticket, a target, or who asked."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from trustpack.capabilities.operations.model import RequestFilter
from trustpack.capabilities.operations.pages.views import REQUESTS, row_of
from trustpack.capabilities.operations.service import reading
from trustpack.kernel.actor import Actor
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.pages import Found


async def find_requests(tx: Transaction, actor: Actor, text: str, *, most: int) -> Sequence[Found]:
    """Return the newest requests that the text may mean and that the actor may read."""
    wanted = RequestFilter(named_by=await reading.named_by(tx, text), limit=most)
    rows = [row_of(view) for view in await reading.list_rows(tx, actor, wanted)]
    return [
        Found(f"{row.type} · {row.target}", f"{row.short_id} · {row.requester} · {row.chip[1]}", "shield-check", row.path)
        for row in rows
    ]


def requests_of(handle: str) -> str:
    """Return where the list shows what somebody asked for."""
    return f"{REQUESTS}?{urlencode({'requester': handle})}"
