"""A hundred kills at random moments under load, and kills of one of four processes: the same invariant holds."""

from __future__ import annotations

import os
import secrets

import httpx2
import pytest

from tests.support.crash_campaign import Campaign
from tests.support.crash_load import SHORT_WINDOWS
from tests.support.estate import Estate, Process, a_server
from trustpack.platform.embedded_postgres import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SEED = int(os.environ.get("TRUSTPACK_TEST_CRASH_SEED") or secrets.randbelow(1_000_000))
AGAIN = f"repeat it with TRUSTPACK_TEST_CRASH_SEED={SEED}"


@pytest.mark.adversarial(26, 27)
async def test_after_a_hundred_kills_under_load_every_case_is_whole_and_over(estate: Estate, http: httpx2.AsyncClient) -> None:
    campaign = Campaign(estate, http, [a_server(estate, **SHORT_WINDOWS)], SEED, "one-server")

    verdict = await campaign.run(100)

    assert verdict.faults == [], AGAIN
    assert campaign.kills == 100
    assert campaign.answers["execute 200"] > 10, f"{AGAIN}: {campaign.answers}"
    assert campaign.answers["read rows"] > 5, f"{AGAIN}: {campaign.answers}"
    assert campaign.met["execute"], f"{AGAIN}: no kill met an execution: {campaign.met}"


async def test_two_web_servers_and_two_workers_lose_and_double_nothing_when_any_of_them_is_killed(
    estate: Estate, http: httpx2.AsyncClient
) -> None:
    webs = [Process(estate, ("serve", "--no-worker"), free_port(), SHORT_WINDOWS) for _ in range(2)]
    workers = [Process(estate, ("worker",), None, SHORT_WINDOWS) for _ in range(2)]
    campaign = Campaign(estate, http, [*webs, *workers], SEED, "two-servers")

    verdict = await campaign.run(20)

    assert verdict.faults == [], AGAIN
    assert campaign.kills == 20
    assert campaign.answers["execute 200"] > 5, f"{AGAIN}: {campaign.answers}"
