"""What a kept form would send, in words, so that nobody sends what they cannot read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from starlette.requests import Request

from trustpack.platform.auth.kept_forms import NEVER_KEPT, KeptForm
from trustpack.platform.web.pages import Found
from trustpack.platform.web.pages.headers import BASE_PATH
from trustpack.platform.web.pages.once import KEY_FIELD
from trustpack.platform.web.pages.page import Site

_PROFILE: Final = f"{BASE_PATH}/profile"
_SIGNING_IN: Final = f"{_PROFILE}/passkeys"
_TOKENS: Final = f"{_PROFILE}/tokens"
_OF_MINE: Final[Mapping[str, tuple[str, str]]] = {
    _TOKENS: ("Create an API token", _TOKENS),
    _SIGNING_IN: ("Add a passkey", _SIGNING_IN),
    f"{_PROFILE}/delegations": ("Lend a role", f"{_PROFILE}/delegations"),
    f"{_PROFILE}/name": ("Save the name to sign in with", _SIGNING_IN),
    f"{_PROFILE}/password": ("Set the password", _SIGNING_IN),
    f"{_PROFILE}/password/remove": ("Remove the password", _SIGNING_IN),
}
_OF_OBJECT: Final = re.compile(rf"({BASE_PATH}/[a-z]+/([a-z]+)s/(\w+))/([a-z]+)", re.ASCII)
_DEEDS: Final = {"credentials": "Get the credentials of"}
_LABELS: Final = {"text": "What you wrote", "role": "In which role", "rotate": "Replace those shown before"}
_UNSEEN: Final = NEVER_KEPT | {KEY_FIELD, "version"}
"""Fields that are secret, or that no page shows to people."""
_DIGEST: Final = "sha256:"
_SHORT_DIGEST: Final = 12


@dataclass(frozen=True, slots=True)
class Sending:
    """What a kept form would do, the page where that can be read about, and what was entered, as names and values.

    The page is beside the list that the form was sent from.
    `object_id` is empty where the form is about no single object; `about` is that object, where it was found.
    """

    form: KeptForm
    deed: str
    page: str
    object_id: str
    entered: tuple[tuple[str, str], ...]
    about: Found | None = None


def sending_of(form: KeptForm) -> Sending:
    """Return what a kept form would send; of a form that is not known, where to."""
    entered = tuple((_label(name), _in_short(value)) for name, value in form.fields.items() if value and name not in _UNSEEN)
    path, mark, query = form.path.partition("?")
    if path in _OF_MINE:
        deed, page = _OF_MINE[path]
        return Sending(form, deed, page, "", entered)
    match = _OF_OBJECT.fullmatch(path)
    if match is None:
        return Sending(form, f"Send a form to {path}", BASE_PATH, "", entered)
    page, thing, object_id, deed = match.groups()
    said = f"{_DEEDS.get(deed, deed.capitalize())} {thing}"
    if page.startswith(f"{_PROFILE}/"):
        # What is one's own has a page for all of its kind, none of its own.
        return Sending(form, said, f"{_PROFILE}/{thing}s", object_id, entered)
    return Sending(form, said, page + mark + query, object_id, entered)


async def read_sending(request: Request, form: KeptForm) -> Sending:
    """Return what a kept form would send, about which object: as the viewer finds it by its id, if they may read it."""
    sending = sending_of(form)
    if not sending.object_id:
        return sending
    site: Site = request.app.state.site
    viewer = await site.viewer_source(request)
    found = [one for find in site.finders for one in await find(viewer, sending.object_id)]
    return replace(sending, about=next((one for one in found if one.path == sending.page.partition("?")[0]), None))


def _label(name: str) -> str:
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def _in_short(value: str) -> str:
    return value.removeprefix(_DIGEST)[:_SHORT_DIGEST] if value.startswith(_DIGEST) else value
