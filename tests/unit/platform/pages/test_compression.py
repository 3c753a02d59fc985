"""Pages are compressed where nobody else can have asked for them, and secrets never."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.support.console import build_console

PAGE = "/switchboard/components"
OWN = {"sec-fetch-site": "same-origin", "accept-encoding": "gzip, deflate, br"}
FORM = {**OWN, "content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def browser() -> AsyncIterator[httpx2.AsyncClient]:
    """A client that says what each test says."""
    transport = httpx2.ASGITransport(app=build_console(), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://trustpack.test") as client:
        yield client


def tokens_in(page: httpx2.Response) -> set[str]:
    return set(re.findall(r'name="form_token" value="([^"]+)"', page.text))


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_a_page_that_its_reader_asked_for_is_compressed(browser: httpx2.AsyncClient, site: str):
    packed = await browser.get(PAGE, headers={**OWN, "sec-fetch-site": site})

    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["content-type"] == "text/html; charset=utf-8"
    assert {"Accept-Encoding", "Sec-Fetch-Site"} <= set(packed.headers["vary"].split(", "))
    assert int(packed.headers["content-length"]) < len(packed.content) / 2
    assert packed.text.rstrip().endswith("</html>")


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": ""},
        {"sec-fetch-site": "none, cross-site"},
        {"accept-encoding": "identity"},
        {"accept-encoding": "br"},
    ],
    ids=str,
)
async def test_a_page_that_somebody_else_may_have_asked_for_is_not(browser: httpx2.AsyncClient, headers: dict[str, str]):
    plain = await browser.get(PAGE, headers={**OWN, **headers})

    assert plain.status_code == 200
    assert "content-encoding" not in plain.headers
    assert int(plain.headers["content-length"]) == len(plain.content)


async def test_a_browser_that_does_not_say_who_asked_gets_a_plain_page(browser: httpx2.AsyncClient):
    plain = await browser.get(PAGE, headers={"accept-encoding": "gzip"})

    assert "content-encoding" not in plain.headers


async def test_an_answer_to_a_form_is_not_compressed(browser: httpx2.AsyncClient):
    [token] = tokens_in(await browser.get(PAGE, headers=OWN))
    answer = await browser.post(PAGE, headers=FORM, content=f"form_token={token}&amount=none&text=x")

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "content-encoding" not in answer.headers


async def test_a_small_part_is_not_compressed(browser: httpx2.AsyncClient):
    part = await browser.get("/switchboard/find/list?q=", headers=OWN)

    assert part.status_code == 200
    assert "content-encoding" not in part.headers


async def test_no_two_answers_hold_the_same_token_and_the_form_of_each_is_taken(browser: httpx2.AsyncClient):
    pages = [await browser.get(PAGE, headers=OWN) for _ in range(2)]
    [first], [second] = map(tokens_in, pages)
    answers = [
        await browser.post(PAGE, headers=FORM, content=f"form_token={token}&text=x") for token in (first, second, second, first)
    ]

    assert first != second
    assert [answer.status_code for answer in answers] == [303] * 4
