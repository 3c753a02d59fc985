"""What must hold before traffic is sent here: database, schema, policy engine, its bundles, and the worker if it runs here."""

from __future__ import annotations

from psycopg import Error as DatabaseError

from trustpack.app.bootstrap import Container
from trustpack.capabilities.policy import PolicyError, PolicyOutcome
from trustpack.platform.migrations.runner import migrations

_OLDEST_POLL_SECONDS = 5.0
_MISSED_POLLS = 20
_BUNDLE_FAULTS = frozenset({PolicyOutcome.BUNDLE_INVALID, PolicyOutcome.BUNDLE_MISMATCH})


async def readiness(container: Container) -> dict[str, str]:
    """Return each check by name, `ok` or the reason why it does not hold."""
    return {**await _database(container), **await _policy(container), **_worker(container)}


async def _database(container: Container) -> dict[str, str]:
    try:
        async with container.app_pool.connection(timeout=2) as connection:
            cursor = await connection.execute("SELECT max(version) AS version FROM public.trustpack_migrations")
            row = await cursor.fetchone()
    except DatabaseError as error:
        return {"database": type(error).__name__, "migrations": "unknown"}
    newest = migrations()[-1].version
    found = row["version"] if row is not None else None
    return {"database": "ok", "migrations": "ok" if found == newest else f"the schema is at {found}, this version needs {newest}"}


async def _policy(container: Container) -> dict[str, str]:
    try:
        await container.gate.engine.health()
    except PolicyError as error:
        reason = error.outcome.value
        # An engine that answers from the wrong bundle lives; one that does not answer leaves open which bundle it has.
        return {"policy": "ok", "bundle": reason} if error.outcome in _BUNDLE_FAULTS else {"policy": reason, "bundle": "unknown"}
    return {"policy": "ok", "bundle": "ok"}


def _worker(container: Container) -> dict[str, str]:
    age = container.worker.poll_age_seconds
    if age is None:
        return {}
    is_late = age > max(_OLDEST_POLL_SECONDS, _MISSED_POLLS * container.worker.poll_seconds)
    return {"worker": f"the last poll that succeeded was {age:.0f} s ago" if is_late else "ok"}
