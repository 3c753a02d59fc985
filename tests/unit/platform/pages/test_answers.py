"""Every answer below /switchboard has its headers; errors are pages; nobody else's site may write."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.support.console import FORM_TOKEN, SIGNED_OUT, STORE_AWAY, build_console
from trustpack.platform.web.pages.static_files import StaticFiles

ORIGIN = "http://trustpack.test"
FORM = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
STATIC = StaticFiles().address("css/base.css")
POLICY = (
    r"default-src 'none'; script-src 'self' 'nonce-[\w-]{22}'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    r"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    r"require-trusted-types-for 'script'; trusted-types htmx"
)
ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}


@pytest.fixture
def app():
    return build_console(max_body_bytes=2048)


@pytest.fixture
async def browser(app) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that asks as a browser does."""
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/switchboard", 303),
        ("GET", "/switchboard/components", 200),
        ("GET", "/switchboard/components/nothing", 404),
        ("GET", "/switchboard/nowhere", 404),
        ("GET", "/switchboard/broken", 500),
        ("GET", "/switchboard/find?q=" + "x" * 300, 422),
        ("GET", "/switchboard/find/list?q=HRR-1", 200),
        ("GET", "/switchboard/static/none.css", 404),
        ("PUT", "/switchboard/components", 403),
        ("POST", "/switchboard/components", 403),
        ("HEAD", "/switchboard/components", 405),
    ],
)
async def test_every_answer_has_every_header_and_is_not_kept(browser, method: str, path: str, status: int):
    response = await browser.request(method, path)

    assert response.status_code == status
    assert {name: response.headers.get_list(name) for name in ALWAYS} == {name: [value] for name, value in ALWAYS.items()}
    assert response.headers.get_list("cache-control") == ["no-store"]
    assert response.headers["vary"] == "Cookie, HX-Request, Accept-Encoding, Sec-Fetch-Site"
    [policy] = response.headers.get_list("content-security-policy")
    if status == 303:
        assert policy == "default-src 'none'; frame-ancestors 'none'; sandbox"
    else:
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert re.fullmatch(POLICY, policy)


async def test_the_nonce_of_the_policy_is_that_of_the_page_and_never_comes_again(browser):
    first, second = [await browser.get("/switchboard/components") for _ in range(2)]

    nonces = [re.search(r"'nonce-([\w-]+)'", page.headers["content-security-policy"])[1] for page in (first, second)]
    assert nonces[0] != nonces[1]
    for page, nonce in zip((first, second), nonces, strict=True):
        assert set(re.findall(r'nonce="([^"]*)"', page.text)) == {nonce}


async def test_a_static_file_is_kept_for_ever_and_packed_for_those_who_unpack(browser):
    packed = await browser.get(STATIC, headers={"accept-encoding": "gzip"})
    plain = await browser.get(STATIC, headers={"accept-encoding": "identity"})

    assert packed.content == plain.content
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.headers.get_list("cache-control") == ["public, max-age=31536000, immutable"]
    assert packed.headers["vary"] == "Accept-Encoding"
    assert packed.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert {name: packed.headers[name] for name in ALWAYS} == ALWAYS


@pytest.mark.parametrize(
    "path", ["/switchboard/static/../pages/frame.py", "/switchboard/static/css/base.css", "/switchboard/static/"]
)
async def test_nothing_but_the_served_files_is_served(browser, path: str):
    assert (await browser.get(path)).status_code == 404


async def test_an_error_names_its_code_its_next_step_and_its_id_and_nothing_inside(browser):
    response = await browser.get("/switchboard/broken")

    assert response.status_code == 500
    assert "platform.unexpected" in response.text
    assert response.headers["x-request-id"] in response.text
    assert "ZeroDivisionError" not in response.text


async def test_an_error_outside_of_the_pages_stays_a_problem_document(browser):
    response = await browser.get("/switchboards")

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/switchboard/nowhere", "/switchboard/components/nothing"])
async def test_what_is_not_there_is_told_inside_the_frame_to_whoever_is_signed_in(browser, path: str):
    response = await browser.get(path)

    assert response.status_code == 404
    assert 'aria-label="Workspaces"' in response.text
    assert "Sofia Duarte" in response.text


@pytest.mark.parametrize("without", [SIGNED_OUT, STORE_AWAY])
async def test_what_is_not_there_is_told_bare_where_nobody_is_known_to_be_signed_in(browser, without: str):
    response = await browser.get("/switchboard/nowhere", headers={"cookie": f"{without}=1"})

    assert response.status_code == 404
    assert "Not found" in response.text
    assert "Workspaces" not in response.text


async def test_nobody_is_asked_who_looks_for_a_file(browser):
    response = await browser.get("/switchboard/static/none.css")

    assert "Workspaces" not in response.text


