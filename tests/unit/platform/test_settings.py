"""Settings come from the environment or a `.env` file, are checked, documented, and do not print secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from trustpack.platform.settings import Settings, UnknownSetting, split_address

DSN = "postgresql://postgres:hunter2@db/trustpack"


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"TRUSTPACK_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_without_any_setting_the_product_starts_on_an_embedded_store():
    settings = Settings()

    assert settings.database_url is None
    assert settings.data_dir == Path("var")


def test_a_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRUSTPACK_LISTEN", "0.0.0.0:9001")

    assert Settings().listen == "0.0.0.0:9001"


def test_a_setting_is_read_from_a_dot_env_file(tmp_path: Path):
    (tmp_path / ".env").write_text("TRUSTPACK_LISTEN=0.0.0.0:9002\nOTHER=1\n")

    assert Settings().listen == "0.0.0.0:9002"


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / ".env").write_text("TRUSTPACK_LISTEN=0.0.0.0:9002\n")
    monkeypatch.setenv("TRUSTPACK_LISTEN", "0.0.0.0:9001")

    assert Settings().listen == "0.0.0.0:9001"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_POOL_SIZE", "1"),
        ("DATABASE_POOL_SIZE", "201"),
        ("LISTEN", "127.0.0.1:65536"),
        ("PUBLIC_URL", "http://console.example"),
        ("PUBLIC_URL", "http://127.0.0.1:8000"),
        ("PUBLIC_URL", "https://[::1]:8000"),
        ("PUBLIC_URL", "https://console.example/"),
        ("PUBLIC_URL", "https://console.example/switchboard"),
        ("PUBLIC_URL", "https://user@console.example"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "console.example"),
        ("SESSION_IDLE_SECONDS", "119"),
        ("SESSION_ABSOLUTE_SECONDS", "299"),
        ("RECENT_SIGN_IN_SECONDS", "0"),
        ("LISTEN", "127.0.0.1:-1"),
        ("LISTEN", "8000"),
        ("LISTEN", "::1:8000"),
        ("POLICY_DEADLINE_MS", "4"),
        ("LOG_LEVEL", "loud"),
        ("WORKER_POLL_SECONDS", "0"),
        ("EXECUTE_WAIT_SECONDS", "-1"),
        ("APPROVAL_WINDOW_SECONDS", "0"),
        ("APPROVAL_WINDOW_SECONDS", "1.5"),
        ("MAX_BODY_BYTES", "10"),
        ("TEAM_LEAD_SAME_TEAM", "perhaps"),
    ],
)
def test_a_value_out_of_range_stops_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(f"TRUSTPACK_{name}", value)

    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_an_address_may_be_ipv6(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRUSTPACK_LISTEN", "[::1]:8000")

    assert split_address(Settings().listen) == ("::1", 8000)


def test_a_misspelt_setting_in_the_environment_is_refused_by_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRUSTPACK_DATABASE_ULR", DSN)

    with pytest.raises(UnknownSetting, match="TRUSTPACK_DATABASE_ULR"):
        Settings()


def test_a_misspelt_setting_in_a_dot_env_file_is_refused_by_name(tmp_path: Path):
    (tmp_path / ".env").write_text("TRUSTPACK_LISTEN_PORT=9002\n")

    with pytest.raises(UnknownSetting, match="TRUSTPACK_LISTEN_PORT"):
        Settings()


def test_the_tests_own_variables_are_no_misspelt_settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRUSTPACK_TEST_ANYTHING", "1")

    Settings()


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_span_that_never_ends_stops_the_start(monkeypatch: pytest.MonkeyPatch, value: str):
    monkeypatch.setenv("TRUSTPACK_WORKER_POLL_SECONDS", value)

    with pytest.raises(ValidationError):
        Settings()


def test_a_password_in_a_url_is_not_printed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRUSTPACK_DATABASE_URL", DSN)

    settings = Settings()

    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == DSN


def test_a_setting_cannot_be_changed_while_the_process_runs():
    with pytest.raises(ValidationError):
        Settings().listen = "x:1"  # type: ignore[misc]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_does(name: str):
    assert Settings.model_fields[name].description


@pytest.mark.parametrize(
    "url", ["http://localhost:8000", "http://localhost", "https://console.example", "https://Console.Example:8443"]
)
def test_a_public_url_is_a_name_and_safe(monkeypatch: pytest.MonkeyPatch, url: str):
    monkeypatch.setenv("TRUSTPACK_PUBLIC_URL", url)

    assert Settings().public_url == url.lower()


def test_without_a_public_url_the_console_is_on_localhost_at_the_port_that_is_served(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRUSTPACK_LISTEN", "0.0.0.0:9001")

    assert Settings().console_url == "http://localhost:9001"
