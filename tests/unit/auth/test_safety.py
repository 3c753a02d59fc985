"""Origins, tokens of forms, paths to go back to, kept forms, fields, attempts: each says no to everything but the right thing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from trustpack.kernel.errors import InvalidInput
from trustpack.platform.auth.csrf import CsrfRefused, csrf_token, require_csrf
from trustpack.platform.auth.forms import read_fields
from trustpack.platform.auth.kept_forms import KeptForm, seal, unseal
from trustpack.platform.auth.limits import FailedAttempts, TooManyAttempts
from trustpack.platform.auth.origins import CrossSiteRequest, require_same_origin
from trustpack.platform.auth.redirects import HOME, local_path, sign_in_location
from trustpack.platform.web.rate_limits import Buckets

PUBLIC = "https://console.example"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "same-origin", "origin": PUBLIC},
        {"sec-fetch-site": "same-origin", "origin": "https://127.0.0.1:8000", "host": "127.0.0.1:8000"},
        {"sec-fetch-site": "none", "origin": PUBLIC},
        {"origin": PUBLIC},
        {"origin": "https://CONSOLE.example"},
    ],
    ids=str,
)
def test_what_our_own_page_sends_is_let_in(headers: dict[str, str]):
    require_same_origin("POST", headers, scheme="https", public_url=PUBLIC)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "cross-site", "origin": PUBLIC},
        {"sec-fetch-site": "same-site", "origin": PUBLIC},
        {"sec-fetch-site": "SAME-ORIGIN"},
        {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-origin", "origin": "null"},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": "http://console.example"},
        {"origin": "http://127.0.0.1:8000", "host": "127.0.0.1:8000"},
        {"origin": "https://console.example.evil.example"},
        {"origin": "https://console.example:444"},
        {"origin": "https://evil.example", "host": "console.example"},
        {"origin": ""},
        {"referer": f"{PUBLIC}/switchboard"},
    ],
    ids=str,
)
def test_what_another_site_sends_is_refused(headers: dict[str, str]):
    with pytest.raises(CrossSiteRequest):
        require_same_origin("POST", headers, scheme="https", public_url=PUBLIC)


def test_the_token_of_a_session_fits_that_session_alone():
    require_csrf("acme_one", csrf_token("acme_one"))
    own = csrf_token("acme_one")
    salt, _, mac = own.partition(".")
    wrong = (None, "", ".", csrf_token("acme_two"), own[:-1], own + "A", f"é{own}", mac, f".{mac}", f"{salt}.", f"{salt}x.{mac}")
    for token in wrong:
        with pytest.raises(CsrfRefused):
            require_csrf("acme_one", token)


def test_every_page_of_a_session_has_a_token_of_its_own_and_each_fits():
    tokens = {csrf_token("acme_one") for _ in range(3)}

    assert len(tokens) == 3
    assert len({token.partition(".")[2] for token in tokens}) == 3
    for token in tokens:
        require_csrf("acme_one", token)


def test_the_token_does_not_show_the_session():
    assert "secret" not in csrf_token("acme_secret")


@pytest.mark.parametrize(
    "path",
    ["/", "/switchboard", "/switchboard/security/requests/hro_1?tab=evidence&status=pending", "/a%20b", "/a?next=%2Fb"],
)
def test_a_path_of_ours_is_kept(path: str):
    assert local_path(path) == path


@pytest.mark.parametrize(
    "text",
    [
        None, "", "switchboard", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example",
        "https:evil.example", "javascript:alert(1)", "/%2F/evil.example", "/%2f%2fevil.example", "/%5Cevil.example", "/%255Cevil",
        "/%252F%252Fevil.example", "/\tevil", "/%09/evil.example", "/a\r\nSet-Cookie: x=1", "/%0d%0aX: 1", " /switchboard", "/ä",
        "/a/..//b",         "/" + "a" * 2000,
    ],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_not_followed(text: str | None):
    assert local_path(text) == HOME


@given(st.text(max_size=40))
def test_whatever_is_followed_begins_with_one_slash(text: str):
    path = local_path("/" + text)

    assert path[0] == "/"
    assert path[1:2] not in {"/", "\\"}


def test_the_way_back_travels_as_one_parameter():
    assert sign_in_location("/switchboard?a=1&b=2") == "/switchboard/sign-in?next=%2Fswitchboard%3Fa%3D1%26b%3D2"


def test_a_kept_form_comes_back_whole_but_for_its_token_and_secrets():
    form = KeptForm(
        path="/switchboard/x/approve", fields={"comment": "ä\n<b>", "digest": "sha256:1", "form_token": "old", "password": "x"}
    )

    kept = unseal(seal(form, session_text="acme_one"), session_text="acme_one")

    assert kept == KeptForm(path=form.path, fields={"comment": "ä\n<b>", "digest": "sha256:1"})


@pytest.mark.parametrize(
    "change", [lambda text: text[:-4], lambda text: "AAAA" + text[4:], lambda _: "", lambda _: "é", lambda _: "A"]
)
def test_a_kept_form_that_was_changed_is_refused(change: Any):
    sealed = seal(KeptForm(path="/switchboard", fields={}), session_text="acme_one")

    with pytest.raises(InvalidInput):
        unseal(change(sealed), session_text="acme_one")


def test_a_kept_form_of_another_session_is_refused():
    sealed = seal(KeptForm(path="/switchboard", fields={}), session_text="acme_one")

    with pytest.raises(InvalidInput):
        unseal(sealed, session_text="acme_two")


def request_with(body: bytes, content_type: str = FORM) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", content_type.encode())]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": b""}, receive)


def test_fields_are_read_as_they_were_typed():
    request = request_with(b"name=J%C3%A4ne+Doe&comment=")

    assert asyncio.run(read_fields(request)) == {"name": "Jäne Doe", "comment": ""}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"a=1&a=2", FORM),
        (b"a=%00", FORM),
        (b"a=%ff", FORM),
        (b"a", FORM),
        (b"a=\xff", FORM),
        (b"&".join(b"f%d=1" % number for number in range(201)), FORM),
        (b'{"a": 1}', "application/json"),
        (b"--x", "multipart/form-data; boundary=x"),
        (b"a=1", "text/plain"),
    ],
)
def test_what_is_no_plain_form_is_refused(body: bytes, content_type: str):
    with pytest.raises(InvalidInput):
        asyncio.run(read_fields(request_with(body, content_type)))


def attempts(*, address_burst: int = 100, name_burst: int = 100) -> FailedAttempts:
    return FailedAttempts(
        addresses=Buckets(per_second=0.001, burst=address_burst, now=lambda: 0.0),
        names=Buckets(per_second=0.001, burst=name_burst, now=lambda: 0.0),
    )


def test_an_address_may_fail_so_often_whatever_names_it_tries():
    counted = attempts(address_burst=2)
    for number in range(2):
        counted.spend(address="192.0.2.1", name=f"name-{number}")

    with pytest.raises(TooManyAttempts) as refusal:
        counted.spend(address="192.0.2.1", name="name-3")
    assert refusal.value.data["retry_after"] == 1000
    counted.spend(address="192.0.2.2", name="name-3")


def test_a_name_may_fail_so_often_from_whatever_address():
    counted = attempts(name_burst=2)
    for number in range(2):
        counted.spend(address=f"192.0.2.{number}", name="jane")

    with pytest.raises(TooManyAttempts):
        counted.spend(address="192.0.2.9", name="jane")


def test_a_refused_attempt_costs_nobody_else_anything():
    counted = attempts(name_burst=1, address_burst=2)
    counted.spend(address="192.0.2.1", name="jane")
    for _ in range(5):
        with pytest.raises(TooManyAttempts):
            counted.spend(address="192.0.2.1", name="jane")

    counted.spend(address="192.0.2.1", name="joe")


def test_what_succeeds_is_given_back():
    counted = attempts(address_burst=1, name_burst=1)
    for _ in range(5):
        counted.spend(address="192.0.2.1", name="jane")
        counted.give_back(address="192.0.2.1", name="jane")


def test_nothing_is_given_back_beyond_the_budget():
    counted = attempts(address_burst=1)
    counted.spend(address="192.0.2.1", name=None)
    for _ in range(5):
        counted.give_back(address="192.0.2.1", name=None)
    counted.spend(address="192.0.2.1", name=None)

    with pytest.raises(TooManyAttempts):
        counted.spend(address="192.0.2.1", name=None)
