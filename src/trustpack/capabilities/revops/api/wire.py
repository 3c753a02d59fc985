"""The words that several wire shapes of this capability share: reasons, and how people and receipts are answered."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, StringConstraints

from trustpack.capabilities.revops.service.shapes import Text
from trustpack.platform.web.routing import Body

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
