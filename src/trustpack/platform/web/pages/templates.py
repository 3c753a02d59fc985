"""The template environment: everything is escaped, nothing undefined is shown, and each component is one macro."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from zlib import crc32

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup, escape

from trustpack.kernel.clock import format_time
from trustpack.platform.web.pages import times
from trustpack.platform.web.pages.browser_names import browser_name
from trustpack.platform.web.pages.roles import roles_in_words
from trustpack.platform.web.pages.static_files import StaticFiles

FOLDER = Path(__file__).resolve().parents[1] / "templates"
COMPONENTS = "components"
_SAME_FOR_ALL = frozenset({"avatar", "chip", "icon"})
"""Components that know nothing of the page that they stand in: the same words make the same markup, so it is kept.

`person` is none of them: equal handles may belong to people of several tenants.
"""
_MOST_KEPT = 2048


@dataclass(frozen=True, slots=True)
class Moment:
    """What components need to know of the page that they stand in, without being handed it each time."""

    now: datetime
    nonce: str
    form_token: str


_moment: ContextVar[Moment] = ContextVar("moment_of_the_page")


class Templates:
    """Renders templates of the platform and, under `<capability>/`, those of each capability."""

    def __init__(self, static_files: StaticFiles, folders: Mapping[str, Path]) -> None:
        own = FileSystemLoader(FOLDER)
        others = PrefixLoader({name: FileSystemLoader(folder) for name, folder in folders.items()})
        self._environment = Environment(
            loader=ChoiceLoader([own, others]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals.update(
            static=static_files.address,
            boost=_boost,
            nonce=lambda: _moment.get().nonce,
            form_token=lambda: _moment.get().form_token,
            now=lambda: _moment.get().now,
        )
        self._environment.filters.update(
            browser_name=browser_name,
            called=called,
            clock_time=lambda moment: times.time_of_day(moment, _moment.get().now),
            exact_date=times.exact_date,
            exact_time=times.exact_time,
            initials=_initials,
            roles_in_words=roles_in_words,
            relative_time=lambda moment: times.relative_time(moment, _moment.get().now),
            remaining_time=lambda moment: times.remaining_time(moment, _moment.get().now),
            tone=_tone,
            wire_time=format_time,
        )
        for path in sorted((FOLDER / COMPONENTS).glob("*.html")):
            self._environment.globals[path.stem] = self._component(path.stem)

    def render(self, name: str, moment: Moment, values: Mapping[str, Any]) -> str:
        """Return a page's HTML. Raises jinja2's errors, which are bugs."""
        token = _moment.set(moment)
        try:
            return self._environment.get_template(name).render(values)
        finally:
            _moment.reset(token)

    def _component(self, name: str) -> Callable[..., Markup]:
        # Looked up when it is first called, because components use each other.
        @cache
        def macro() -> Callable[..., Markup]:
            found: Callable[..., Markup] = getattr(self._environment.get_template(f"{COMPONENTS}/{name}.html").module, name)
            return found

        def call(*arguments: Any, **named: Any) -> Markup:
            return macro()(*arguments, **named)

        # By type too: what is markup already equals the same text that must still be escaped.
        return lru_cache(_MOST_KEPT, typed=True)(call) if name in _SAME_FOR_ALL else call


def _boost() -> Markup:
    # Without the nonce of the page hx-csp takes every htmx attribute away; with it a link or form swaps the page in place.
    # The link that was pressed last wins, whichever page comes first.
    return Markup(f'hx-boost="true" hx-sync="body:replace" hx-nonce="{escape(_moment.get().nonce)}"')  # noqa: S704 - escaped; every link asks for it


def called(name: str) -> str:
    """Return the name by which people know somebody, where a handle says it; else what is given as it is, markup as markup."""
    known: str = getattr(name, "display_name", name)
    return known


def _initials(name: str) -> str:
    words = [word for word in name.replace(".", " ").replace("-", " ").split() if word[0].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper() or "?"


def _tone(name: str) -> str:
    tones = ("grey", "green", "violet", "amber")
    return tones[crc32(name.encode()) % len(tones)]
