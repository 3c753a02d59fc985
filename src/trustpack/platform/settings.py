"""Every setting of the product, with its unit, default and reason; read from `TRUSTPACK_*` or a `.env` file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """The settings of one process. A field's description is its documentation (`docs/reference/settings.md`)."""

    model_config = SettingsConfigDict(env_prefix="TRUSTPACK_", env_file=".env", extra="ignore", frozen=True)

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
    listen_host: str = Field("127.0.0.1", description="Address that `serve` binds to.")
    listen_port: int = Field(8000, ge=0, le=65535, description="Port that `serve` binds to; 0 picks a free one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    approval_window_seconds: int = Field(86_400, ge=1, description="How long a request waits for its approvals (24 h).")
    approval_use_by_seconds: int = Field(
        3_600, ge=1, description="How long an approved request may wait for its execution (1 h)."
    )
    approval_digest_required: bool = Field(False, description="Refuse a vote that does not name the digest that was shown.")
    team_lead_same_team: bool = Field(False, description="A team lead approves only for people of a common team.")
    execute_wait_seconds: Seconds = Field(
        10.0, description="How long `execute` and `revert` wait for the target before answering 202."
    )
    worker_poll_seconds: Seconds = Field(0.25, description="How often a worker looks for due work.")
    target_connect_seconds: Seconds = Field(5.0, description="How long one connection attempt to a target may take.")
    max_body_bytes: int = Field(65_536, ge=1024, description="Largest request body, in bytes.")
    shutdown_grace_seconds: Seconds = Field(10.0, description="How long running requests and jobs may finish after SIGTERM.")
