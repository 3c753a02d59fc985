"""The HTTP application: routes of every capability, health, readiness, metrics, and the worker beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg import Error as DatabaseError
from starlette.middleware import Middleware

from trustpack import __version__
from trustpack.app import console
from trustpack.app.bootstrap import Container
from trustpack.app.contract import Application, operation_id
from trustpack.app.finding import finder_of
from trustpack.app.readiness import readiness
from trustpack.app.signals import signals_of
from trustpack.app.subjects import require_readable
from trustpack.capabilities.directory.pages.views import Present
from trustpack.capabilities.evidence.api import router as evidence_router
from trustpack.capabilities.operations.api import router as operations_router
from trustpack.capabilities.operations.service.context import REVERT_JOB
from trustpack.capabilities.operations.service.reconciling import read_drift
from trustpack.capabilities.policy.api import build_router as policy_router
from trustpack.capabilities.revops.api import router as revops_router
from trustpack.platform.auth.hosts import trusted_names
from trustpack.platform.auth.limits import FailedAttempts
from trustpack.platform.jobs import read_backlog
from trustpack.platform.telemetry import metrics
from trustpack.platform.web import problems
from trustpack.platform.web.middleware import RequestFrame
from trustpack.platform.web.rate_limits import Buckets, RateLimits

_SECONDS_PER_MINUTE = 60
_log = structlog.get_logger(__name__)


def build_app(
    container: Container,
    *,
    with_worker: bool,
    on_worker_end: Callable[[], None] | None = None,
    show: Present = console.present,
) -> FastAPI:
    """Return the application on an open container; with `with_worker` it also does the due work.

    `on_worker_end` is called when the worker ends although nobody stopped it; `show` makes the directory's pages.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        stop = asyncio.Event()
        worker = asyncio.create_task(container.worker.run(stop)) if with_worker else None

        def say_that_it_ended(task: asyncio.Task[None]) -> None:
            if stop.is_set():
                return
            _log.critical("worker_ended", exc_info=None if task.cancelled() else task.exception())
            if on_worker_end is not None:
                on_worker_end()

        if worker is not None:
            worker.add_done_callback(say_that_it_ended)
        try:
            yield
        finally:
            stop.set()
            if worker is not None:
                await asyncio.wait({worker})
            await container.runner.drain(grace_seconds=container.settings.shutdown_grace_seconds)

    settings = container.settings
    signals = signals_of(container)
    site = console.build_site(
        container.unit_of_work.clock,
        public_url=settings.console_url,
        trusted_hosts=trusted_names(settings.console_url, more=settings.trusted_hosts, is_demo=settings.demo_sign_in),
        finders=(finder_of(container.unit_of_work),),
        counts=console.counts_of(container.unit_of_work, container.operations),
        home=console.home_of(container.unit_of_work, container.operations, container.revops),
        position=signals.position,
        developer_pages=settings.developer_pages,
    )
    failures_per_second = settings.failed_sign_ins_per_minute / _SECONDS_PER_MINUTE
    by_address, by_name = (Buckets(per_second=failures_per_second, burst=settings.failed_sign_in_burst) for _ in range(2))
    app = Application(
        title="Trust & Proof Pack",
        version=__version__,
        description="Governed flows: policy decides, the right people approve, the effect ends on time, receipts stay.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
        middleware=[
            console.frame_of(site, container.unit_of_work.ids),
            Middleware(RequestFrame, ids=container.unit_of_work.ids, max_body_bytes=settings.max_body_bytes),
            Middleware(
                RateLimits,
                tokens=Buckets(per_second=settings.token_requests_per_second, burst=settings.token_request_burst),
                failed_sign_ins=by_address,
            ),
        ],
    )
    app.state.unit_of_work = container.unit_of_work
    app.state.operations = container.operations
    app.state.revops = container.revops
    app.state.signals = signals
    app.state.job_runner = container.runner
    app.state.sign_in = container.sign_in
    app.state.failed_attempts = FailedAttempts(addresses=by_address, names=by_name)
    problems.install(app)
    app.include_router(operations_router)
    app.include_router(policy_router(container.unit_of_work, require_readable))
    app.include_router(evidence_router)
    app.include_router(revops_router)
    console.mount(app, site, developer_pages=settings.developer_pages)
    console.mount_capabilities(app, show=show)

    @app.get("/healthz", tags=["service"], summary="Say that the process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    @app.get(
        "/readyz",
        tags=["service"],
        summary="Say whether requests can be served",
        responses={503: {"description": "Some check failed", "content": {"application/json": {"schema": {"type": "object"}}}}},
    )
    async def readyz(response: Response) -> dict[str, object]:
        checks = await readiness(container)
        ready = all(check == "ok" for check in checks.values())
        response.status_code = 200 if ready else 503
        return {"ready": ready, "checks": checks}

    @app.get("/metrics", tags=["service"], include_in_schema=False)
    async def show_metrics() -> Response:
        await _measure_backlog(container)
        await _measure_drift(container)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


async def _measure_backlog(container: Container) -> None:
    # Asked of the store here, and not kept by the worker: it may run in another process, or nowhere.
    try:
        backlog = await read_backlog(container.system_pool, now=container.unit_of_work.clock.now())
    except DatabaseError:
        backlog = None
    unknown = float("nan")
    metrics.JOBS_DUE.set(unknown if backlog is None else backlog.due)
    metrics.JOBS_OLDEST_DUE_SECONDS.set(unknown if backlog is None else backlog.oldest_due_seconds)
    retrying = {} if backlog is None else backlog.retrying
    absent = unknown if backlog is None else 0
    for kind in {*container.runner.kinds, *retrying}:
        metrics.JOBS_RETRYING.labels(kind=kind).set(retrying.get(kind, absent))
    metrics.REVERTS_UNPROVEN.set(retrying.get(REVERT_JOB, absent))


async def _measure_drift(container: Container) -> None:
    metrics.TARGET_DRIFT.clear()
    metrics.TARGET_COMPARED_SECONDS.clear()
    with suppress(DatabaseError):  # unknown is shown as absent; a target that is fine shows the time of its comparison
        for target in await read_drift(container.operations):
            succeeded_at = target.succeeded_at
            age = float("inf") if succeeded_at is None else (container.unit_of_work.clock.now() - succeeded_at).total_seconds()
            metrics.TARGET_COMPARED_SECONDS.labels(target=target.target_name).set(age)
            for code, count in target.findings.items():
                metrics.TARGET_DRIFT.labels(code=code, target=target.target_name).set(count)
