"""What axe finds on a page."""

from __future__ import annotations

from collections.abc import Mapping

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RULES_OF_COLOUR = ("color-contrast", "link-in-text-block")
EVERYTHING = {"runOnly": _TAGS, "resultTypes": ["violations"]}
STRUCTURE = {**EVERYTHING, "rules": {rule: {"enabled": False} for rule in _RULES_OF_COLOUR}}
COLOURS = {"runOnly": {"type": "rule", "values": list(_RULES_OF_COLOUR)}, "resultTypes": ["violations"]}
_SAY = """async ([within, options]) => (await axe.run(within || document, options)).violations.flatMap(violation =>
  violation.nodes.map(node => `${violation.id}: ${node.html.slice(0, 300)} ${node.failureSummary || ''}`))"""


async def faults(page: Page, within: str | None = None, *, rules: Mapping[str, object] = EVERYTHING) -> list[str]:
    """What axe says against a page, or against a part of it; a theme changes colours alone, so that `rules` may be `COLOURS`."""
    if not await page.evaluate("() => Boolean(window.axe)"):
        await page.evaluate(Axe().axe_script)
    return list(await page.evaluate(_SAY, [within, dict(rules)]))
