"""The way in: everybody of a demo, each with their roles as people call them."""

from __future__ import annotations

import re

from tests.support.page_catalogue import NOBODY
from tests.support.page_stage import Stage


async def test_everybody_of_the_demo_stands_there_with_their_roles_in_words(stage: Stage):
    page = (await (await stage.browser(NOBODY)).get("/switchboard/sign-in")).text

    people = dict(re.findall(r'name="handle" value="([^"]+)">.*?<span class="hint">(.*?)</span></button>', page, re.DOTALL))
    assert people["user-ae"] == "account executive"
    assert people["user-team-lead"] == "team lead"
    assert people["user-without-role"] == ""
