"""Tell the stories the way people do: over the API, one step after the other, on a clock that goes as the story does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import httpx2

from trustpack.app.bulk.cast import PRICES, SEAT, TARGET
from trustpack.app.bulk.plots import Ending, QuotePlot, RequestEnding, time_until_vote
from trustpack.kernel.actor import Role
from trustpack.kernel.money import format_amount

_VALID_DAYS: Final = 90
_OK: Final = (200, 201)
_LATER: Final = timedelta(minutes=20)
_NEXT_DAY: Final = timedelta(hours=20)
_ACCESS_SECONDS: Final = 3600
_TOO_LONG_SECONDS: Final = 14_400


class StoryClock:
    """Stands where the story stands; no two readings are equal, so that everything has its place in time."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment


@dataclass(frozen=True, slots=True)
class Narrator:
    """Does what the plots say, as the people whose tokens these are."""

    http: httpx2.AsyncClient
    tokens: Mapping[Role, str]
    clock: StoryClock

    async def tell_deal(self, number: str, plots: Sequence[QuotePlot]) -> tuple[str, ...]:
        """Take a lead in, write its quotes one after the other, and return the ids of everything that came to be."""
        lead = {"email": mailbox_of(number), "company": f"Company {number}", "segment": "enterprise", "employees": 1200}
        answer = await self._post(Role.AE, "/revops/leads", {**lead, "region": "emea", "source": "bulk"})
        opportunity_id = answer["opportunity"]["id"]
        quotes = [await self._tell_quote(opportunity_id, plot) for plot in plots]
        return (answer["lead"]["id"], opportunity_id, *quotes)

    async def tell_request(self, number: str, ending: RequestEnding) -> tuple[str, ...]:
        """Ask for access and return the id of the request."""
        denied = ending is RequestEnding.DENIED
        body = {
            "type": "TEMP_DB_READ_ACCESS",
            "environment": "prod",
            "target": {"database": TARGET, "scope": {"tenant": "acme"}},
            "duration_seconds": _TOO_LONG_SECONDS if denied else _ACCESS_SECONDS,
            "justification": f"Look into case {number}",
            "ticket": number,
        }
        request = await self._post(Role.ENGINEER, "/high-risk-ops/requests", body, expected=(403,) if denied else _OK)
        if denied:
            return (request["subject_id"],)
        path = f"/high-risk-ops/requests/{request['id']}"
        self.clock.moment += _LATER
        if ending is RequestEnding.CANCELLED:
            await self._post(Role.ENGINEER, f"{path}/cancel", {"reason": "No longer needed"})
        elif ending is RequestEnding.REJECTED:
            await self._post(Role.TEAM_LEAD, f"{path}/reject", {"reason": "Use the report"})
        elif ending is RequestEnding.REVERTED:
            await self._use_access(path, request["effect_digest"])
        return (request["id"],)

    async def _use_access(self, path: str, effect_digest: str) -> None:
        for role in (Role.TEAM_LEAD, Role.SECURITY_OFFICER):
            await self._post(role, f"{path}/approve", {"effect_digest": effect_digest})
        await self._post(Role.ENGINEER, f"{path}/execute", None)
        self.clock.moment += _LATER
        await self._post(Role.ENGINEER, f"{path}/revert", {"reason": "Done"})

    async def _tell_quote(self, opportunity_id: str, plot: QuotePlot) -> str:
        self.clock.moment += _LATER
        quote = await self._post(Role.AE, "/revops/quotes", {"opportunity_id": opportunity_id, **self._terms(plot)})
        path = f"/revops/quotes/{quote['id']}"
        if plot.ending is Ending.DRAFT:
            return str(quote["id"])
        await self._submit(path)
        if plot.ending is Ending.RESUBMITTED:
            self.clock.moment += time_until_vote(Role.FINANCE, plot.number, "no")
            await self._post(Role.FINANCE, f"{path}/reject", {"reason": "Too deep"})
            self.clock.moment += _LATER
            plot = replace(plot, discount_percent=f"{float(plot.discount_percent) - 1:.2f}")
            await self._patch(Role.AE, path, {"terms": self._terms(plot)})
            await self._submit(path)
        await self._end(path, plot)
        return str(quote["id"])

    async def _submit(self, path: str) -> None:
        self.clock.moment += _LATER
        await self._post(Role.AE, f"{path}/submit-for-approval", None)

    async def _end(self, path: str, plot: QuotePlot) -> None:
        if plot.ending is Ending.RECALLED:
            self.clock.moment += _LATER
            await self._post(Role.AE, f"{path}/recall", {"reason": "The customer waits"})
        elif plot.ending is Ending.REJECTED:
            self.clock.moment += time_until_vote(Role.MANAGER, plot.number, "no")
            await self._post(Role.MANAGER, f"{path}/reject", {"reason": "Use the trial"})
        elif plot.ending is not Ending.PENDING:
            for role in plot.approvers:
                self.clock.moment += time_until_vote(role, plot.number)
                await self._post(role, f"{path}/approve", {"terms_digest": (await self._get(role, path))["terms_digest"]})
            if plot.ending is not Ending.APPROVED:
                self.clock.moment += _NEXT_DAY
                await self._post(Role.AE, f"{path}/activate", None)

    def _terms(self, plot: QuotePlot) -> dict[str, Any]:
        return {
            "currency": "USD",
            "lines": [
                {
                    "sku": price.sku,
                    "description": price.description,
                    "quantity": plot.seats if price.sku == SEAT else 1,
                    "unit_price": format_amount(price.list_minor, currency=price.currency),
                    "recurring": price.recurring,
                    "discount_percent": plot.discount_percent,
                }
                for price in PRICES
            ],
            "valid_until": (self.clock.moment.date() + timedelta(days=_VALID_DAYS)).isoformat(),
        }

    async def _post(self, role: Role, path: str, body: object, *, expected: Sequence[int] = _OK) -> dict[str, Any]:
        return await self._send(role, "POST", path, body, expected=expected)

    async def _patch(self, role: Role, path: str, body: object) -> dict[str, Any]:
        return await self._send(role, "PATCH", path, body, expected=_OK)

    async def _get(self, role: Role, path: str) -> dict[str, Any]:
        return await self._send(role, "GET", path, None, expected=_OK)

    async def _send(self, role: Role, method: str, path: str, body: object, *, expected: Sequence[int]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.tokens[role]}"}
        answer = await self.http.request(method, path, json=body, headers=headers)
        if answer.status_code not in expected:
            raise StoryFailed(f"{method} {path} was answered {answer.status_code}: {answer.text}")
        return dict(answer.json())


def mailbox_of(number: str) -> str:
    """Return the mailbox of a deal's lead, by which the deal is found again."""
    return f"buyer@{number}.example"


class StoryFailed(Exception):
    """A step of a story was not answered as it should be."""
