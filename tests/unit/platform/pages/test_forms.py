"""Fields of a form become values, or a fault beside the field."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from pydantic import Field
from starlette.requests import Request

from trustpack.platform.web.pages import Form, FormReading
from trustpack.platform.web.pages.forms import read_form
from trustpack.platform.web.pages.page import Page


class Sample(Form):
    reason: str = Field(min_length=8)
    amount: int = 0
    tags: list[str] = Field(default_factory=list)


async def read(fields: dict[str, object]) -> FormReading[Sample]:
    body = urlencode({"form_token": "t", **fields}, doseq=True).encode()

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", b"application/x-www-form-urlencoded; charset=utf-8")]
    return await read_form(Request({"type": "http", "method": "POST", "headers": headers}, receive), Sample)


async def test_a_form_has_its_types_and_keeps_lines():
    reading = await read({"reason": " first\r\nsecond line ", "amount": "12", "tags": ["a", "b"]})

    assert reading.form == Sample(reason="first\nsecond line", amount=12, tags=["a", "b"])
    assert reading.errors == {}


async def test_one_value_of_a_list_is_a_list():
    assert (await read({"reason": "long enough", "tags": "a"})).form.tags == ["a"]


async def test_a_fault_stands_beside_its_field_with_what_was_given():
    reading = await read({"reason": "short", "amount": "many"})

    assert reading.form is None
    assert reading.given == {"reason": "short", "amount": "many"}
    assert reading.errors["reason"] == "This needs at least 8 characters."
    assert reading.errors["amount"].startswith("This should be a valid integer")


async def test_a_missing_field_is_to_be_filled_in():
    assert (await read({})).errors == {"reason": "Fill in this field."}


@pytest.mark.parametrize("path", ["//evil.test", "/\\evil.test", "https://evil.test", "evil", ""])
def test_a_redirect_never_leaves_the_console(path: str):
    with pytest.raises(ValueError, match="a path of ours"):
        Page.go(path)
