"""Pages answer under the names of the service alone, the API under every one."""

from __future__ import annotations

import httpx2
import pytest
from pydantic import ValidationError

from tests.support.browsers import code_of
from tests.support.console import build_console
from trustpack.platform.auth.hosts import LOCAL_NAMES, UntrustedHost, require_trusted_host, trusted_names
from trustpack.platform.settings import Settings

PUBLIC = trusted_names("https://console.example.com:8443", more=" 10.0.0.7, Inner.example ,fd00::7", is_demo=False)


@pytest.mark.parametrize(
    "host",
    ["console.example.com", "console.example.com:8443", "CONSOLE.example.com", "10.0.0.7:80", "inner.example", "[fd00::7]:8000"],
)
def test_a_name_of_ours_is_taken_with_any_port(host: str):
    require_trusted_host(host, PUBLIC)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "console.example.com.evil.example",
        "evil.console.example.com",
        "console.example.com@evil.example",
        "console.example.com:80:80",
        "console.example.com:port",
        "console.example.com.",
        "console.example.com evil.example",
        "console.example.com\n",
        "localhost:8000",
        "127.0.0.1",
        "[::1]",
        "fd00::7",
        "[console.example.com]",
    ],
)
def test_any_other_name_is_refused(host: str):
    with pytest.raises(UntrustedHost):
        require_trusted_host(host, PUBLIC)


@pytest.mark.parametrize(("public_url", "is_demo"), [("http://localhost:8000", False), ("https://console.example.com", True)])
def test_a_local_console_and_a_demo_answer_to_local_names(public_url: str, is_demo: bool):
    assert trusted_names(public_url, more="", is_demo=is_demo) >= LOCAL_NAMES


@pytest.mark.parametrize("names", ["https://a.example", "a.example:80", "a.example,,b.example", "[::1]", "a b"])
def test_what_is_no_list_of_names_stops_the_start(names: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRUSTPACK_TRUSTED_HOSTS", names)

    with pytest.raises(ValidationError, match="trusted hosts are names"):
        Settings(_env_file=None)


@pytest.mark.parametrize("path", ["/switchboard", "/switchboard/static/x.css", "/switchboard/events", "/switchboard/nowhere"])
async def test_a_page_is_not_shown_under_another_name(path: str):
    app = build_console()
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
        refused = await http.get(path, headers={"Host": "evil.example"})
        twice = await http.get(path, headers=[("Host", "localhost"), ("Host", "evil.example")])
        api = await http.get("/high-risk-ops/requests", headers={"Host": "10.1.2.3"})

    assert [(answer.status_code, code_of(answer)) for answer in (refused, twice)] == [(400, "request.untrusted_host")] * 2
    assert "evil.example" not in refused.text
    assert refused.headers["content-security-policy"].startswith("default-src 'none'")
    assert api.status_code == 404  # as under every other name: this console has no API
