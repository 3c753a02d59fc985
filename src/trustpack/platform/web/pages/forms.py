"""Forms, read as strictly as the API reads JSON: known fields, each of its type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from trustpack.kernel.errors import InvalidInput
from trustpack.platform.auth.csrf import FIELD
from trustpack.platform.auth.forms import read_values, single


class Form(BaseModel):
    """The fields of a form. Fields that are lists may be sent several times, every other at most once."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


F = TypeVar("F", bound=Form)


@dataclass(frozen=True, slots=True)
class FormReading(Generic[F]):
    """What was sent, for showing it again, and either the form or what is wrong with each field."""

    given: Mapping[str, str]
    errors: Mapping[str, str]
    form: F | None


async def read_form(request: Request, shape: type[F]) -> FormReading[F]:
    """Read a posted form; faults of fields are part of the answer. Raises `InvalidInput` for what no form of ours sends."""
    given = await read_values(request)
    given.pop(FIELD, None)
    for name, values in given.items():
        if not _is_list(shape, name):
            single(name, values)
    if unknown := sorted(given.keys() - shape.model_fields.keys()):
        raise InvalidInput(f"The form has no field {unknown[0][:50]!r}.")
    shown = {name: values[0] for name, values in given.items()}
    typed = {name: values if _is_list(shape, name) else values[0] for name, values in given.items()}
    try:
        return FormReading(shown, {}, shape.model_validate(typed))
    except ValidationError as error:
        return FormReading(shown, {str(fault["loc"][0]): _said(fault["type"], fault["msg"]) for fault in error.errors()}, None)


def _is_list(shape: type[Form], name: str) -> bool:
    field = shape.model_fields.get(name)
    return field is not None and get_origin(field.annotation) in {list, tuple}


def _said(kind: str, message: str) -> str:
    if kind in {"missing", "string_too_short"}:
        return "Fill in this field." if kind == "missing" else message.replace("String should have", "This needs") + "."
    return (
        message.removeprefix("Value error, ").replace("Input should", "This should").replace("String should", "This should") + "."
    )
