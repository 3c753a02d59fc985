"""`trustpack revops import`, run as a person runs it; and killed in the middle."""

from __future__ import annotations

import asyncio
import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from tests.support.deals import Deals
from tests.support.importing import count_of, csv_bytes, is_held_up, lead, sizes, taking_mailbox
from tests.support.server_process import PATIENT, wait_until
from tests.support.store import rows_as_owner
from trustpack.app.bootstrap import open_container
from trustpack.capabilities.revops.cli import revops_app
from trustpack.capabilities.revops.model import InvalidImportFile
from trustpack.capabilities.revops.service.importing import BATCH_ROWS
from trustpack.platform.database import store_logins
from trustpack.platform.settings import Settings

Command = Callable[..., Any]


@pytest.fixture
def invoke(settings: Settings) -> Command:
    """Run a command in a thread with a loop of its own, as the program does."""

    def in_flow(work: Any) -> Any:
        async def run() -> Any:
            async with open_container(settings.model_copy(update={"database_pool_size": 2})) as container:
                return await work(container.revops)

        return asyncio.run(run())

    program = typer.Typer()
    program.add_typer(revops_app(in_flow, in_flow), name="revops")

    async def call(kind: str, file: Path, deals: Deals, *options: str) -> Result:
        arguments = ["revops", "import", kind, str(file), "--tenant", deals.world.tenant_id, *options]
        return await asyncio.to_thread(CliRunner().invoke, program, arguments)

    return call


def written(path: Path, *rows: dict[str, str]) -> Path:
    path.write_bytes(csv_bytes(rows))
    return path


async def test_a_good_file_ends_with_0_and_says_how_many(deals: Deals, invoke: Command, tmp_path: Path) -> None:
    leads = written(tmp_path / "leads.csv", lead(1), lead(2))
    quotes = written(
        tmp_path / "quotes.csv",
        {"external_id": "Q-1", "lead_external_id": "crm-1", "currency": "USD", "amount": "1000.00", "discount_percent": "5"},
    )

    first, second = await invoke("leads", leads, deals), await invoke("quotes", quotes, deals)

    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    assert "2 leads: 2 created, 0 unchanged, 0 duplicate, 0 conflict, 0 failed;" in first.stdout
    assert "1 quotes: 1 created" in second.stdout
    assert first.stderr == ""


async def test_a_wrong_row_ends_with_1_and_is_told_with_what_to_do(deals: Deals, invoke: Command, tmp_path: Path) -> None:
    file = written(tmp_path / "leads.csv", lead(1), lead(2, email="[red]"), lead(1))
    errors = tmp_path / "faults.csv"

    result = await invoke("leads", file, deals, "--errors", str(errors))

    assert result.exit_code == 1
    assert "1 created, 0 unchanged, 0 duplicate, 0 conflict, 2 failed" in result.stdout
    assert "  line 3, crm-2, email: failed: expected an address such as jo@acme.com. Correct the cell" in result.stdout
    with errors.open(encoding="utf-8", newline="") as source:
        header, *rows = csv.reader(source)
    assert header == ["line", "external_id", "column", "what is wrong", "what to do"]
    assert [row[:3] for row in rows] == [["3", "crm-2", "email"], ["4", "crm-1", "external_id"]]
    assert all(row[3].startswith("failed: ") and row[4] for row in rows)


async def test_a_conflict_ends_with_1(deals: Deals, invoke: Command, tmp_path: Path) -> None:
    await invoke("leads", written(tmp_path / "leads.csv", lead(1)), deals)

    result = await invoke("leads", written(tmp_path / "leads.csv", lead(1, company="Other")), deals)

    assert result.exit_code == 1
    assert "conflict: was imported with other content" in result.stdout


async def test_a_dry_run_says_so_and_keeps_nothing(deals: Deals, invoke: Command, tmp_path: Path) -> None:
    before = sizes(deals.world)

    result = await invoke("leads", written(tmp_path / "leads.csv", lead(1)), deals, "--dry-run")

    assert result.exit_code == 0
    assert "1 leads, as a dry run that changed nothing: 1 created" in result.stdout
    assert sizes(deals.world) == before


