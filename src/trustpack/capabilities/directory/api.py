"""Turn a bearer token into an actor: the dependency that every route begins with."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from trustpack.capabilities.directory.model import NotSignedIn
from trustpack.capabilities.directory.service import authenticate
from trustpack.kernel.actor import Actor
from trustpack.platform.unit_of_work import UnitOfWork

_bearer = HTTPBearer(auto_error=False, description="`tp_<tenant>_<secret>`, made by `trustpack token create`.")


async def current_actor(request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Actor:
    """Return who sent the request. Raises `NotSignedIn`."""
    if credentials is None:
        raise NotSignedIn
    unit_of_work: UnitOfWork = request.app.state.unit_of_work
    actor = await authenticate(unit_of_work, credentials.credentials)
    request.scope["trustpack.actor"] = actor
    return actor


SignedIn = Annotated[Actor, Depends(current_actor)]
