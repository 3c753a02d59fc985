"""The golden path of a deal as the demo tells it, on a seeded tenant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO

import httpx2
import pytest
from rich.console import Console

from trustpack.app.bootstrap import Container
from trustpack.app.demo.deal_story import DealStory
from trustpack.app.demo.seed import issue_tokens, seed_past
from trustpack.app.demo.terminal import StepFailed
from trustpack.app.http import build_app


@dataclass(slots=True, kw_only=True)
class NearStory(DealStory):
    """Reaches the application in this process."""

    container: Container

    def client(self) -> httpx2.AsyncClient:
        app = build_app(self.container, with_worker=False)
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=self.base_url)


@pytest.fixture(scope="module")
async def tokens(container: Container) -> Mapping[str, str]:
    await seed_past(container, "story", name="Story", with_deals=False)
    return await issue_tokens(container, "story")


def story(container: Container, tokens: Mapping[str, str], nonce: str) -> NearStory:
    return NearStory(
        base_url="http://trustpack.test",
        tokens=tokens,
        console=Console(file=StringIO(), width=100),
        nonce=nonce,
        evidence_dir=container.settings.data_dir / "evidence",
        container=container,
    )


async def test_the_golden_path_is_told_to_its_end_as_often_as_one_likes(container: Container, tokens: Mapping[str, str]):
    first, second = story(container, tokens, "harbour-1"), story(container, tokens, "harbour-2")

    await first.tell()
    await second.tell()

    assert first.verified[-1] == "user-ae approved it alone"
    assert len(second.verified) == len(first.verified)
    assert len(list(first.evidence_dir.glob("quo_*.evidence.json"))) == 2


async def test_a_step_that_does_not_hold_ends_the_telling(container: Container, tokens: Mapping[str, str]):
    without_finance = story(container, {**tokens, "user-finance": tokens["user-engineer"]}, "harbour-3")

    with pytest.raises(StepFailed, match="instead of"):
        await without_finance.tell()

    assert "user-manager approved these terms; finance is still open" in without_finance.verified
    assert "user-finance approved; the quote is approved" not in without_finance.verified
