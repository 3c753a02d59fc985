"""Where a page leads to: its links, and what its forms for searching and filtering would ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Final
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

SEARCHED: Final = ("bulk", "zebra", "bulk-ae-3", "bulk-ae-7", "bulk-engineer-2")
"""A word that much holds, one that nothing holds, and people who have much: in the seller's team, in none, and an engineer."""
_ID: Final = re.compile(r"[a-z]{2,8}_[0-9a-f]{32}")
_OWN_OF_EACH_PAGE: Final = frozenset({"cursor", "before", "after"})
_TEXT: Final = frozenset({"search", "text"})


def addresses_on(html: str, *, at: str) -> list[str]:
    """Return the addresses of a page's links, and of each single choice in its forms, in their order."""
    reader = _Reader(at)
    reader.feed(html)
    return [address for address in dict.fromkeys(reader.found) if address.startswith("/")]


def shape_of(address: str) -> str:
    """Return what addresses have in common that differ only in which object or which further page they show."""
    parts = urlsplit(address)
    asked = sorted((name, "*" if name in _OWN_OF_EACH_PAGE else value) for name, value in parse_qsl(parts.query))
    return _ID.sub("*", f"{parts.path}?{urlencode(asked, safe='*')}")


class _Reader(HTMLParser):
    """Collects addresses; a form that reads gives one for each choice that it offers."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._at = at
        self._action: str | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._action = given.get("action", self._at) if given.get("method", "get").lower() == "get" else None
        elif tag == "a" and given.get("href"):
            self.found.append(urljoin(self._at, given["href"]).partition("#")[0])
        elif tag == "select":
            self._select = given.get("name", "")
        self.found.extend(self._asked_by(tag, given))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._action = None
        elif tag == "select":
            self._select = ""

    def _asked_by(self, tag: str, given: dict[str, str]) -> Iterator[str]:
        action = given.get("hx-get") or self._action
        if action is None:
            return
        if tag == "option" and self._select and given.get("value"):
            yield f"{urljoin(self._at, action)}?{urlencode({self._select: given['value']})}"
        elif tag == "input" and given.get("name"):
            kind = given.get("type", "text")
            texts = SEARCHED if kind in _TEXT else (given["value"],) if given.get("value") and kind != "hidden" else ()
            for text in texts:
                yield f"{urljoin(self._at, action)}?{urlencode({given['name']: text})}"
