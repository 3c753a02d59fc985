"""`trustpack tenant|user|team|role|token|account`, run as a person runs them, on the real store."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from tests.support.store import rows_as_owner
from trustpack.capabilities.directory.cli import directory_apps
from trustpack.capabilities.directory.cli.accounts import account_app
from trustpack.capabilities.directory.model import AlreadyExists, InvalidName, UnknownName
from trustpack.capabilities.directory.rules import read_token
from trustpack.platform.database import open_pool, store_logins
from trustpack.platform.entropy import SystemIds
from trustpack.platform.settings import Settings
from trustpack.platform.system_clock import SystemClock
from trustpack.platform.unit_of_work import UnitOfWork

TENANT = "cli-corp"
Command = Callable[..., Result]


@pytest.fixture(scope="module")
def invoke(settings: Settings) -> Command:
    """Run one command in a loop of its own, as the program does."""

    def run(tenant: str, work: Any) -> Any:
        async def in_transaction() -> Any:
            pool = await open_pool(store_logins(settings).app, size=1)
            clock = SystemClock()
            try:
                async with UnitOfWork(pool, clock=clock, ids=SystemIds(clock)).transaction(tenant) as tx:
                    return await work(tx)
            finally:
                await pool.close()

        return asyncio.run(in_transaction())

    program = typer.Typer()
    for name, group in directory_apps(run).items():
        program.add_typer(group, name=name)
    program.add_typer(account_app(run, public_url=lambda: "https://console.example"), name="account")
    runner = CliRunner()

    def call(*arguments: str) -> Result:
        return runner.invoke(program, list(arguments))

    return call


@pytest.fixture(scope="module", autouse=True)
def tenant(invoke: Command) -> str:
    """A tenant with one person, made by commands."""
    assert invoke("tenant", "create", TENANT, "--name", "CLI Corporation").exit_code == 0
    assert invoke("user", "add", "--tenant", TENANT, "--user", "jane", "--name", "Jane Doe").exit_code == 0
    return TENANT


def person(settings: Settings, handle: str) -> dict[str, Any]:
    [row] = rows_as_owner(
        settings,
        "SELECT id, kind, status, roles, team_ids FROM trustpack.people WHERE tenant_id = %s AND handle = %s",
        TENANT,
        handle,
    )
    return dict(row)


def last_receipt(settings: Settings, subject_id: str) -> tuple[str, str]:
    row = rows_as_owner(
        settings,
        "SELECT action, actor_id FROM trustpack.receipts WHERE tenant_id = %s AND subject_id = %s ORDER BY seq",
        TENANT,
        subject_id,
    )[-1]
    return row["action"], row["actor_id"]


def test_a_created_tenant_can_be_shown(invoke: Command):
    result = invoke("tenant", "show", TENANT)

    assert result.exit_code == 0
    assert result.output.startswith(f"{TENANT}: ")


def test_an_added_person_is_listed(invoke: Command):
    result = invoke("user", "list", "--tenant", TENANT)

    assert result.exit_code == 0
    assert "jane" in result.output


def test_a_bot_is_added_as_a_bot(invoke: Command, settings: Settings):
    result = invoke("user", "add", "--tenant", TENANT, "--user", "ci-bot", "--name", "CI", "--bot")

    assert result.exit_code == 0
    assert person(settings, "ci-bot")["kind"] == "bot"


def test_a_role_is_granted_and_revoked_by_the_operator(invoke: Command, settings: Settings):
    granted = invoke("role", "grant", "--tenant", TENANT, "--user", "jane", "--role", "team_lead")
    roles = person(settings, "jane")["roles"]
    revoked = invoke("role", "revoke", "--tenant", TENANT, "--user", "jane", "--role", "team_lead")

    assert (granted.exit_code, roles, revoked.exit_code) == (0, ["team_lead"], 0)
    assert person(settings, "jane")["roles"] == []
    assert last_receipt(settings, person(settings, "jane")["id"]) == ("role_revoked", "system:operator")


def test_a_role_that_does_not_exist_is_a_wrong_usage(invoke: Command):
    assert invoke("role", "grant", "--tenant", TENANT, "--user", "jane", "--role", "emperor").exit_code == 2


def test_a_team_is_made_joined_and_left(invoke: Command, settings: Settings):
    results = [
        invoke("team", "add", "--tenant", TENANT, "--team", "payments"),
        invoke("team", "join", "--tenant", TENANT, "--team", "payments", "--user", "jane"),
    ]
    joined = len(person(settings, "jane")["team_ids"])
    results.append(invoke("team", "leave", "--tenant", TENANT, "--team", "payments", "--user", "jane"))

    assert [result.exit_code for result in results] == [0, 0, 0]
    assert (joined, person(settings, "jane")["team_ids"]) == (1, [])


def test_an_account_is_linked_and_named(invoke: Command):
    result = invoke("user", "link", "--tenant", TENANT, "--user", "jane")

    assert result.exit_code == 0
    assert "acc_" in result.output


def test_a_person_is_deactivated_and_reactivated(invoke: Command, settings: Settings):
    invoke("user", "deactivate", "--tenant", TENANT, "--user", "jane")
    status = person(settings, "jane")["status"]
    invoke("user", "reactivate", "--tenant", TENANT, "--user", "jane")

    assert (status, person(settings, "jane")["status"]) == ("deactivated", "active")


def test_a_new_token_is_all_that_is_printed(invoke: Command):
    result = invoke("token", "create", "--tenant", TENANT, "--user", "jane", "--label", "laptop", "--days", "1")

    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    assert read_token(result.stdout.strip())[0] == TENANT


def test_a_listed_token_shows_no_secret_and_can_be_revoked(invoke: Command, settings: Settings):
    secret = invoke("token", "create", "--tenant", TENANT, "--user", "jane").stdout.strip()
    [row] = rows_as_owner(settings, "SELECT id FROM trustpack.tokens WHERE tenant_id = %s ORDER BY id DESC LIMIT 1", TENANT)

    listed = invoke("token", "list", "--tenant", TENANT, "--user", "jane")
    revoked = invoke("token", "revoke", "--tenant", TENANT, row["id"])

    assert (listed.exit_code, revoked.exit_code) == (0, 0)
    assert secret.rpartition("_")[2] not in listed.output
    assert last_receipt(settings, row["id"]) == ("revoked", "system:operator")


def test_an_invitation_is_a_link_and_all_that_is_printed(invoke: Command, settings: Settings):
    result = invoke("account", "invite", "jane", "--tenant", TENANT)

    assert result.exit_code == 0
    assert re.fullmatch(rf"https://console\.example/switchboard/invitation/{TENANT}_[A-Za-z0-9_-]{{43}}\n", result.stdout)
    [row] = rows_as_owner(settings, "SELECT id FROM trustpack.invitations WHERE tenant_id = %s AND status = 'open'", TENANT)
    assert last_receipt(settings, row["id"]) == ("issued", "system:operator")


def test_the_sessions_of_somebody_are_ended(invoke: Command):
    result = invoke("account", "sign-out", "jane", "--tenant", TENANT)

    assert (result.exit_code, result.output) == (0, "0 sessions of jane were ended.\n")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("tenant", "create", TENANT, "--name", "Again"), AlreadyExists),
        (("tenant", "create", "Not A Slug", "--name", "Bad"), InvalidName),
        (("user", "add", "--tenant", TENANT, "--user", "jane", "--name", "Another"), AlreadyExists),
        (("user", "deactivate", "--tenant", TENANT, "--user", "nobody"), UnknownName),
        (("team", "join", "--tenant", TENANT, "--team", "nothing", "--user", "jane"), UnknownName),
        (("token", "create", "--tenant", TENANT, "--user", "nobody"), UnknownName),
        (("token", "revoke", "--tenant", TENANT, "tok_nothing"), UnknownName),
        (("account", "invite", "nobody", "--tenant", TENANT), UnknownName),
        (("account", "sign-out", "nobody", "--tenant", TENANT), UnknownName),
        (("tenant", "show", "no-such-tenant"), UnknownName),
        (("user", "list", "--tenant", "no-such-tenant"), UnknownName),
        (("user", "add", "--tenant", "no-such-tenant", "--user", "joe", "--name", "Joe"), UnknownName),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value.__name__,
)
def test_what_cannot_be_done_is_a_named_error_for_the_program_to_present(
    invoke: Command, arguments: tuple[str, ...], error: type[Exception]
):
    result = invoke(*arguments)

    assert result.exit_code != 0
    assert isinstance(result.exception, error)


@pytest.mark.parametrize("days", ["0", "366", "-1"])
def test_a_token_lives_from_a_day_to_a_year(invoke: Command, days: str):
    assert invoke("token", "create", "--tenant", TENANT, "--user", "jane", "--days", days).exit_code == 2


def never_run(tenant: str, work: Any) -> Any:
    raise AssertionError("help runs nothing")


@pytest.mark.parametrize("group", ["tenant", "user", "team", "role", "token", "account"])
def test_help_of_every_command_shows_an_example(invoke: Command, group: str):
    program = {**directory_apps(never_run), "account": account_app(never_run, public_url=str)}[group]

    for command in program.registered_commands:
        assert command.name is not None
        assert "Example:" in invoke(group, command.name, "--help").output
