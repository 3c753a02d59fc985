"""What works without scripts: every link and every filter of every page is an address of its own, and leads somewhere."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

import pytest

from tests.support.page_catalogue import LOOKS
from tests.support.page_forms import PageForm, ReadPage
from tests.support.page_stage import Stage

BROWSER = {"Accept": "text/html"}
BY_VIEWER = sorted({look.by for look in LOOKS})
WITHOUT_A_PAGE = ("#", "/switchboard/static/")


def addresses_of(page: ReadPage) -> set[str]:
    """Return where a page leads: by its links, and by each choice of each of its filters."""
    found = {link for link in page.links if not link.startswith(WITHOUT_A_PAGE)}
    for form in page.forms:
        if form.method == "get":
            found |= {f"{form.action}?{urlencode(query)}" for query in queries_of(form)}
    return found


def queries_of(form: PageForm) -> list[dict[str, str]]:
    """Return what a filter can be set to: as it stands, and with each option of each choice."""
    stands = form.filled({})
    choices = [{**stands, field.name: option} for field in form.fields for option in field.options]
    return [stands, *choices]


@pytest.mark.parametrize("by", BY_VIEWER)
async def test_every_link_and_every_filter_leads_to_a_page(stage: Stage, by: str):
    browser = await stage.browser(by)
    seen, waiting, broken = set(), [], {}
    for look in LOOKS:
        if look.by == by:
            path = stage.named(look.url, await stage.kept(look.about, look.state))
            waiting.append((path, "the catalogue"))

    while waiting:
        path, found_on = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = await browser.get(path, **BROWSER)
        if answer.status_code not in {200, 303}:
            broken[path] = found_on, int(answer.status_code)
        elif found_on == "the catalogue":
            addresses = addresses_of(ReadPage(answer.text))
            assert {address for address in addresses if urlsplit(address).netloc} == set()
            waiting += [(address, path) for address in addresses]

    assert broken == {}


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look.url} {look.state} {look.by}")
async def test_a_page_has_one_heading_and_no_id_twice(stage: Stage, look: object):
    browser = await stage.browser(look.by)
    answer = await browser.get(stage.named(look.url, await stage.kept(look.about, look.state)), **BROWSER)
    if answer.status_code == 303:
        return
    page = ReadPage(answer.text)

    assert [tag for tag, _ in page.elements].count("h1") == 1
    assert page.heading
    assert sorted({one for one in page.ids if page.ids.count(one) > 1}) == []
