"""The headers of every answer below `/switchboard`. Source: research/ui section 5."""

from __future__ import annotations

BASE_PATH = "/switchboard"
STATIC_PATH = f"{BASE_PATH}/static"

_FOR_EVERY_ANSWER = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_INERT = "default-src 'none'; frame-ancestors 'none'; sandbox"
_FOREVER = "public, max-age=31536000, immutable"


def content_security_policy(nonce: str) -> str:
    """Return the policy of a page: own files alone, scripts by nonce, and no way for text to become markup but htmx's."""
    return (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types htmx"
    )


def headers_of(content_type: str, *, nonce: str, is_static: bool) -> dict[str, str]:
    """Return the headers of an answer by what it holds; a static file keeps for ever, anything else is never kept."""
    policy = content_security_policy(nonce) if content_type.startswith("text/html") else _INERT
    caching = (
        {"cache-control": _FOREVER, "vary": "Accept-Encoding"}
        if is_static
        else {"cache-control": "no-store", "vary": "Cookie, HX-Request, Accept-Encoding, Sec-Fetch-Site"}
    )
    return {**_FOR_EVERY_ANSWER, **caching, "content-security-policy": policy}
