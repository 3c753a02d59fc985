"""Read the fields of a form strictly: one encoding, nothing that cannot be stored, and the token of the session."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from trustpack.kernel.errors import InvalidInput
from trustpack.platform.auth import csrf
from trustpack.platform.auth.origins import SAFE_METHODS

FORM_TYPE: Final = "application/x-www-form-urlencoded"
MOST_FIELDS: Final = 200


def is_form(request: Request) -> bool:
    """Say whether the request's body is declared to be a form."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM_TYPE


async def read_values(request: Request) -> dict[str, list[str]]:
    """Return the values of each field of the form that the request carries; none without a body. Raises `InvalidInput`.

    The body is read once per request, however often this is called. A line ends with a single character.
    """
    body = await request.body()
    if not body:
        return {}
    if not is_form(request):
        raise InvalidInput("The body is not a form.")
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError as error:
        raise InvalidInput("The form could not be read.") from error
    if any("\x00" in text for pair in pairs for text in pair):
        raise InvalidInput("The form holds a character that cannot be stored.")
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return fields


async def read_fields(request: Request) -> dict[str, str]:
    """Return the fields of a form in which each has one value. Raises `InvalidInput`."""
    return {name: single(name, values) for name, values in (await read_values(request)).items()}


def single(name: str, values: list[str]) -> str:
    """Return the only value of a field. Raises `InvalidInput`."""
    if len(values) > 1:
        raise InvalidInput(f"The field {name[:50]!r} was sent twice.")
    return values[0]


async def require_form_token(request: Request, *, session_text: str) -> None:
    """Refuse to write for a request that no page of this session made. Raises `CsrfRefused`, `InvalidInput`."""
    if request.method in SAFE_METHODS:
        return
    token = request.headers.get(csrf.HEADER)
    if token is None and is_form(request):
        values = (await read_values(request)).get(csrf.FIELD)
        token = None if values is None else single(csrf.FIELD, values)
    csrf.require_csrf(session_text, token)
