"""Health, readiness, metrics, and the logins that the process refuses to start with."""

from __future__ import annotations

from pathlib import Path

import httpx2
import psycopg
import pytest
from pydantic import SecretStr

from tests.support.store import as_owner
from trustpack.app.bootstrap import Container, open_container
from trustpack.platform.database import UnsafeDatabaseLogin, open_pool, require_powerless, store_logins
from trustpack.platform.settings import Settings


async def test_health_says_that_the_process_lives(http: httpx2.AsyncClient):
    response = await http.get("/healthz")

    assert (response.status_code, response.json()["status"]) == (200, "ok")


async def test_the_bare_address_leads_to_the_console_and_is_no_part_of_the_api(http: httpx2.AsyncClient):
    response = await http.get("/")

    assert (response.status_code, response.headers["location"]) == (303, "/switchboard")
    assert "/" not in (await http.get("/openapi.json")).json()["paths"]


async def test_a_process_with_database_schema_and_policy_is_ready(http: httpx2.AsyncClient):
    response = await http.get("/readyz")

    assert (response.status_code, response.json()["ready"]) == (200, True)
    assert set(response.json()["checks"].values()) == {"ok"}


@pytest.mark.parametrize(
    ("breaking", "mending"),
    [
        (
            "INSERT INTO public.trustpack_migrations (version, name, digest, duration_ms) VALUES (9999, 'later', 'x', 1)",
            "DELETE FROM public.trustpack_migrations WHERE version = 9999",
        ),
        (
            "UPDATE public.trustpack_migrations SET version = -version",
            "UPDATE public.trustpack_migrations SET version = -version",
        ),
    ],
    ids=["a newer schema", "an older schema"],
)
async def test_a_process_on_another_schema_is_not_ready(
    http: httpx2.AsyncClient, settings: Settings, breaking: str, mending: str
):
    with as_owner(settings) as connection:
        connection.execute(breaking)  # type: ignore[arg-type]
        try:
            response = await http.get("/readyz")
        finally:
            connection.execute(mending)  # type: ignore[arg-type]

    assert (response.status_code, response.json()["ready"]) == (503, False)
    assert response.json()["checks"]["migrations"] != "ok"


@pytest.mark.parametrize("name", ["trustpack_http_requests_total", "trustpack_transitions_total", "trustpack_jobs_due"])
async def test_metrics_are_served_for_prometheus(http: httpx2.AsyncClient, name: str):
    response = await http.get("/metrics")

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    assert f"# TYPE {name.removesuffix('_total')}" in response.text


async def test_no_metric_is_labelled_with_an_id(http: httpx2.AsyncClient):
    await http.get("/high-risk-ops/requests/hro_0199aaaabbbbccccddddeeeeffff0000")

    assert "hro_0199" not in (await http.get("/metrics")).text


async def test_the_applications_login_is_accepted(container: Container):
    await require_powerless(container.app_pool)


async def test_the_owners_login_is_refused(settings: Settings):
    owner = store_logins(settings).owner
    assert owner is not None
    pool = await open_pool(owner, size=1)

    with pytest.raises(UnsafeDatabaseLogin):
        await require_powerless(pool)

    await pool.close()


@pytest.mark.parametrize(
    "power",
    ["SUPERUSER", "BYPASSRLS", "CREATEROLE", "IN ROLE trustpack_test_owner", "NOINHERIT IN ROLE trustpack_test_owner"],
)
async def test_a_login_with_one_power_too_many_is_refused(settings: Settings, power: str):
    login = "trustpack_test_login"
    with as_owner(settings) as connection:
        connection.execute("CREATE ROLE trustpack_test_owner NOLOGIN")
        connection.execute(f"CREATE ROLE {login} LOGIN {power} PASSWORD 'test'")  # type: ignore[arg-type]
        connection.execute(f"GRANT USAGE ON SCHEMA trustpack TO {login}")  # type: ignore[arg-type]
        connection.execute("CREATE TABLE trustpack.zz_owned_by_test (tenant_id text)")
        connection.execute("ALTER TABLE trustpack.zz_owned_by_test OWNER TO trustpack_test_owner")
        url = psycopg.conninfo.make_conninfo(store_logins(settings).app, user=login, password="test")
        try:
            pool = await open_pool(url, size=1)
            with pytest.raises(UnsafeDatabaseLogin):
                await require_powerless(pool)
            await pool.close()
        finally:
            connection.execute("DROP TABLE trustpack.zz_owned_by_test")
            connection.execute(f"DROP OWNED BY {login}")  # type: ignore[arg-type]
            connection.execute(f"DROP ROLE {login}")  # type: ignore[arg-type]
            connection.execute("DROP ROLE trustpack_test_owner")


async def test_a_process_does_not_open_with_the_owners_login(settings: Settings):
    logins = store_logins(settings)
    assert logins.owner is not None
    unsafe = settings.model_copy(
        update={
            "database_url": SecretStr(logins.owner),
            "app_database_url": SecretStr(logins.owner),
            "system_database_url": SecretStr(logins.system),
        }
    )

    with pytest.raises(UnsafeDatabaseLogin):
        async with open_container(unsafe):
            pytest.fail("it opened")


def test_derived_urls_name_our_roles_and_a_password_that_stays_the_same(tmp_path: Path):
    settings = Settings(
        data_dir=tmp_path, database_url=SecretStr("postgresql://owner:o@db.example/trustpack?sslmode=require"), _env_file=None
    )

    once, again = store_logins(settings), store_logins(settings)

    parsed = {role: psycopg.conninfo.conninfo_to_dict(url) for role, url in (("app", once.app), ("system", once.system))}
    assert once == again
    assert [parts["user"] for parts in parsed.values()] == ["trustpack_app", "trustpack_system"]
    assert parsed["app"]["password"] != parsed["system"]["password"]
    assert {(parts["host"], parts["dbname"], parts["sslmode"]) for parts in parsed.values()} == {
        ("db.example", "trustpack", "require")
    }
