"""ASGI middleware around every page: a nonce, the headers, our own name, no writing for other sites, and errors as pages."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trustpack.kernel.errors import TrustpackError
from trustpack.kernel.ids import IdSource
from trustpack.platform.auth.hosts import UntrustedHost, require_trusted_host
from trustpack.platform.auth.origins import require_same_origin
from trustpack.platform.auth.redirects import SIGN_IN, sign_in_location
from trustpack.platform.web.pages.headers import BASE_PATH, STATIC_PATH, headers_of
from trustpack.platform.web.pages.page import Site
from trustpack.platform.web.pages.viewer import Viewer
from trustpack.platform.web.problems import PROBLEM_TYPE, TRANSIENT, problem_body

_NONCE_BYTES = 16
_WITHOUT_HANDLER = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})


class PageFrame:
    """Stands outside of everything else, so that no answer below `/switchboard` lacks its headers or is bare JSON."""

    def __init__(self, app: ASGIApp, *, site: Site, ids: IdSource) -> None:
        self._app = app
        self._site = site
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_page_path(scope["path"]):
            await self._app(scope, receive, send)
            return
        # URL-safe, because htmx finds it again in texts.
        nonce = base64.urlsafe_b64encode(self._ids.random_bytes(_NONCE_BYTES)).decode().rstrip("=")
        scope["trustpack.nonce"] = nonce
        answer = _Answer(self._site, Request(scope), send)
        try:
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            require_trusted_host(hosts[0].decode("latin-1") if len(hosts) == 1 else "", self._site.trusted_hosts)
        except UntrustedHost as error:
            await answer.refuse(error, status=HTTPStatus.BAD_REQUEST)
            return
        try:
            require_same_origin(scope["method"], Headers(scope=scope), scheme=scope["scheme"], public_url=self._site.public_url)
        except TrustpackError as error:
            await answer.refuse(error)
        else:
            await self._app(scope, receive, answer.send)


class _Answer:
    """One answer on its way out: dressed with headers, and held back when it is a problem, to become a page."""

    def __init__(self, site: Site, request: Request, send: Send) -> None:
        self._site = site
        self._request = request
        self._send = send
        self._problem_start: Message | None = None
        self._problem = b""

    async def refuse(self, error: TrustpackError, *, status: int | None = None) -> None:
        status, body = problem_body(error, request_id="", status=status)
        headers = [(b"content-type", PROBLEM_TYPE.encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if MutableHeaders(scope=message).get("content-type", "").startswith(PROBLEM_TYPE):
                self._problem_start = message
                return
            await self._send(self._dressed(message))
        elif self._problem_start is not None:
            self._problem += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_problem(self._problem_start, json.loads(self._problem))
        else:
            await self._send(message)

    async def _send_problem(self, start: Message, problem: dict[str, Any]) -> None:
        headers = MutableHeaders(scope=start)
        sign_in_path = _sign_in_path(self._request)
        if problem["status"] == HTTPStatus.UNAUTHORIZED:
            if "hx-request" in self._request.headers:
                headers["hx-redirect"] = sign_in_path
            elif self._request.method == "GET" and "text/html" in self._request.headers.get("accept", ""):
                start["status"] = HTTPStatus.SEE_OTHER
                headers["location"] = sign_in_path
        viewer = await self._viewer(problem["status"])
        body = self._site.html(
            "error.html", request=self._request, viewer=viewer, counts={}, problem=problem, sign_in_path=sign_in_path
        ).encode()
        del headers["www-authenticate"]
        headers["content-type"] = "text/html; charset=utf-8"
        headers["content-length"] = str(len(body))
        await self._send(self._dressed(start))
        await self._send({"type": "http.response.body", "body": b"" if self._request.method == "HEAD" else body})

    async def _viewer(self, status: int) -> Viewer | None:
        # Where no route was found, no handler has asked who looks; a file that is missing is nobody's page. A handler that asked
        # for the session alone knows who acts, but not yet how their frame is filled.
        request = self._request
        viewer: Viewer | None = request.scope.get("trustpack.viewer")
        is_unasked = status in _WITHOUT_HANDLER and request.method == "GET" and not request.url.path.startswith(STATIC_PATH + "/")
        if viewer is not None or not (is_unasked or "trustpack.actor" in request.scope):
            return viewer
        try:
            return await self._site.viewer_source(request)
        except (TrustpackError, *TRANSIENT):
            return None

    def _dressed(self, start: Message) -> Message:
        headers = MutableHeaders(scope=start)
        is_static = start["status"] == HTTPStatus.OK and self._request.url.path.startswith(STATIC_PATH + "/")
        nonce = self._request.scope["trustpack.nonce"]
        for name, value in headers_of(headers.get("content-type", ""), nonce=nonce, is_static=is_static).items():
            del headers[name]
            headers[name] = value
        return start


def _sign_in_path(request: Request) -> str:
    if request.method != "GET":
        return SIGN_IN
    query = f"?{request.url.query}" if request.url.query else ""
    return sign_in_location(request.url.path + query)


def is_page_path(path: str) -> bool:
    """Say whether a path belongs to the pages and not to the API."""
    return path == BASE_PATH or path.startswith(BASE_PATH + "/")
