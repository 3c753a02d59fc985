"""The words for reasons: one plain English sentence for each code. Guarantee: pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final

from trustpack.capabilities.policy.model import Reason
from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.kernel.money import format_limit, format_share


def reason_text(reason: Reason) -> str:
    """Return one plain English sentence for a reason; an unknown code gets a sentence that names it."""
    sentence = _SENTENCES.get(reason.code)
    return sentence(reason.data) if sentence else f"Policy gave the reason {reason.code}."


def _listed(value: JsonValue | None, *, last: str = "and") -> str:
    words = [str(item).replace("_", " ") for item in value] if isinstance(value, list | tuple) else []
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else "".join(words) or "none"


def _names(value: JsonValue | None) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list | tuple) and value else "none"


def _duration(value: JsonValue | None) -> str:
    if not isinstance(value, int) or isinstance(value, bool):
        return "the limit"
    for unit, seconds in (("hour", 3600), ("minute", 60)):
        if value and value % seconds == 0:
            return f"{value // seconds} {unit}{'' if value == seconds else 's'}"
    return f"{value} second{'' if value == 1 else 's'}"


def _percent(value: JsonValue | None, *, write: Callable[[Fraction], str]) -> str:
    if not isinstance(value, Mapping):
        return "?"
    return f"{write(Fraction(int(str(value['numerator'])), int(str(value['denominator']))))} %"


def _above_limit(data: JsonObject) -> str:
    measure = str(data.get("measure")).replace("_", " ")
    discount = _percent(data.get("discount"), write=format_share)
    return f"The {measure} discount of {discount} is above {_percent(data.get('limit'), write=format_limit)}."


def _where(data: JsonObject) -> str:
    return f" at {data['path']}" if data.get("path") else ""


_SENTENCES: Final[Mapping[str, Callable[[JsonObject], str]]] = {
    "action_unknown": lambda _: "The action is neither a request nor an execution.",
    "requester_not_person": lambda _: "Only a person may ask for this; bots may not.",
    "role_missing": lambda data: f"The requester needs the role {_listed(data.get('roles'), last='or')}.",
    "environment_not_allowed": lambda data: f"This is possible in these environments only: {_names(data.get('environments'))}.",
    "type_unknown": lambda data: f"This type of operation is not known; known types: {_names(data.get('types'))}.",
    "duration_too_long": lambda data: f"The duration may be at most {_duration(data.get('limit_seconds'))}.",
    "duration_not_positive": lambda _: "The duration must be longer than zero.",
    "approvals_missing": lambda data: f"Approvals of different people are missing for: {_listed(data.get('roles'))}.",
    "quote_action_unknown": lambda _: "The action is neither a submission nor an activation of a quote.",
    "seller_not_person": lambda _: "Only a person may submit or activate a quote; bots may not.",
    "seller_role_missing": lambda data: f"The seller needs the role {_listed(data.get('roles'), last='or')}.",
    "amounts_invalid": lambda _: "The net amount must lie between zero and the list amount.",
    "discount_invalid": lambda _: "A discount that decides is missing, or is not between 0 and 100 %.",
    "discount_not_covered": lambda _: "No row of the approval matrix covers this quote.",
    "discount_above_limit": _above_limit,
    "not_in_price_book": lambda _: "Some lines are in no price book, so their discount cannot be measured.",
    "routing_action_unknown": lambda _: "The action is not the routing of a lead.",
    "routed": lambda data: f"The rule {data.get('rule')} sends the lead to the team {data.get('team')}.",
    "input_rejected": lambda data: f"The question to the policy was not well formed{_where(data)}, so it was refused.",
    "engine_unavailable": lambda _: "The policy engine could not be reached, so this was refused.",
    "engine_timeout": lambda _: "The policy engine did not answer in time, so this was refused.",
    "engine_crashed": lambda _: "The policy engine failed, so this was refused.",
    "circuit_open": lambda _: "The policy engine has failed repeatedly and is resting, so this was refused.",
    "undefined": lambda _: "The policy engine knows no answer to this, so it was refused.",
    "evaluation_error": lambda _: "The policy failed while it was being evaluated, so this was refused.",
    "malformed_decision": lambda _: "The policy engine's answer was not of the agreed form, so this was refused.",
    "bundle_invalid": lambda _: "The policy bundle is not intact, so this was refused.",
    "bundle_mismatch": lambda _: "The policy engine answered from another bundle than the expected one, so this was refused.",
}

KNOWN_REASON_CODES: Final = frozenset(_SENTENCES)
