"""What stands before each route of the console, read from the routes themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from trustpack.platform.auth.origins import SAFE_METHODS


def guards_of(app: FastAPI, prefix: str = "/switchboard") -> dict[tuple[str, str], set[Callable[..., Any]]]:
    """Return the dependencies, direct or not, of each method of each route below a prefix."""
    found = {}
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and (context.path or "").startswith(prefix):
            for method in context.methods or ():
                found[method, context.path or ""] = set(_calls(route.dependant))
    return found


def changing(routes: dict[tuple[str, str], set[Callable[..., Any]]]) -> dict[tuple[str, str], set[Callable[..., Any]]]:
    """Return the routes whose method may change something."""
    return {route: guards for route, guards in routes.items() if route[0] not in SAFE_METHODS}


def _calls(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    for inner in dependant.dependencies:
        if inner.call is not None:
            yield inner.call
        yield from _calls(inner)
