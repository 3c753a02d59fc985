"""Pure policy decisions: JSON limits, schemas, the shape of an answer, digests of sources, and the words for reasons."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from jsonschema_rs import Draft202012Validator, ValidationError

from trustpack.capabilities.policy.model import (
    Answer,
    Decision,
    InputRejected,
    MalformedDecision,
    ParametersInvalid,
    PolicyDenied,
    PolicyOutcome,
    Reason,
)
from trustpack.kernel.actor import Role
from trustpack.kernel.clock import format_time
from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.proof.canonical import DIGEST_PREFIX

MAX_JSON_BYTES: Final = 64 * 1024
"""Largest input and largest result: ten times what a busy request needs, small enough to parse in a millisecond."""

MAX_JSON_DEPTH: Final = 32
"""Deepest nesting: far below where any parser in the path recurses too deep."""

INTEGER_BOUND: Final = 2**53
"""Integers stay below it in size, so that every JSON reader sees the same number."""

_ANSWER_FIELDS: Final = frozenset({"allow", "reasons", "required_approvals", "self_approvable"})
_SOURCES_DOMAIN: Final = b"trustpack/policy-sources/v1"


def require_json_limits(value: object, *, depth: int = 1) -> None:
    """Return if `value` is plain JSON that every engine reads alike; raise `InputRejected` otherwise.

    Allowed are objects with text keys, arrays, text without lone surrogates, booleans, null, and integers below 2^53 in
    size, nested at most `MAX_JSON_DEPTH` deep. Source: research/policy sections 1.3 and 1.4.
    """
    match value:
        case str():
            _require_sound_text(value)
        case int():
            if abs(value) >= INTEGER_BOUND:
                raise InputRejected("an integer is 2^53 or larger", rule="integer_size")
        case None:
            return
        case Mapping() | list() | tuple():
            _require_members_within_limits(value, depth=depth)
        case _:
            raise InputRejected(f"{type(value).__name__} is not an allowed JSON type", rule="type")


def _require_sound_text(text: object) -> None:
    if not isinstance(text, str):
        raise InputRejected("a key is not text", rule="key")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InputRejected("a text holds a lone surrogate", rule="surrogate")


def _require_members_within_limits(value: Mapping[object, object] | Sequence[object], *, depth: int) -> None:
    if depth > MAX_JSON_DEPTH:
        raise InputRejected(f"nested deeper than {MAX_JSON_DEPTH}", rule="depth")
    members: Iterable[object] = value
    if isinstance(value, Mapping):
        for key in value:
            _require_sound_text(key)
        members = value.values()
    for member in members:
        require_json_limits(member, depth=depth + 1)


def parse_json(data: bytes) -> JsonValue:
    """Read JSON text within the same limits. Duplicate keys, floats, exponents and NaN are refused too.

    Raises `InputRejected`.
    """
    if len(data) > MAX_JSON_BYTES:
        raise InputRejected(f"longer than {MAX_JSON_BYTES} bytes", rule="size")
    try:
        value: JsonValue = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique_keys, parse_float=_refuse_number, parse_constant=_refuse_number
        )
    except (ValueError, RecursionError) as error:
        raise InputRejected(f"not readable as JSON: {type(error).__name__}", rule="json") from error
    require_json_limits(value)
    return value


def _unique_keys(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InputRejected("an object names a key twice", rule="duplicate_key")
    return members


def _refuse_number(text: str) -> JsonValue:
    raise InputRejected(f"{text[:32]} is not a plain integer", rule="number")


def compile_schema(schema: JsonObject) -> Draft202012Validator:
    """Compile a JSON Schema 2020-12 that fetches nothing. Raises `ValueError` for a broken or an open-ended one."""
    return Draft202012Validator(dict(schema), offline=True)


def check_input(validator: Draft202012Validator, value: JsonObject) -> None:
    """Return if the input has the promised shape; raise `InputRejected` with the place and rule of the first fault.

    Neither a value nor an unknown key is repeated: an unknown key is reported at the object that holds it.
    """
    fault = next(iter(validator.iter_errors(value)), None)
    if fault is not None:
        raise InputRejected("the input does not fit its schema", path=_pointer(fault), rule=fault.kind.name)


def merge_parameters(defaults: JsonObject, override: JsonObject) -> JsonObject:
    """Lay a tenant's override over the defaults: objects are merged member by member, all else is replaced.

    A list is replaced as a whole, so that an override always says completely who approves. Guarantee: pure.
    """
    merged = dict(defaults)
    for key, value in override.items():
        below = merged.get(key)
        merged[key] = merge_parameters(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def check_parameters(validator: Draft202012Validator, parameters: JsonObject) -> None:
    """Return if the merged parameters fit their schema; raise `ParametersInvalid` with every fault otherwise."""
    try:
        require_json_limits(parameters)
    except InputRejected as error:
        raise ParametersInvalid(errors=[{"field": "", "message": error.detail}]) from error
    errors = [{"field": _pointer(fault), "message": fault.message} for fault in validator.iter_errors(parameters)]
    if errors:
        raise ParametersInvalid(errors=errors)


def _pointer(fault: ValidationError) -> str:
    return "".join(f"/{step}" for step in fault.instance_path)


def digest_of_sources(sources: Mapping[str, str]) -> str:
    """Return the digest over policy sources, given as path -> hex SHA-256 of the raw file.

    SHA-256 over a domain text, then for each path in byte order: its length as 8 bytes big-endian, the path, the 32 digest
    bytes. Guarantee: no two lists of sources share the hashed bytes. Source: research/policy section 5, "Bundle version".
    """
    hasher = hashlib.sha256(_SOURCES_DOMAIN)
    for path in sorted(path.encode() for path in sources):
        hasher.update(len(path).to_bytes(8, "big") + path + bytes.fromhex(sources[path.decode()]))
    return DIGEST_PREFIX + hasher.hexdigest()


def read_answer(raw: object) -> Answer:
    """Read the engine's raw result strictly; raise `MalformedDecision` for anything but the agreed object.

    `true`, `"true"`, `{}`, `{"allow": "yes"}`, an unknown field and an unknown role are all malformed, hence denies.
    """
    if not isinstance(raw, Mapping) or set(raw) != _ANSWER_FIELDS:
        raise MalformedDecision("the result is not an object with exactly the agreed fields")
    allowed, reasons = raw["allow"], raw["reasons"]
    if not isinstance(allowed, bool):
        raise MalformedDecision("allow is not a boolean")
    if not isinstance(reasons, list):
        raise MalformedDecision("reasons is not a list")
    return Answer(
        allowed=allowed,
        reasons=tuple(_read_reason(reason) for reason in reasons),
        required_approvals=_read_roles(raw["required_approvals"]),
        self_approvable=_read_roles(raw["self_approvable"]),
    )


def _read_reason(raw: object) -> Reason:
    if not isinstance(raw, Mapping) or "text" in raw:
        raise MalformedDecision("a reason is not an object of a code and data")
    code = raw.get("code")
    if not isinstance(code, str) or not code.isascii() or not code.replace("_", "").isalnum() or code != code.lower():
        raise MalformedDecision("a reason has no proper code")
    return Reason(code, {key: value for key, value in raw.items() if key != "code"})


def _read_roles(raw: object) -> tuple[Role, ...]:
    if not isinstance(raw, list) or not all(isinstance(role, str) for role in raw):
        raise MalformedDecision("roles are not a list of texts")
    try:
        roles = tuple(Role(role) for role in raw)
    except ValueError as error:
        raise MalformedDecision("a role is unknown") from error
    if len(set(roles)) != len(roles):
        raise MalformedDecision("a role is named twice")
    return roles


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


def failure_code(outcome: PolicyOutcome) -> str:
    """Return the reason code for a failure: its outcome without the `policy.` in front."""
    return outcome.value.removeprefix("policy.")


def present_reasons(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    """Return reasons as people and programs read them: code, sentence, data."""
    return [{"code": reason.code, "text": reason_text(reason), **reason.data} for reason in reasons]


def denial_of(decision: Decision) -> PolicyDenied:
    """Return the error that tells a user why: to be raised after the decision has been stored."""
    return PolicyDenied(decision_id=decision.id, reasons=present_reasons(decision.reasons))


def present_decision(decision: Decision) -> dict[str, Any]:
    """Return a decision as JSON for the API and for evidence; whoever re-encodes `input` by RFC 8785 meets its digest."""
    return {
        "id": decision.id,
        "tenant_id": decision.tenant_id,
        "subject_id": decision.subject_id,
        "subject_version": decision.subject_version,
        "package": decision.package,
        "mode": decision.mode.value,
        "allowed": decision.allowed,
        "outcome": decision.outcome.value,
        "reasons": present_reasons(decision.reasons),
        "required_approvals": [role.value for role in decision.required_approvals],
        "self_approvable": [role.value for role in decision.self_approvable],
        "input": json.loads(decision.input),
        "input_digest": decision.input_digest,
        "result": None if decision.result is None else json.loads(decision.result),
        "bundle_revision": decision.bundle_revision,
        "policy_digest": decision.policy_digest,
        "parameters_digest": decision.parameters_digest,
        "schema_digest": decision.schema_digest,
        "engine": {"name": decision.engine.name, "version": decision.engine.version},
        "duration_us": decision.duration_us,
        "decided_at": format_time(decision.decided_at),
    }
