"""What must hold before traffic is sent here: database, schema, policy engine and its bundle."""

from __future__ import annotations

from psycopg import Error as DatabaseError
from psycopg_pool import PoolTimeout

from trustpack.app.bootstrap import Container
from trustpack.capabilities.policy import PolicyError
from trustpack.platform.migrations.runner import migrations


async def readiness(container: Container) -> dict[str, str]:
    """Return each check by name, `ok` or the reason why it does not hold."""
    return {**await _database(container), "policy": await _policy(container)}


async def _database(container: Container) -> dict[str, str]:
    try:
        async with container.app_pool.connection(timeout=2) as connection:
            cursor = await connection.execute("SELECT max(version) AS version FROM public.trustpack_migrations")
            row = await cursor.fetchone()
    except (DatabaseError, PoolTimeout) as error:
        return {"database": type(error).__name__, "migrations": "unknown"}
    newest = migrations()[-1].version
    found = row["version"] if row is not None else None
    return {"database": "ok", "migrations": "ok" if found == newest else f"the schema is at {found}, this version needs {newest}"}


async def _policy(container: Container) -> str:
    try:
        await container.gate.engine.health()
    except PolicyError as error:
        return error.outcome.value
    return "ok"
