"""What every story of the demo does: acts over HTTP as one of its people, and says on the terminal what it has verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
from rich.console import Console


class StepFailed(Exception):
    """A step did not do what it promised."""


@dataclass(slots=True, kw_only=True)
class Telling:
    """Walks through one case. `base_url` serves the product, `tokens` are the cast's; `verified` is what held so far."""

    base_url: str
    tokens: Mapping[str, str]
    console: Console
    verified: list[str] = field(default_factory=list)

    def client(self) -> httpx2.AsyncClient:
        """Return a client of the product."""
        return httpx2.AsyncClient(base_url=self.base_url, timeout=30)

    def sign(self, handle: str) -> dict[str, str]:
        """Return the header by which somebody is known."""
        return {"Authorization": f"Bearer {self.tokens[handle]}"}

    def headline(self, text: str) -> None:
        """Say what comes next."""
        self.console.print(f"\n[bold cyan]>[/bold cyan] [bold]{text}[/bold]")

    def check(self, holds: object, what: str) -> None:
        """Say that something holds; raise `StepFailed` if it does not."""
        if not holds:
            raise StepFailed(what)
        self.verified.append(what)
        self.console.print(f"  [green]ok[/green] {what}", highlight=False, soft_wrap=True)

    async def post(
        self, http: httpx2.AsyncClient, handle: str, path: str, body: object, *, expect: int, method: str = "POST"
    ) -> dict[str, Any]:
        """Send a command as somebody and return its answer; raise `StepFailed` if its status is not the expected one."""
        response = await http.request(method, path, json=body, headers=self.sign(handle))
        if response.status_code != expect:
            raise StepFailed(f"{method} {path} as {handle} answered {response.status_code} instead of {expect}: {response.text}")
        answer: dict[str, Any] = response.json()
        return answer
