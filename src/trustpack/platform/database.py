"""Where the store is and who logs in to it: three logins, none of which can do another's work (architecture section 7)."""

from __future__ import annotations

import hmac
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from psycopg import AsyncConnection, ProgrammingError, conninfo
from psycopg.pq import PipelineStatus
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr

from trustpack.kernel.errors import ErrorKind, TrustpackError
from trustpack.platform.embedded_postgres import Cluster
from trustpack.platform.entropy import new_secret
from trustpack.platform.settings import Settings
from trustpack.platform.unit_of_work import Pool

APP_ROLE = "trustpack_app"
SYSTEM_ROLE = "trustpack_system"
DATABASE = "trustpack"
SYSTEM_POOL_SIZE = 2
"""The system role only looks for due work, one statement per poll."""
POOL_TIMEOUT_SECONDS = 10.0
_SESSION_OPTIONS = (
    # A request that waits longer than this for a lock has met a stuck transaction: better a clear 503 than a pile-up.
    "-c lock_timeout=5s -c statement_timeout=15s -c idle_in_transaction_session_timeout=30s -c timezone=UTC"
    # Each statement reads a few rows along an index: starting workers or compiling for it would take longer than reading them.
    " -c max_parallel_workers_per_gather=0 -c jit=off"
)
# A vanished machine must not keep its locks for hours (research/stack section 2.3).
_KEEPALIVE = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3", "tcp_user_timeout": "60000"}


class UnsafeDatabaseLogin(TrustpackError):
    """The application's login could step over row-level security, so nothing that it shows would be proven."""

    kind = ErrorKind.UNAVAILABLE
    code = "platform.unsafe_database_login"
    title = "The database login has too many rights"
    next_step = "Point TRUSTPACK_APP_DATABASE_URL to a role that is neither superuser, BYPASSRLS nor owner; `migrate` makes one."


@dataclass(frozen=True, slots=True)
class StoreLogins:
    """Connection URIs of the three logins: schema owner, request-serving application, and finder of due work."""

    owner: str | None
    app: str
    system: str


_STORE_OPTIONS: Final = ("shared_buffers=256MB", "wal_buffers=64MB", "max_wal_size=4GB")
"""More of what is read again and again stays in memory; writers wait neither for room in the log nor for checkpoints."""


def embedded_cluster(settings: Settings) -> Cluster:
    """Return the cluster that stands in for a server when no URL is set."""
    return Cluster(settings.data_dir.resolve() / "store", options=_STORE_OPTIONS)


def store_logins(settings: Settings) -> StoreLogins:
    """Work out the three logins from the settings; local role passwords are derived from a secret in the data directory."""
    if settings.database_url is None and settings.app_database_url is None:
        cluster = embedded_cluster(settings)
        return StoreLogins(
            owner=cluster.url(database=DATABASE),
            app=cluster.url(user=APP_ROLE, database=DATABASE),
            system=cluster.url(user=SYSTEM_ROLE, database=DATABASE),
        )
    owner = settings.database_url.get_secret_value() if settings.database_url else None
    return StoreLogins(
        owner=owner,
        app=_explicit_or_derived(settings, settings.app_database_url, owner=owner, role=APP_ROLE),
        system=_explicit_or_derived(settings, settings.system_database_url, owner=owner, role=SYSTEM_ROLE),
    )


def role_password(settings: Settings, role: str) -> str:
    """Return the password that `migrate` gives a role of ours and that the derived URLs use; the same on every call."""
    secret = read_or_make_secret(settings.data_dir / "local-secret")
    return hmac.new(secret.encode(), role.encode(), "sha256").hexdigest()


async def open_pool(url: str, *, size: int) -> Pool:
    """Open a pool of autocommit connections; `trustpack.platform.unit_of_work` opens the transactions on it."""
    pool: Pool = AsyncConnectionPool(
        url,
        connection_class=AsyncConnection[DictRow],
        kwargs={"autocommit": True, "row_factory": dict_row, "prepare_threshold": 0, "options": _SESSION_OPTIONS, **_KEEPALIVE},
        min_size=size,
        max_size=size,
        timeout=POOL_TIMEOUT_SECONDS,
        open=False,
        check=None,
        reset=_require_no_pipeline,
    )
    await pool.open(wait=True, timeout=POOL_TIMEOUT_SECONDS)
    return pool


async def _require_no_pipeline(connection: AsyncConnection[DictRow]) -> None:
    """Have the pool discard a connection whose pipeline did not end, as when it was cancelled while it began.

    Whatever is done on it next would keep its locks until somebody uses it again.
    """
    if connection.info.pipeline_status != PipelineStatus.OFF:
        raise ProgrammingError("the connection came back with an open pipeline")


async def require_powerless(pool: Pool) -> None:
    """Refuse to go on if the login behind the pool could bypass row-level security.

    Raises `UnsafeDatabaseLogin`.
    """
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR EXISTS (SELECT 1 FROM pg_class c"
            " WHERE c.relnamespace = 'trustpack'::regnamespace AND pg_has_role(current_user, c.relowner, 'MEMBER')) AS unsafe,"
            " current_user AS login FROM pg_roles WHERE rolname = current_user"
        )
        row = await cursor.fetchone()
    if row is None or row["unsafe"]:
        raise UnsafeDatabaseLogin(f"The login {row['login'] if row else '(unknown)'} could bypass row-level security.")


async def read_store_id(pool: Pool) -> str:
    """Return the id of this store, by which a target tells its grants from another store's."""
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT id::text FROM trustpack.store_identity")
        row = await cursor.fetchone()
    assert row is not None  # the migration made it
    return str(row["id"])


def read_or_make_secret(path: Path) -> str:
    """Return the secret kept in `path`, making it (readable by its owner only) on the first call.

    Safe to call from several processes and threads at once: one makes it, all read the same.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600 from the start
        draft = Path(name)
        with os.fdopen(descriptor, "w", encoding="ascii") as handle:
            handle.write(new_secret())
    try:
        # A hard link appears whole or not at all, and never replaces what another process has already made.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text(encoding="ascii")


def _explicit_or_derived(settings: Settings, explicit: SecretStr | None, *, owner: str | None, role: str) -> str:
    if explicit is not None:
        return explicit.get_secret_value()
    if owner is None:
        raise UnsafeDatabaseLogin(f"There is no URL for the role {role}.", next_step="Set TRUSTPACK_DATABASE_URL, or every URL.")
    return conninfo.make_conninfo(owner, user=role, password=role_password(settings, role))
