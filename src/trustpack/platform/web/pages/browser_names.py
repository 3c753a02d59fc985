"""Which browser on which system, in the words of people: what browsers say of themselves all begins alike."""

from __future__ import annotations

from typing import Final

# In this order: most browsers also name those that they want to be taken for.
_BROWSERS: Final = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "CriOS/": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
_SYSTEMS: Final = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "CrOS": "ChromeOS",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}


def browser_name(client: str) -> str:
    """Return `Firefox on Windows` for what a browser says of itself; what is unknown stays as it is."""
    browser = next((name for mark, name in _BROWSERS.items() if mark in client), None)
    system = next((name for mark, name in _SYSTEMS.items() if mark in client), None)
    return f"{browser} on {system}" if browser and system else client
