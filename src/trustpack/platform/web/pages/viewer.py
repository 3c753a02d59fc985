"""Who looks at a page. The one seam between the pages and sign-in: whoever signs people in supplies a `ViewerSource`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request

from trustpack.kernel.actor import Actor


@dataclass(frozen=True, slots=True)
class TenantChoice:
    """A tenant that the viewer may switch to."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """The signed-in person behind one request.

    `form_token` is bound to the session: each form carries it.
    """

    actor: Actor
    name: str
    tenant_name: str
    form_token: str
    is_demo: bool = False
    tenants: tuple[TenantChoice, ...] = ()


ViewerSource = Callable[[Request], Awaitable[Viewer]]
"""Resumes the session of a request. Raises a `TrustpackError` of kind UNAUTHENTICATED when there is none.

A request that may change something is refused unless a form of the same session made it (`auth.forms.require_form_token`).
"""
