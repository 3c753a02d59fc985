"""What may be asked: JSON limits, schemas, parameters, and the digest of policy sources. Guarantee: pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from jsonschema_rs import Draft202012Validator, ValidationError

from trustpack.capabilities.policy.model import InputRejected, ParametersInvalid
from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.proof.canonical import DIGEST_PREFIX

MAX_JSON_BYTES: Final = 64 * 1024
"""Largest input and largest result: ten times what a busy request needs, small enough to parse in a millisecond."""

MAX_JSON_DEPTH: Final = 32
"""Deepest nesting: far below where any parser in the path recurses too deep."""

INTEGER_BOUND: Final = 2**53
"""Integers stay below it in size, so that every JSON reader sees the same number."""

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
