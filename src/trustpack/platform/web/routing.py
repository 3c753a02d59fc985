"""Routes whose bodies are read strictly, and the model that every request body inherits from."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

from trustpack.platform.unit_of_work import UnitOfWork
from trustpack.platform.web import strict_json


class Body(BaseModel):
    """A request body: no unknown fields, no silent conversions (a float is not an integer, a number is not a string)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _StrictRequest(Request):
    async def json(self) -> Any:
        return strict_json.parse(await self.body())


class StrictRoute(APIRoute):
    """A route that parses JSON with `strict_json`; the way FastAPI documents for changing how a body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly


async def _store(request: Request) -> UnitOfWork:
    found: UnitOfWork = request.app.state.unit_of_work
    return found


Store = Annotated[UnitOfWork, Depends(_store)]
"""The unit of work, for a route that opens its own transaction."""
