"""The migrations on real databases: from nothing, again, step by step, and where they must stop."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.support.server_process import wait_until
from tests.support.store import running_cluster
from tests.support.tenant_rows import insert, made_up_row
from trustpack.platform.embedded_postgres import Cluster, free_port
from trustpack.platform.migrations.runner import MigrationFault, migrate, migrations

NAMES = tuple(step.name for step in migrations())
_databases = count(1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("migrations") / "store", options=("fsync=off",)) as made:
        yield made


@pytest.fixture
def database(cluster: Cluster) -> str:
    """The URL of an empty database."""
    return new_database(cluster)


@pytest.fixture(scope="module")
def fresh_schema(cluster: Cluster) -> str:
    """The schema that all migrations make in one run."""
    url = new_database(cluster)
    migrate(url)
    return schema_of(cluster, url)


def new_database(cluster: Cluster) -> str:
    name = f"database_{next(_databases)}"
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    return cluster.url(database=name)


def schema_of(cluster: Cluster, url: str) -> str:
    """Return what `pg_dump --schema-only` says, without the key that it makes up for each run."""
    dump = subprocess.run(
        [str(cluster.bin_path / "pg_dump"), "-s", "-d", url], capture_output=True, text=True, check=True, timeout=60
    )
    return "\n".join(line for line in dump.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))


def change_history(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]


def test_a_fresh_database_gets_every_migration_in_order(database: str):
    assert migrate(database) == NAMES


def test_versions_are_1_to_n_without_a_gap():
    assert [step.version for step in migrations()] == list(range(1, len(NAMES) + 1))


def test_migrating_twice_changes_nothing(cluster: Cluster, database: str, fresh_schema: str):
    migrate(database)

    again = migrate(database)

    assert again == ()
    assert schema_of(cluster, database) == fresh_schema


@pytest.mark.parametrize("first", [step.version for step in migrations()])
def test_a_database_of_an_older_version_reaches_the_same_schema(cluster: Cluster, database: str, fresh_schema: str, first: int):
    before = migrate(database, upto=first)

    after = migrate(database)

    assert (*before, *after) == NAMES
    assert len(before) == first
    assert schema_of(cluster, database) == fresh_schema


def test_each_applied_file_is_remembered_with_its_digest(database: str):
    migrate(database)

    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT version, name, digest FROM public.trustpack_migrations ORDER BY version").fetchall()

    assert found == [(step.version, step.name, step.digest) for step in migrations()]


def test_a_file_that_was_changed_after_it_had_been_applied_stops_the_run(database: str):
    migrate(database, upto=1)
    change_history(database, "UPDATE public.trustpack_migrations SET digest = 'another' WHERE version = 1")

    with pytest.raises(MigrationFault, match=r"0001_foundation\.sql was changed"):
        migrate(database)

    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT max(version) FROM public.trustpack_migrations").fetchone() == (1,)


def test_a_database_newer_than_this_version_stops_the_run(database: str):
    migrate(database, upto=1)
    change_history(
        database,
        "INSERT INTO public.trustpack_migrations (version, name, digest, duration_ms) VALUES (9999, 'later', 'later', 1)",
    )

    with pytest.raises(MigrationFault, match="9999"):
        migrate(database)

    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT to_regclass('trustpack.receipts')").fetchone() == (None,)


def test_a_gap_in_what_was_applied_stops_the_run(database: str):
    migrate(database)
    change_history(database, "DELETE FROM public.trustpack_migrations WHERE version = 2")

    with pytest.raises(MigrationFault):
        migrate(database)


def test_runners_that_start_at_once_apply_each_file_once(database: str):
    applied: list[str] = []

    def run() -> None:
        applied.extend(migrate(database))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert tuple(applied) == NAMES


def test_a_migration_gives_way_to_a_held_lock_and_succeeds_once_it_is_released(database: str):
    migrate(database, upto=5)
    applied: list[str] = []
    runner = threading.Thread(target=lambda: applied.extend(migrate(database)))

    with psycopg.connect(database, autocommit=True) as watcher:

        def is_waiting() -> bool:
            row = watcher.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'").fetchone()
            return row != (0,)

        with psycopg.connect(database) as holder:
            holder.execute("LOCK TABLE trustpack.people IN ROW EXCLUSIVE MODE")
            runner.start()
            wait_until(is_waiting, seconds=60, what="the second run to wait")
            wait_until(lambda: not is_waiting(), seconds=60, what="the second run to go on")
            gave_way_with = list(applied)
        runner.join(timeout=60)

    assert gave_way_with == []
    assert tuple(applied) == NAMES[5:]


def test_a_migration_that_fails_leaves_nothing_of_itself(database: str):
    migrate(database, upto=1)
    change_history(database, "CREATE TABLE trustpack.usage_events (x int)")

    with pytest.raises(psycopg.errors.DuplicateTable):
        migrate(database)

    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT to_regclass('trustpack.receipts')").fetchone() == (None,)
        assert connection.execute("SELECT max(version) FROM public.trustpack_migrations").fetchone() == (1,)


def test_requests_that_were_there_are_listed_under_each_of_their_teams_once(database: str):
    migrate(database, upto=18)
    with psycopg.connect(database, row_factory=dict_row) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")  # no trigger asks for a receipt
        made_up = made_up_row(connection, "high_risk_requests", "tenant-1")
        insert(connection, "high_risk_requests", {**made_up, "id": "one", "requester_team_ids": ["a", "b", "a"]})
        insert(connection, "high_risk_requests", {**made_up, "id": "two", "requester_team_ids": []})

    migrate(database)

    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT tenant_id, team_id, request_id FROM trustpack.request_teams ORDER BY 2").fetchall()
    assert found == [("tenant-1", "a", "one"), ("tenant-1", "b", "one")]


@pytest.mark.parametrize("table", ["high_risk_requests", "quotes"])
def test_what_was_there_is_found_by_the_roles_that_it_requires(database: str, table: str):
    migrate(database, upto=19)
    with psycopg.connect(database, row_factory=dict_row) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")  # no trigger asks for a receipt
        made_up = made_up_row(connection, table, "tenant-1")
        insert(connection, table, {**made_up, "id": "one", "required_approvals": ["manager", "finance"]})
        insert(connection, table, {**made_up, "id": "two", "external_id": "two", "required_approvals": []})

    migrate(database)

    with psycopg.connect(database) as connection:
        found = connection.execute(f"SELECT id, required_roles FROM trustpack.{table} ORDER BY id").fetchall()  # type: ignore[arg-type]
    assert found == [("one", "manager finance"), ("two", "")]


def test_opportunities_that_were_there_say_who_brought_them_in(database: str):
    migrate(database, upto=24)
    with psycopg.connect(database, row_factory=dict_row) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")  # no trigger asks for a receipt
        lead = made_up_row(connection, "leads", "tenant-1")
        insert(connection, "leads", {**lead, "id": "lead_1", "created_by": "usr_1"})
        insert(connection, "leads", {**lead, "tenant_id": "tenant-2", "id": "lead_1", "created_by": "usr_2"})
        opportunity = made_up_row(connection, "opportunities", "tenant-1")
        for tenant in ("tenant-1", "tenant-2"):
            insert(connection, "opportunities", {**opportunity, "tenant_id": tenant, "id": "opp_1", "lead_id": "lead_1"})

    migrate(database)

    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT tenant_id, brought_by FROM trustpack.opportunities ORDER BY 1").fetchall()
    assert found == [("tenant-1", "usr_1"), ("tenant-2", "usr_2")]


def test_the_login_roles_have_no_power(cluster: Cluster, fresh_schema: str):
    with psycopg.connect(cluster.url()) as connection:
        found = connection.execute(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles"
            " WHERE rolname LIKE 'trustpack%' ORDER BY rolname"
        ).fetchall()

    assert found == [(name, False, False, False, False, False) for name in ("trustpack_app", "trustpack_system")]


def test_a_server_that_asks_for_passwords_gets_verifiers_and_never_the_password(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    passwords = {"trustpack_app": "hunter2-app", "trustpack_system": "hunter2-system"}
    options = ("log_statement=all",)

    with running_cluster(tmp_path / "server", password="owner", port=free_port(), options=options) as server:
        migrate(server.url(), role_passwords=passwords)

        for role, password in passwords.items():
            with psycopg.connect(server.url(user=role, password=password)) as connection:
                assert connection.execute("SELECT current_user").fetchone() == (role,)
        assert "hunter2" not in server.log_path.read_text()
