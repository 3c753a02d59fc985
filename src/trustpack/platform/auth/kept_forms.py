"""The content of a form on its way through a page that asks to sign in again: nothing typed is lost, nothing is done by itself.

It travels in the page itself, sealed with the session's secret, so that only what the same session sent comes back.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trustpack.kernel.errors import InvalidInput
from trustpack.platform.auth.csrf import FIELD
from trustpack.platform.auth.redirects import local_path

NEVER_KEPT: Final = frozenset({FIELD, "password", "credential"})
"""The old token would be refused, and a secret is typed again."""
_DOMAIN: Final = b"trustpack/kept-form/v1\n"


@dataclass(frozen=True, slots=True)
class KeptForm:
    """A form that was sent too late: the address that it was sent to and what was in it, without token and secrets."""

    path: str
    fields: Mapping[str, str]


def seal(form: KeptForm, *, session_text: str) -> str:
    """Return the form as one text for a hidden field."""
    fields = {name: value for name, value in form.fields.items() if name not in NEVER_KEPT}
    content = json.dumps([form.path, fields], ensure_ascii=True).encode()
    return base64.urlsafe_b64encode(_mac(content, session_text) + content).decode()


def unseal(text: str, *, session_text: str) -> KeptForm:
    """Return a form that this session sealed. Raises `InvalidInput`."""
    refusal = InvalidInput("What you had entered could not be kept; enter it again.")
    try:
        whole = base64.urlsafe_b64decode(text.encode("ascii"))
    except ValueError as error:
        raise refusal from error
    mac, content = whole[:32], whole[32:]
    if not hmac.compare_digest(mac, _mac(content, session_text)):
        raise refusal
    path, fields = json.loads(content)
    return KeptForm(path=local_path(path), fields=fields)


def _mac(content: bytes, session_text: str) -> bytes:
    return hmac.new(session_text.encode(), _DOMAIN + content, "sha256").digest()
