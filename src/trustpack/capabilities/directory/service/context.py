"""What signing in works with: the store, the ways in that this installation allows, and how long a session lasts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trustpack.capabilities.directory.model.sessions import SessionLimits
from trustpack.platform.auth.passkeys import Authenticators
from trustpack.platform.auth.passwords import Passwords
from trustpack.platform.auth.ports import SignInMethod
from trustpack.platform.unit_of_work import Pool, UnitOfWork


@dataclass(frozen=True, slots=True)
class SignIn:
    """The collaborators of every use case about sessions; `passwords` is None where none are allowed."""

    unit_of_work: UnitOfWork
    system_pool: Pool
    methods: Mapping[str, SignInMethod]
    authenticators: Authenticators
    passwords: Passwords | None
    limits: SessionLimits
    public_url: str
