"""What the pages of the directory show: plain values, for templates that compute nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from trustpack.capabilities.directory.model import Token
from trustpack.capabilities.directory.model.sessions import DemoDoor, Invited, KeptSession, TenantOfAccount, WaysIn
from trustpack.capabilities.directory.pages.kept import Sending


@dataclass(frozen=True, slots=True)
class SignInView:
    """The ways in; `refusal` is what to say about the attempt before. `name` is what was typed."""

    methods: tuple[str, ...]
    doors: tuple[DemoDoor, ...]
    next: str
    refusal: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class ConfirmView:
    """Confirm that it is you. `kept` goes into a hidden field, with `next` and `form_token`."""

    methods: tuple[str, ...]
    tenant_id: str
    handle: str
    form_token: str
    next: str
    kept: str | None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class ResumeView:
    """What was entered before the confirmation, to be sent again by one press: it is not sent by itself."""

    path: str
    fields: Mapping[str, str]
    form_token: str
    sending: Sending


@dataclass(frozen=True, slots=True)
class InvitationView:
    """An invitation and the ways in that may be set up."""

    text: str
    invited: Invited
    password_allowed: bool
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class SessionsView:
    """My open sessions."""

    current: str
    sessions: tuple[KeptSession, ...]
    form_token: str


@dataclass(frozen=True, slots=True)
class TenantsView:
    """In which tenants I am somebody, to change between them."""

    current: str
    tenants: tuple[TenantOfAccount, ...]
    form_token: str


@dataclass(frozen=True, slots=True)
class TokensView:
    """My API tokens."""

    tokens: tuple[Token, ...]
    form_token: str
    now: datetime
    key: str


@dataclass(frozen=True, slots=True)
class TokenCreatedView:
    """A new API token, the only time that it is shown."""

    id: str
    secret: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TokenShownView:
    """An API token that its form has made and shown before."""

    id: str
    form_token: str


@dataclass(frozen=True, slots=True)
class PasskeysView:
    """How my account signs in."""

    ways_in: WaysIn
    password_allowed: bool
    form_token: str


class Present(Protocol):
    """Turns a view into a page; `page` names the template."""

    async def __call__(self, request: Request, page: str, view: object, *, status: int = 200) -> Response: ...