async def test_without_a_session_a_page_says_so_and_shows_nothing(browser):
    response = await browser.get("/switchboard/components?a=1", headers={"cookie": f"{SIGNED_OUT}=1"})

    assert response.status_code == 401
    assert "www-authenticate" not in response.headers
    assert "Please sign in" in response.text
    assert 'href="/switchboard/sign-in?next=%2Fswitchboard%2Fcomponents%3Fa%3D1"' in response.text
    assert "Workspaces" not in response.text


async def test_without_a_session_a_browser_is_led_to_the_sign_in_and_from_there_back(browser):
    headers = {"cookie": f"{SIGNED_OUT}=1", "accept": "text/html,application/xhtml+xml"}
    response = await browser.get("/switchboard/components?a=1", headers=headers)

    assert response.status_code == 303
    assert response.headers["location"] == "/switchboard/sign-in?next=%2Fswitchboard%2Fcomponents%3Fa%3D1"


async def test_without_a_session_a_part_of_a_page_leads_to_the_sign_in(browser):
    response = await browser.get("/switchboard/components", headers={"cookie": f"{SIGNED_OUT}=1", "hx-request": "true"})

    assert response.headers["hx-redirect"] == "/switchboard/sign-in?next=%2Fswitchboard%2Fcomponents"


async def test_a_body_that_is_too_large_is_refused_on_a_page(browser):
    response = await browser.post("/switchboard/components", headers=FORM, content=b"text=" + b"x" * 3000)

    assert response.status_code == 413
    assert response.headers["content-type"].startswith("text/html")


async def test_a_hostile_name_in_a_search_stays_text(browser):
    response = await browser.get("/switchboard/find", params={"q": '"><img src=x onerror=alert(1)>'})

    assert "<img src=x" not in response.text
    assert "&lt;img src=x" in response.text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": ORIGIN},
        {"sec-fetch-site": "none"},
        {"origin": "http://elsewhere.test"},
        {"origin": "null"},
        {"origin": "https://trustpack.test"},
        {},
    ],
)
async def test_what_another_site_sends_is_refused_before_it_is_read(browser, app, headers: dict[str, str]):
    form = {key: value for key, value in FORM.items() if key != "sec-fetch-site"}

    response = await browser.post(
        "/switchboard/components", headers={**form, **headers}, content=f"form_token={FORM_TOKEN}&text=x"
    )

    assert response.status_code == 403
    assert "auth.cross_site_request" in response.text
    assert app.state.kept.notes == []


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-origin"}, {"origin": ORIGIN}])
async def test_a_form_of_ours_is_carried_out_and_leads_on(browser, app, headers: dict[str, str]):
    form = {key: value for key, value in FORM.items() if key != "sec-fetch-site"}

    response = await browser.post(
        "/switchboard/components", headers={**form, **headers}, content=f"form_token={FORM_TOKEN}&text=x"
    )

    assert response.status_code == 303
    assert response.headers["location"] == "/switchboard/components"
    assert [note.text for note in app.state.kept.notes] == ["x"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("text=x", 403, "auth.csrf_refused"),
        ("form_token=other&text=x", 403, "auth.csrf_refused"),
        (f"form_token={FORM_TOKEN}%C3%A9&text=x", 403, "auth.csrf_refused"),
        (f"form_token={FORM_TOKEN}&form_token={FORM_TOKEN}&text=x", 422, "was sent twice"),
        (f"form_token={FORM_TOKEN}&text=x&text=y", 422, "was sent twice"),
        (f"form_token={FORM_TOKEN}&text=x&admin=1", 422, "has no field"),
        (f"form_token={FORM_TOKEN}&text=x%00", 422, "cannot be stored"),
        (f"form_token={FORM_TOKEN}&text=%FF", 422, "could not be read"),
        (f"form_token={FORM_TOKEN}&text", 422, "could not be read"),
        (f"form_token={FORM_TOKEN}&text=x" + "&tags=t" * 600, 413, "too large"),
    ],
)
async def test_a_form_that_no_page_of_ours_sends_is_refused(browser, app, body: str, status: int, said: str):
    response = await browser.post("/switchboard/components", headers=FORM, content=body)

    assert response.status_code == status
    assert said in response.text
    assert app.state.kept.notes == []


async def test_json_is_no_form(browser, app):
    headers = {"sec-fetch-site": "same-origin", "x-csrf-token": FORM_TOKEN}
    response = await browser.post("/switchboard/components", headers=headers, json={"text": "x"})

    assert response.status_code == 422
    assert app.state.kept.notes == []


async def test_the_component_pages_are_for_developers_alone():
    transport = httpx2.ASGITransport(app=build_console(developer_pages=False), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as browser:
        assert (await browser.get("/switchboard/components/list")).status_code == 404
        assert (await browser.get("/switchboard")).headers["location"] == "/switchboard/security/inbox"


@pytest.mark.parametrize(("cookie", "theme"), [("dark", "dark"), ("light", "light"), ('"><script>', "system"), ("", "system")])
async def test_the_theme_is_one_of_three(browser, cookie: str, theme: str):
    response = await browser.get("/switchboard/components", headers={"cookie": f"theme={cookie}"})

    assert f'<html lang="en" data-theme="{theme}"' in response.text
