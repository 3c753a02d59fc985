"""The eight kinds of named errors that a user may meet, and the one base class they share.

Source: design/house-style "Errors". Anything that is not one of these is a bug and becomes a 500.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar


class ErrorKind(StrEnum):
    """What a caller can do about an error; each kind maps to one HTTP status and one exit code."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    LIMITED = "limited"
    TOO_LARGE = "too_large"
    UNAVAILABLE = "unavailable"


class TrustpackError(Exception):
    """A fault that the user can understand and act on.

    Subclasses fix `kind`, `code`, `title`, `detail` and `next_step`; an instance may replace the last two and add typed
    `data` (JSON values, never secrets) that the presenters show as extra members.
    """

    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    code: ClassVar[str] = "invalid"
    title: ClassVar[str] = "The request cannot be carried out"
    detail: str = "The request cannot be carried out."
    next_step: str = "Correct the request and send it again."

    def __init__(self, detail: str | None = None, *, next_step: str | None = None, **data: Any) -> None:
        if detail is not None:
            self.detail = detail
        if next_step is not None:
            self.next_step = next_step
        self.data: Mapping[str, Any] = data
        super().__init__(self.detail)


class InvalidInput(TrustpackError):
    """The input does not have the promised form; `errors` lists `{"field", "message"}`."""

    kind = ErrorKind.INVALID
    code = "request.invalid"
    title = "The input is not valid"
    detail = "Some fields are missing or have the wrong form."
    next_step = "Correct the named fields and send the request again."


class NotFound(TrustpackError):
    """The object does not exist for this caller: unknown, another tenant's, or not theirs to read."""

    kind = ErrorKind.NOT_FOUND
    code = "not_found"
    title = "Not found"
    detail = "There is no such object."
    next_step = "Check the id, and that you are signed in to the right tenant."


@dataclass(frozen=True, slots=True)
class Refused:
    """An attempt that was refused and whose receipt must be committed; the caller answers with `error` afterwards."""

    error: TrustpackError
