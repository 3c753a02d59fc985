"""A session is told by its browser and system, not by a text that begins the same everywhere."""

from __future__ import annotations

import pytest

from trustpack.platform.web.pages.browser_names import browser_name

CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("client", "name"),
    [
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME}", "Chrome on Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Edg/141.0.0.0", "Edge on Windows"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {CHROME} EdgA/141.0.0.0", "Edge on Android"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {CHROME} OPR/120.0.0.0", "Opera on Linux"),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME}", "Chrome on ChromeOS"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0", "Firefox on Linux"),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {SAFARI} Version/26.0 Safari/605.1.15", "Safari on macOS"),
        (f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) {SAFARI} CriOS/141.0 Mobile Safari/604.1", "Chrome on iPhone"),
        (f"Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) {SAFARI} FxiOS/144.0 Mobile Safari/605.1.15", "Firefox on iPad"),
        ("curl/8.14.1", "curl/8.14.1"),
        ("Chrome/ of nowhere <b>", "Chrome/ of nowhere <b>"),
        ("", ""),
    ],
)
def test_a_browser_is_named_with_its_system_and_what_is_unknown_stays(client: str, name: str):
    assert browser_name(client) == name
