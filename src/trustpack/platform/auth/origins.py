"""Refuse what another site has a browser send. Source: research/ui section 5; Fetch Metadata; OWASP's CSRF cheat sheet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from trustpack.kernel.errors import ErrorKind, TrustpackError

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class CrossSiteRequest(TrustpackError):
    """The request was not sent by a page of ours."""

    kind = ErrorKind.FORBIDDEN
    code = "auth.cross_site_request"
    title = "This did not come from our own page"
    detail = "The browser says that another site sent this, so nothing was done."
    next_step = "Open the page here, by the address that the service is known under, and try again."


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL as a browser writes an origin."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def require_same_origin(method: str, headers: Mapping[str, str], *, scheme: str, public_url: str) -> None:
    """Refuse an unsafe request unless a page of ours sent it. Raises `CrossSiteRequest`.

    `Sec-Fetch-Site` must say `same-origin`; where it says `none` or is absent (browsers before 2023), an `Origin` must be there.
    Whenever there is an `Origin`, it must be ours: the public one, or that which the request came to.
    """
    if method in SAFE_METHODS:
        return
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site not in {None, "none", "same-origin"}:
        raise CrossSiteRequest
    if origin is None:
        if site != "same-origin":
            raise CrossSiteRequest
        return
    if origin.lower() not in {origin_of(public_url), origin_of(f"{scheme}://{headers.get('host', '')}")}:
        raise CrossSiteRequest
