"""What each receipt of a quote says, in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from trustpack.capabilities.policy import listed
from trustpack.capabilities.revops.model import QuoteStatus
from trustpack.capabilities.revops.pages.views import CHIPS, short
from trustpack.kernel.money import format_amount
from trustpack.platform.web.pages.numbers import grouped

MARKS: Final = {
    "created": ("file-text", "grey"),
    "revised": ("pencil", "amber"),
    "retitled": ("pencil", "grey"),
    "previewed": ("eye", "grey"),
    "submitted": ("send", "grey"),
    "approved": ("check", "green"),
    "rejected": ("x", "red"),
    "recalled": ("undo-2", "grey"),
    "expired": ("minus", "grey"),
    "refused": ("x", "red"),
    "activated": ("file-check", "green"),
}
Payload = Mapping[str, Any]


def told(body: Mapping[str, Any], opened: Mapping[str, Any]) -> str:
    """Return what a receipt says beyond its action; empty where that is all."""
    tell = _SENTENCES.get(body["action"])
    sentence = tell(body["payload"]) if tell is not None else ""
    words = next((f"“{opened[name]}”" for name in ("comment", "reason", "title") if opened.get(name)), "")
    return " ".join(part for part in (sentence, words) if part)


def _created(payload: Payload) -> str:
    copied = f" A copy of {short(payload['derived_from'])}." if "derived_from" in payload else ""
    return f"{_figures(payload)}.{copied}"


def _figures(payload: Payload) -> str:
    net, listed_at = (grouped(format_amount(payload[name], currency=payload["currency"])) for name in ("net_minor", "list_minor"))
    return f"{net} {payload['currency']} of {listed_at} at list"


def _revised(payload: Payload) -> str:
    status = CHIPS[QuoteStatus(payload["superseded_status"])][1].lower()
    return f"Revision {payload['revision']}: {_figures(payload)}. The one before it was {status}."


def _submitted(payload: Payload) -> str:
    return f"Needs {listed(payload['required_approvals'])}."


def _approved(payload: Payload) -> str:
    still = f"Still needs {listed(payload['open'])}." if payload["open"] else "Nothing is missing any more."
    return f"By a lent role. {still}" if "delegation_id" in payload else still


def _refused(payload: Payload) -> str:
    return f"The attempt to {payload['attempted']} was refused: {payload['code'].rpartition('.')[2].replace('_', ' ')}."


_SENTENCES: Final[Mapping[str, Callable[[Payload], str]]] = {
    "created": _created,
    "revised": _revised,
    "retitled": lambda _: "The terms stayed the same.",
    "previewed": lambda _: "Asked what submitting would need.",
    "submitted": _submitted,
    "approved": _approved,
    "rejected": lambda payload: "By a lent role." if "delegation_id" in payload else "",
    "refused": _refused,
    "activated": lambda payload: f"Contract {short(payload['contract_id'])}.",
}
