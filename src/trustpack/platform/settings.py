"""Every setting of the product, with its unit, default and reason; read from `TRUSTPACK_*` or a `.env` file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from trustpack.kernel.errors import ErrorKind, TrustpackError

_PREFIX = "trustpack_"
_HIGHEST_PORT = 65_535
_HOST_NAME = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+", re.ASCII)
_IP_ADDRESS = re.compile(r"[0-9.]+|.*:.*")


class UnknownSetting(TrustpackError):
    """A variable has our prefix and no setting's name: most often a misspelt one, which would have had no effect."""

    kind = ErrorKind.INVALID
    code = "platform.unknown_setting"
    title = "A setting is not known"
    next_step = "Correct its name or take it away; docs/reference/settings.md lists every setting."


def split_address(address: str) -> tuple[str, int]:
    """Split `host:port`, or `[host]:port` for IPv6, into its parts. Raises `ValueError`."""
    host, _, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    is_port = port.isascii() and port.isdigit() and int(port) <= _HIGHEST_PORT
    if not bare or (":" in bare) != host.startswith("[") or not is_port:
        raise ValueError("an address is host:port, such as 127.0.0.1:8000 or [::1]:8000")
    return bare, int(port)


def join_address(host: str, port: int) -> str:
    """Return `host:port`, with brackets around an IPv6 host."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _checked_address(address: str) -> str:
    split_address(address)
    return address


def _checked_public_url(url: str) -> str:
    parts = urlsplit(url)
    is_name = bool(parts.hostname) and not _IP_ADDRESS.fullmatch(parts.hostname or "")
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "localhost")
    if not (is_name and is_safe) or url.lower() != f"{parts.scheme}://{parts.netloc}".lower() or "@" in url:
        raise ValueError("a public URL is https:// and a name, or http://localhost, with a port if need be and without a path")
    return url.lower()


def _checked_host_names(names: str) -> str:
    if not all(_HOST_NAME.fullmatch(name.strip()) for name in names.split(",") if names):
        raise ValueError("trusted hosts are names or addresses separated by commas, without a scheme, a port or brackets")
    return names


Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Address = Annotated[str, AfterValidator(_checked_address)]
PublicUrl = Annotated[str, AfterValidator(_checked_public_url)]
HostNames = Annotated[str, AfterValidator(_checked_host_names)]


class Settings(BaseSettings):
    """The settings of one process. A field's description is its documentation (`docs/reference/settings.md`)."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX.upper(), env_file=".env", extra="ignore", frozen=True)

    data_dir: Path = Field(Path("var"), description="Where the embedded servers, local secrets and demo output live.")
    database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL 15 or newer, as the owner of the schema: used by `migrate`, and to derive the two URLs below. "
        "Empty: an embedded server in the data directory.",
    )
    app_database_url: SecretStr | None = Field(
        None,
        description="The login that serves requests: neither owner nor superuser. Empty: `trustpack_app` on the same server.",
    )
    system_database_url: SecretStr | None = Field(
        None, description="The login that finds due work of all tenants. Empty: `trustpack_system` on the same server."
    )
    database_pool_size: int = Field(16, ge=2, le=200, description="Connections of one process for requests; about 8 per core.")
    opa_url: str | None = Field(
        None, description="A real OPA server, such as `http://127.0.0.1:8181`. Empty: the embedded engine."
    )
    policy_dir: Path | None = Field(
        None, description="Directory of the compiled policy bundles. Empty: `policies/dist` of the source."
    )
    policy_deadline_ms: int = Field(
        150, ge=5, le=5000, description="Total time that one policy answer may take, in milliseconds."
    )
    public_url: PublicUrl | None = Field(
        None,
        description="Under which address people open the console, without a path. Passkeys are bound to its name, so it has one: "
        "`localhost` or a domain, and `https` for anything but `localhost`. Empty: `http://localhost` and the port of `LISTEN`.",
    )
    trusted_hosts: HostNames = Field(
        "",
        description="Names, separated by commas and without a port, under which the console's pages answer besides that of "
        "`PUBLIC_URL`; a console on `localhost` and a demo answer to `localhost`, `127.0.0.1` and `::1` anyway. The API answers "
        "to every name.",
    )
    listen: Address = Field(
        "127.0.0.1:8000", description="Address and port that `serve` binds to, as `host:port`; port 0 picks a free one."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    approval_window_seconds: int = Field(86_400, ge=1, description="How long a request waits for its approvals (24 h).")
    approval_use_by_seconds: int = Field(
        3_600, ge=1, description="How long an approved request may wait for its execution (1 h)."
    )
    quote_approval_window_seconds: int = Field(
        14 * 86_400, ge=1, description="How long a submitted quote waits for its approvals (14 days)."
    )
    quote_use_by_seconds: int = Field(
        30 * 86_400, ge=1, description="How long an approved quote may wait for its activation (30 days)."
    )
    approval_digest_required: bool = Field(False, description="Refuse a vote that does not name the digest that was shown.")
    team_lead_same_team: bool = Field(False, description="A team lead approves only for people of a common team.")
    execute_wait_seconds: Seconds = Field(
        10.0, description="How long `execute` and `revert` wait for the target before answering 202."
    )
    worker_poll_seconds: Seconds = Field(0.25, description="How often a worker looks for due work.")
    target_connect_seconds: Seconds = Field(5.0, description="How long one connection attempt to a target may take.")
    target_idle_session_seconds: float = Field(
        2.0,
        ge=0,
        le=10,
        allow_inf_nan=False,
        description="How long a session on a target stays open for the next call, at most 30 s in all; 0: every call logs in.",
    )
    max_body_bytes: int = Field(65_536, ge=1024, description="Largest request body, in bytes.")
    token_requests_per_second: float = Field(
        50.0,
        ge=0,
        allow_inf_nan=False,
        description="Requests that one token may send to one process in the long run; 0: no limit.",
    )
    token_request_burst: int = Field(200, ge=1, description="Requests that one token may send at once before the rate applies.")
    failed_sign_ins_per_minute: float = Field(
        10.0,
        ge=0,
        allow_inf_nan=False,
        description="Failed sign-ins of one client address, or of one name, in the long run; 0: no limit.",
    )
    forwarded_allow_ips: str = Field(
        "",
        description="Addresses of reverse proxies, separated by commas, whose `X-Forwarded-For` names the client. Such a proxy "
        "must overwrite what its caller sent. Empty: the client is whoever connects.",
    )
    failed_sign_in_burst: int = Field(
        20, ge=1, description="Failed sign-ins of one client address, or of one name, before the rate applies."
    )
    password_sign_in: bool = Field(False, description="Let people sign in by name and password, besides passkeys.")
    demo_sign_in: bool = Field(
        False,
        description="Let anybody sign in as anybody by one click. Refused with a store that holds a tenant not marked as demo.",
    )
    session_idle_seconds: int = Field(1_800, ge=120, description="How long a session lasts when it is left alone (30 min).")
    session_absolute_seconds: int = Field(43_200, ge=300, description="How long a session lasts at most (12 h).")
    recent_sign_in_seconds: int = Field(
        600, ge=1, description="For how long after a sign-in somebody may decide, execute or see credentials (10 min)."
    )
    request_receive_seconds: Seconds = Field(10.0, description="How long a client may take to send one request, head and body.")
    response_send_seconds: Seconds = Field(30.0, description="How long an answer may wait for a client that does not read it.")
    keep_alive_seconds: int = Field(5, ge=1, description="How long a connection may stay open between two requests.")
    max_connections: int = Field(
        500, ge=1, description="Open connections of one process; beyond it the one that has waited longest for its client goes."
    )
    max_streams: int = Field(
        250, ge=1, description="Open pages of one process that refresh themselves; each holds one of `MAX_CONNECTIONS`."
    )
    developer_pages: bool = Field(
        False, description="Serve `/switchboard/components`, which shows each part of a page in every state."
    )
    shutdown_grace_seconds: Seconds = Field(10.0, description="How long running requests and jobs may finish after SIGTERM.")

    @property
    def console_url(self) -> str:
        """The address under which people open the console."""
        return self.public_url or f"http://localhost:{split_address(self.listen)[1]}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the names are pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Refuse a `TRUSTPACK_*` name that is no setting, in the environment or the `.env` file.

        `TRUSTPACK_TEST_*` are the tests' own. Raises `UnknownSetting`.
        """
        for source in (env_settings, dotenv_settings):
            assert isinstance(source, EnvSettingsSource)
            for name in source.env_vars:
                field = name.lower().removeprefix(_PREFIX)
                if field != name.lower() and field not in cls.model_fields and not field.startswith("test_"):
                    raise UnknownSetting(f"{name.upper()} is no setting of this version.")
        return init_settings, env_settings, dotenv_settings
