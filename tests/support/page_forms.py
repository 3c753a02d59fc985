"""A page as a program reads it: its heading, its links, and its forms, to be filled in and sent as a browser would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

from trustpack.platform.auth.csrf import FIELD as FORM_TOKEN

WRITTEN = frozenset({"text", "search", "area", "number", "email", "tel", "url", "date", "password"})
"""Kinds of fields that somebody writes into."""
_VALID = {"number": "60", "email": "kim@example.com", "date": "2027-06-30", "password": "correct horse battery staple"}


@dataclass(slots=True)
class FormField:
    """A field as the page offers it; `kind` is its type of input, "area" or "select"."""

    name: str
    kind: str
    value: str = ""
    is_required: bool = False
    is_checked: bool = False
    longest: int | None = None
    options: list[str] = field(default_factory=list)


@dataclass(slots=True)
class PageForm:
    """A form, with its buttons that have a name."""

    method: str
    action: str
    fields: list[FormField] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    @property
    def written(self) -> list[FormField]:
        """The fields that somebody writes into."""
        return [one for one in self.fields if one.kind in WRITTEN]

    def filled(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return what a browser sends, but for the form's token: what is given, else what stands there, else something fit."""
        sent = dict(self.buttons[:1])
        for one in self.fields:
            if one.kind in {"checkbox", "radio"} and not one.is_checked:
                continue
            sent[one.name] = one.value
            if one.kind == "select" and not one.value and one.is_required:
                sent[one.name] = next((option for option in one.options if option), "")
            elif one.is_required and not one.value:
                sent[one.name] = _VALID.get(one.kind, "Checked by hand")
        sent.pop(FORM_TOKEN, None)
        offered = {one.name for one in self.fields} | {name for name, _ in self.buttons}
        return sent | {name: value for name, value in given.items() if name in offered}


class ReadPage(HTMLParser):
    """What a page holds."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self.links: list[str] = []
        self.heading = ""
        self.ids: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._texts: list[str] = []
        self._heading: list[str] | None = None
        self._form: PageForm | None = None
        self._area: FormField | None = None
        self._select: FormField | None = None
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        """Everything between the tags."""
        return " ".join("".join(self._texts).split())

    def form_to(self, action: str) -> PageForm:
        """Return the form that is sent to an address."""
        found = [form for form in self.forms if form.action == action and form.method == "post"]
        assert found, f"no form leads to {action}; there are {sorted({form.action for form in self.forms})}"
        return found[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.elements.append((tag, given))
        if "id" in given:
            self.ids.append(given["id"])
        match tag:
            case "a" if "href" in given:
                self.links.append(given["href"])
            case "h1":
                self._heading = []
            case "form":
                self._form = PageForm(given.get("method", "get").lower(), given.get("action", ""))
                self.forms.append(self._form)
            case "input" | "textarea" | "select" | "button" if self._form is not None:
                self._add(tag, given)
            case "option" if self._select is not None:
                self._select.options.append(given.get("value", ""))
                if "selected" in given:
                    self._select.value = given.get("value", "")

    def _add(self, tag: str, given: Mapping[str, str]) -> None:
        assert self._form is not None
        name = given.get("name", "")
        if tag == "button":
            if name:
                self._form.buttons.append((name, given.get("value", "")))
            return
        if not name or "disabled" in given:
            return
        kind = {"textarea": "area", "select": "select"}.get(tag, given.get("type", "text"))
        longest = int(given["maxlength"]) if "maxlength" in given else None
        one = FormField(name, kind, given.get("value", ""), "required" in given, "checked" in given, longest)
        self._form.fields.append(one)
        if tag == "textarea":
            self._area = one
        elif tag == "select":
            self._select = one

    def handle_endtag(self, tag: str) -> None:
        match tag:
            case "h1" if self._heading is not None:
                self.heading = self.heading or " ".join("".join(self._heading).split())
                self._heading = None
            case "form":
                self._form = None
            case "textarea":
                self._area = None
            case "select":
                if self._select is not None and not self._select.value and self._select.options:
                    self._select.value = self._select.options[0]
                self._select = None

    def handle_data(self, data: str) -> None:
        self._texts.append(data)
        if self._heading is not None:
            self._heading.append(data)
        if self._area is not None:
            self._area.value += data