async def test_only_a_hundred_faults_are_shown_and_all_are_in_the_file(deals: Deals, invoke: Command, tmp_path: Path) -> None:
    file = written(tmp_path / "leads.csv", *(lead(number, email="x") for number in range(150)))
    errors = tmp_path / "faults.csv"

    result = await invoke("leads", file, deals, "--errors", str(errors))

    assert result.stdout.count("expected an address") == 100
    assert "  and 50 more; --errors FILE has all of them\n" in result.stdout
    assert errors.read_text(encoding="utf-8").count("expected an address") == 150


def test_columns_that_do_not_fit_are_named_before_the_store_is_opened(tmp_path: Path) -> None:
    def opened(*_: object) -> Any:
        raise AssertionError("the store was opened")

    program = typer.Typer()
    program.add_typer(revops_app(opened, opened), name="revops")
    file = written(tmp_path / "leads.csv", {"external_id": "1", "mail": "x"})

    result = CliRunner().invoke(program, ["revops", "import", "leads", str(file), "--tenant", "acme"])

    assert isinstance(result.exception, InvalidImportFile)
    assert {error["field"] for error in result.exception.data["errors"]} == {"mail", "email", "company", "segment"}


async def test_the_file_to_import_is_not_overwritten_by_its_own_faults(deals: Deals, invoke: Command, tmp_path: Path) -> None:
    file = written(tmp_path / "leads.csv", lead(1))
    before = file.read_bytes()

    result = await invoke("leads", file, deals, "--errors", str(file))

    assert result.exit_code == 2
    assert file.read_bytes() == before


@pytest.mark.slow
async def test_an_import_that_is_killed_goes_on_where_it_stopped(deals: Deals, settings: Settings, tmp_path: Path) -> None:
    rows = [lead(number) for number in range(3 * BATCH_ROWS)]
    file = written(tmp_path / "leads.csv", *rows)
    held_up = f"jo@company-{2 * BATCH_ROWS + BATCH_ROWS // 2}.example"

    with taking_mailbox(deals.world, held_up, keeps=False):
        first = await asyncio.create_subprocess_exec(*command(file, deals), env=environment(settings))
        try:
            await asyncio.to_thread(
                wait_until, lambda: is_held_up(deals.world), seconds=60, what="the import to wait in its last batch"
            )
        finally:
            first.kill()
            await first.wait()
    left = count_of(deals.world, "external_ids")
    again = await asyncio.create_subprocess_exec(*command(file, deals), env=environment(settings), stdout=subprocess.PIPE)
    said, _ = await again.communicate()

    assert (first.returncode, again.returncode) == (-9, 0)
    assert left == 2 * BATCH_ROWS
    assert f"{BATCH_ROWS} created, {left} unchanged, 0 duplicate".encode() in said
    assert (count_of(deals.world, "leads"), count_of(deals.world, "opportunities")) == (1 + len(rows), 1 + len(rows))
    [receipts] = rows_as_owner(
        settings,
        "SELECT count(*) AS n, count(DISTINCT subject_id) AS subjects FROM trustpack.receipts"
        " WHERE tenant_id = %s AND action IN ('promoted', 'opened')",
        deals.world.tenant_id,
    )
    assert (receipts["n"], receipts["subjects"]) == (2 + 2 * len(rows), 2 + 2 * len(rows))


def command(file: Path, deals: Deals) -> list[str]:
    """Return the command that imports a file into a tenant."""
    program = [sys.executable, "-c", "from trustpack.app.cli import main; main()"]
    return [*program, "revops", "import", "leads", str(file), "--tenant", deals.world.tenant_id]


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a process that works on the store of this run, wherever that is."""
    logins = store_logins(settings)
    return {
        **os.environ,
        **PATIENT,
        "TRUSTPACK_DATA_DIR": str(settings.data_dir),
        "TRUSTPACK_APP_DATABASE_URL": logins.app,
        "TRUSTPACK_SYSTEM_DATABASE_URL": logins.system,
    }
