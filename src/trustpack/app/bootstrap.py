"""Build everything that a process needs, once, from its settings; take it down in the reverse order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg

from trustpack.capabilities import policy
from trustpack.capabilities.directory import SessionLimits
from trustpack.capabilities.directory.adapters.demo import DemoSignIn
from trustpack.capabilities.directory.adapters.passkey import PasskeySignIn
from trustpack.capabilities.directory.adapters.password import PasswordSignIn
from trustpack.capabilities.directory.service.context import SignIn
from trustpack.capabilities.directory.service.demo import require_demo_store
from trustpack.capabilities.operations.adapters.postgres.adapter import PostgresTargetAdapter
from trustpack.capabilities.operations.adapters.record import RecordTargetAdapter
from trustpack.capabilities.operations.jobs import TargetWatch, job_handlers, most_of_kind
from trustpack.capabilities.operations.service.context import Operations, adapters_by_kind, limits_of
from trustpack.capabilities.revops.jobs import job_handlers as revops_handlers
from trustpack.capabilities.revops.service.context import RevOps
from trustpack.kernel.clock import Clock
from trustpack.platform.auth.passkeys import Authenticators
from trustpack.platform.auth.passwords import Passwords
from trustpack.platform.auth.ports import SignInMethod
from trustpack.platform.database import (
    APP_ROLE,
    DATABASE,
    SYSTEM_POOL_SIZE,
    SYSTEM_ROLE,
    embedded_cluster,
    open_pool,
    read_store_id,
    require_powerless,
    role_password,
    store_logins,
)
from trustpack.platform.entropy import SystemIds
from trustpack.platform.jobs import JobRunner, Worker
from trustpack.platform.migrations.runner import migrate
from trustpack.platform.secret_files import SecretFiles
from trustpack.platform.settings import Settings
from trustpack.platform.system_clock import SystemClock
from trustpack.platform.unit_of_work import Pool, UnitOfWork
from trustpack.platform.web.idempotency import sweep_handlers


@dataclass(frozen=True, slots=True)
class Container:
    """The running parts of one process."""

    settings: Settings
    unit_of_work: UnitOfWork
    app_pool: Pool
    system_pool: Pool
    gate: policy.PolicyGate
    operations: Operations
    revops: RevOps
    sign_in: SignIn
    runner: JobRunner
    worker: Worker


def prepare_store(settings: Settings) -> tuple[str, ...]:
    """Start the embedded server if it is used, bring the schema up to date, and return the migrations applied.

    Raises `EmbeddedPostgresError`, `MigrationFault`.
    """
    start_embedded_store(settings)
    logins = store_logins(settings)
    if logins.owner is None:
        return ()
    if settings.database_url is None:
        return migrate(logins.owner)
    return migrate(logins.owner, role_passwords={role: role_password(settings, role) for role in (APP_ROLE, SYSTEM_ROLE)})


def start_embedded_store(settings: Settings) -> bool:
    """Have the embedded server running with its database, if it is used; return whether it is."""
    if settings.database_url is not None or settings.app_database_url is not None:
        return False
    cluster = embedded_cluster(settings)
    cluster.ensure_running()
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(DATABASE)))
    return True


@asynccontextmanager
async def open_container(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[Container]:
    """Open pools, policy engine and adapters on a migrated store; close them at the end.

    Raises `UnsafeDatabaseLogin` if the application's login could bypass row-level security, `DemoSignInRefused` if anybody could
    sign in by one click to a store that is not a demo's.
    """
    the_clock = clock or SystemClock()
    ids = SystemIds(the_clock)
    logins = store_logins(settings)
    async with AsyncExitStack() as stack:
        app_pool = await open_pool(logins.app, size=settings.database_pool_size)
        stack.push_async_callback(app_pool.close)
        await require_powerless(app_pool)
        system_pool = await open_pool(logins.system, size=SYSTEM_POOL_SIZE)
        stack.push_async_callback(system_pool.close)
        await require_powerless(system_pool)
        unit_of_work = UnitOfWork(app_pool, clock=the_clock, ids=ids)
        if settings.demo_sign_in:
            await require_demo_store(system_pool)
        gate = _policy_gate(settings, the_clock)
        stack.push_async_callback(gate.engine.close)
        store_id = await read_store_id(app_pool)
        postgres_targets = PostgresTargetAdapter(
            resolve_secret=SecretFiles(settings.data_dir).resolve,
            ids=ids,
            issuer=store_id,
            connect_timeout_seconds=settings.target_connect_seconds,
            idle_session_seconds=settings.target_idle_session_seconds,
        )
        stack.push_async_callback(postgres_targets.aclose)
        operations = Operations(
            unit_of_work=unit_of_work,
            system_pool=system_pool,
            store_id=store_id,
            gate=gate,
            adapters=adapters_by_kind(
                record=RecordTargetAdapter(settings.data_dir / "recorded-targets", clock=the_clock),
                postgres=postgres_targets,
            ),
            limits=limits_of(settings),
        )
        revops = RevOps(
            unit_of_work=unit_of_work,
            gate=gate,
            approval_window_seconds=settings.quote_approval_window_seconds,
            use_by_seconds=settings.quote_use_by_seconds,
            digest_required=settings.approval_digest_required,
        )
        handlers = {**job_handlers(operations), **revops_handlers(revops), **sweep_handlers(unit_of_work)}
        runner = JobRunner(unit_of_work, handlers)
        worker = Worker(
            runner,
            system_pool=system_pool,
            unit_of_work=unit_of_work,
            poll_seconds=settings.worker_poll_seconds,
            most_of_kind=most_of_kind(),
            tick=TargetWatch(operations),
        )
        sign_in = _sign_in(settings, unit_of_work, system_pool)
        yield Container(settings, unit_of_work, app_pool, system_pool, gate, operations, revops, sign_in, runner, worker)


def _sign_in(settings: Settings, unit_of_work: UnitOfWork, system_pool: Pool) -> SignIn:
    authenticators = Authenticators(settings.console_url)
    passwords = Passwords() if settings.password_sign_in else None
    methods: list[SignInMethod] = [PasskeySignIn(unit_of_work, authenticators)]
    if passwords is not None:
        methods.append(PasswordSignIn(unit_of_work, passwords))
    if settings.demo_sign_in:
        methods.append(DemoSignIn(unit_of_work, system_pool))
    return SignIn(
        unit_of_work=unit_of_work,
        system_pool=system_pool,
        methods={method.name: method for method in methods},
        authenticators=authenticators,
        passwords=passwords,
        limits=SessionLimits(
            idle=timedelta(seconds=settings.session_idle_seconds),
            absolute=timedelta(seconds=settings.session_absolute_seconds),
            recent=timedelta(seconds=settings.recent_sign_in_seconds),
        ),
        public_url=settings.console_url,
    )


def _policy_gate(settings: Settings, clock: Clock) -> policy.PolicyGate:
    bundles = policy.load_bundles(policy_directory(settings))
    deadline = settings.policy_deadline_ms / 1000
    engine: policy.PolicyEngine
    if settings.opa_url is not None:
        engine = policy.OpaServer(bundles, url=settings.opa_url, deadline_seconds=deadline)
    else:
        engine = policy.EmbeddedEngine(bundles, deadline_seconds=deadline)
    return policy.PolicyGate(engine, bundles=bundles, clock=clock)


def policy_directory(settings: Settings) -> Path:
    """Return where the compiled policies lie: as set, or beside the source tree."""
    return settings.policy_dir or Path(__file__).resolve().parents[3] / "policies" / "dist"
