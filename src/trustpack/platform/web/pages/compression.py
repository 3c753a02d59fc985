"""Pages on their way out: compressed, but where somebody else may have chosen a part of them (ADR-0027)."""

from __future__ import annotations

import zlib
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

_LEVEL: Final = 5
_GZIP_FORMAT: Final = 31
_FEWEST_BYTES: Final = 1024
_OWN_WISH: Final = frozenset({"same-origin", "none"})
"""What `Sec-Fetch-Site` says where a page of ours, or the person at the browser, asked; not after another site's redirect."""


def html_answer(request: Request, html: str, *, status: int = HTTPStatus.OK) -> Response:
    """Answer with a page, compressed only where that gives nothing away.

    Whoever chooses a part of compressed pages and sees how long they are can guess the rest. So nothing is compressed that
    another site had asked for, and no answer to a form, which is where secrets are shown.
    """
    body = html.encode()
    if len(body) < _FEWEST_BYTES or not _may_be_compressed(request):
        return HTMLResponse(body, status)
    return HTMLResponse(zlib.compress(body, _LEVEL, wbits=_GZIP_FORMAT), status, headers={"content-encoding": "gzip"})


def _may_be_compressed(request: Request) -> bool:
    headers = request.headers
    is_own_wish = headers.get("sec-fetch-site", "") in _OWN_WISH
    return request.method == "GET" and is_own_wish and "gzip" in headers.get("accept-encoding", "")
