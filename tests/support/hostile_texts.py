"""Texts that want to be more than text, in every place where somebody writes, and what a page would hold if one of them were."""

from __future__ import annotations

from typing import Any

from tests.support.page_forms import ReadPage
from tests.support.worlds import ScriptedWorld

_SUM = "210003"
_MARKUP = '<img src=x onerror="window.harmed=1"><script>window.harmed=1</script>'
_HTMX = '<b hx-get="/switchboard/find/list" hx-trigger="load" hx-target="body">b</b>'
_QUOTES = "\"' onmouseover='window.harmed=1' x=\""
_TEMPLATE = "{{70001*3}}${70001*3}{% raw %}"
_ADDRESS = "javascript:window.harmed=1//%0a</textarea></title>"
SHORT = _MARKUP + _TEMPLATE
MIXED = _MARKUP + _QUOTES + _TEMPLATE + _ADDRESS + _HTMX + "W" * 400
"""Everything at once, with one word that is longer than a phone is wide."""
TEXTS = {
    "mixed": MIXED,
    "short": SHORT,
    "address": _ADDRESS,
    "turned around": "gnp\u202eexe.txt\u2066\u200b",
    "long": "W" * 2000,
}


class LoudWorld(ScriptedWorld):
    """A tenant in which everybody writes like this."""

    async def ask(self, handle: str = "user-engineer", **changes: Any) -> dict[str, Any]:
        """Create a request whose reason is hostile."""
        return await super().ask(handle, **({"justification": MIXED, "ticket": "INC-<b>{{70001*3}}</b>"} | changes))


def alive_in(html: str) -> list[str]:
    """Return what of these texts is more than text on a page."""
    page = ReadPage(html)
    found = [f"<{tag} {given}>" for tag, given in page.elements if _is_ours(tag, given)]
    return [*found, *([_SUM] if _SUM in html else []), *(["the page ends early"] if "</html>" not in html.lower() else [])]


def _is_ours(tag: str, given: dict[str, str]) -> bool:
    return (
        (tag == "img" and given.get("src") == "x")
        or (tag == "script" and "src" not in given)
        or (tag == "b" and bool(given))
        or any(name.startswith("on") for name in given)
        or any(
            value.strip().lower().startswith("javascript:") for name, value in given.items() if name in {"href", "action", "src"}
        )
    )
