"""While policy cannot be asked, nothing is decided about a quote: it stays what it was, and a receipt says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.deals import Deals
from tests.support.gates import behind, gate_to_a_closed_engine, running_opa
from trustpack.capabilities.policy import PolicyGate

Engines = Callable[[Deals, Path], AbstractAsyncContextManager[PolicyGate]]


@asynccontextmanager
async def closed_engine(deals: Deals, _: Path) -> AsyncIterator[PolicyGate]:
    """The engine within the process has failed."""
    yield await gate_to_a_closed_engine(deals.world.container)


@asynccontextmanager
async def stopped_opa(deals: Deals, directory: Path) -> AsyncIterator[PolicyGate]:
    """A real OPA server that has answered before is stopped."""
    async with running_opa(deals.world.container, directory) as opa:
        another = await deals.quote(discount_percent="10")
        answer = await behind(deals.world, opa.gate, "user-ae", path_of(another, "submit-for-approval"))
        assert answer.json()["required_approvals"] == ["ae"], answer.text
        await opa.stop()
        yield opa.gate


def path_of(quote: dict[str, Any], action: str) -> str:
    return f"/revops/quotes/{quote['id']}/{action}"


@pytest.mark.parametrize(
    ("engine", "reason"), [(closed_engine, "engine_crashed"), (stopped_opa, "engine_unavailable")], ids=["embedded", "opa"]
)
@pytest.mark.parametrize(("action", "state"), [("submit-for-approval", "draft"), ("activate", "approved")])
async def test_while_policy_is_down_a_quote_stays_what_it_was_and_its_receipt_says_so(
    deals: Deals, tmp_path: Path, engine: Engines, reason: str, action: str, state: str
) -> None:
    quote = await deals.in_state(state)
    async with engine(deals, tmp_path) as gate:
        refused = await behind(deals.world, gate, "user-ae", path_of(quote, action))

    assert (refused.status_code, refused.json()["code"]) == (403, "policy.denied")
    assert [reason["code"] for reason in refused.json()["reasons"]] == [reason]
    after = await deals.read(quote)
    receipt = (await deals.receipts(quote))[-1]
    assert (after["status"], after["contract"]) == (state, None)
    assert (receipt["action"], receipt["state"]) == ("refused", state)
    assert receipt["payload"]["attempted"] == action.removesuffix("-for-approval")
    assert receipt["payload"]["decision_id"] in after["decisions"]
    assert (await deals.act("user-ae", quote, action)).status_code == 200
