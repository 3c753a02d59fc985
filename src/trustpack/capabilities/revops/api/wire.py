"""The words that several wire shapes of this capability share: texts, and how people and receipts are answered."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, StringConstraints

from trustpack.platform.web.routing import Body

_WITHOUT_CONTROLS: Final = r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*"
_TEXT_BYTES: Final = 4096


def _within_bytes(text: str) -> str:
    if len(text.encode()) > _TEXT_BYTES:
        raise ValueError(f"longer than {_TEXT_BYTES} bytes")
    return text


Text = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=_TEXT_BYTES,
        strip_whitespace=True,
        pattern=rf"^{_WITHOUT_CONTROLS}[^\s\x00-\x1f\x7f]{_WITHOUT_CONTROLS}$",
    ),
    AfterValidator(_within_bytes),
]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class ReasonBody(Body):
    """A no, with its reason."""

    reason: Text


class OptionalReasonBody(Body):
    """A reason, if there is one to give."""

    reason: Text | None = None


class PersonAnswer(BaseModel):
    """A person as others see them."""

    id: str
    handle: str | None


class ReceiptList(BaseModel):
    """Every receipt of one subject in order."""

    items: list[dict[str, Any]]
