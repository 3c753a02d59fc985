"""What holds of every answer below `/switchboard`, whatever was asked and whoever asked it."""

from __future__ import annotations

import re

import httpx2

ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
    "vary": "Cookie, HX-Request, Accept-Encoding, Sec-Fetch-Site",
}
INERT = "default-src 'none'; frame-ancestors 'none'; sandbox"
POLICY = re.compile(
    r"default-src 'none'; script-src 'self' 'nonce-(?P<nonce>[\w-]{22})'; style-src 'self'; img-src 'self' data:; "
    r"font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    r"require-trusted-types-for 'script'; trusted-types htmx"
)
_NONCE_IN_PAGE = re.compile(r'nonce="([^"]*)"')
_seen: set[str] = set()


def faults_of(answer: httpx2.Response) -> list[str]:
    """Return what is wrong with the headers of an answer, its nonce included, which no other answer may have had."""
    found = []
    for name, value in ALWAYS.items():
        values = answer.headers.get_list(name)
        if values != [value]:
            found.append(f"{name}: {values}")
    policies = answer.headers.get_list("content-security-policy")
    if not answer.headers.get("content-type", "").startswith("text/html"):
        return [*found, *([] if policies == [INERT] else [f"policy of what is no page: {policies}"])]
    match = POLICY.fullmatch(policies[0]) if len(policies) == 1 else None
    if match is None:
        return [*found, f"policy of a page: {policies}"]
    nonce = match["nonce"]
    if nonce in _seen:
        found.append("a nonce came again")
    _seen.add(nonce)
    if others := set(_NONCE_IN_PAGE.findall(answer.text)) - {nonce}:
        found.append(f"a nonce that is not the page's: {others}")
    return found
