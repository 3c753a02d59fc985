"""Commands that manage tenants, people, teams, roles and tokens; each change leaves a receipt by `system:operator`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Protocol, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from trustpack.capabilities.directory import service
from trustpack.capabilities.directory.model import PersonStatus, Token
from trustpack.capabilities.directory.service.recording import person_by_handle
from trustpack.kernel.actor import ActorKind, Role, system_actor
from trustpack.platform.terminal import print_table
from trustpack.platform.unit_of_work import Transaction

Result = TypeVar("Result")


class Runner(Protocol):
    """Opens the store, runs one use case in one transaction of a tenant, and returns its result."""

    def __call__(self, tenant: str, work: Callable[[Transaction], Awaitable[Result]]) -> Result: ...


Tenant = Annotated[str, typer.Option("--tenant", help="The tenant's slug, such as summit-internal.")]
User = Annotated[str, typer.Option("--user", help="The person's handle, such as user-engineer.")]


def directory_apps(run: Runner) -> dict[str, typer.Typer]:
    """Return the command groups `tenant`, `user`, `team`, `role` and `token`, run through `run`."""
    return {
        "tenant": _tenant_app(run),
        "user": _user_app(run),
        "team": _team_app(run),
        "role": _role_app(run),
        "token": _token_app(run),
    }


def _tenant_app(run: Runner) -> typer.Typer:
    app = typer.Typer(help="Tenants: customer organisations.", no_args_is_help=True)

    @app.command("create", epilog="Example: trustpack tenant create acme-corp --name 'Acme Corporation'")
    def create(
        slug: str,
        name: Annotated[str, typer.Option(help="Its full name.")],
        demo: Annotated[bool, typer.Option(help="Mark as demo.")] = False,
    ) -> None:
        """Create a tenant."""
        run(slug, lambda tx: service.create_tenant(tx, system_actor(slug, "operator"), name=name, is_demo=demo))
        Console().print(f"Tenant {slug} was created.")

    @app.command("show", epilog="Example: trustpack tenant show summit-internal")
    def show(slug: str) -> None:
        """Show a tenant and how many people it has."""
        found = run(slug, service.everybody)
        Console().print(f"{slug}: {len(found)} people")

    return app


def _user_app(run: Runner) -> typer.Typer:
    app = typer.Typer(help="People and bots of a tenant.", no_args_is_help=True)

    @app.command("add", epilog="Example: trustpack user add --tenant acme-corp --user jane --name 'Jane Doe'")
    def add(
        tenant: Tenant,
        user: User,
        name: Annotated[str, typer.Option(help="The name that others see.")],
        bot: Annotated[bool, typer.Option(help="A service identity; bots never approve.")] = False,
        account: Annotated[str | None, typer.Option(help="An existing account to sign in with.")] = None,
    ) -> None:
        """Add a person with a first account."""
        kind = ActorKind.BOT if bot else ActorKind.PERSON
        actor = system_actor(tenant, "operator")
        run(tenant, lambda tx: service.add_person(tx, actor, handle=user, display_name=name, kind=kind, account_id=account))
        Console().print(f"{user} was added to {tenant}.")

    @app.command("link", epilog="Example: trustpack user link --tenant acme-corp --user jane")
    def link(
        tenant: Tenant, user: User, account: Annotated[str | None, typer.Option(help="The account; new if left out.")] = None
    ) -> None:
        """Give a person one more account; for every rule they stay one person."""
        actor = system_actor(tenant, "operator")
        linked = run(tenant, lambda tx: service.link_account(tx, actor, handle=user, account_id=account))
        Console().print(f"{user} now also signs in with {linked}.")

    @app.command("deactivate", epilog="Example: trustpack user deactivate --tenant acme-corp --user jane")
    def deactivate(tenant: Tenant, user: User) -> None:
        """Stop a person from acting at once; their tokens stop working."""
        _set_status(run, tenant, user, PersonStatus.DEACTIVATED)

    @app.command("reactivate", epilog="Example: trustpack user reactivate --tenant acme-corp --user jane")
    def reactivate(tenant: Tenant, user: User) -> None:
        """Let a person act again."""
        _set_status(run, tenant, user, PersonStatus.ACTIVE)

    @app.command("list", epilog="Example: trustpack user list --tenant summit-internal")
    def list_(tenant: Tenant) -> None:
        """List the people of a tenant with their roles."""
        table = Table("handle", "kind", "status", "roles", "id")
        for person in run(tenant, service.everybody):
            table.add_row(person.handle, person.kind, person.status, ", ".join(sorted(person.roles)), person.id)
        print_table(table)

    return app


def _set_status(run: Runner, tenant: str, user: str, status: PersonStatus) -> None:
    run(tenant, lambda tx: service.set_person_status(tx, system_actor(tenant, "operator"), handle=user, status=status))
    Console().print(f"{user} is {status.value}.")


def _team_app(run: Runner) -> typer.Typer:
    app = typer.Typer(help="Teams: their members see each other's requests.", no_args_is_help=True)

    @app.command("add", epilog="Example: trustpack team add --tenant acme-corp --team payments")
    def add(tenant: Tenant, team: Annotated[str, typer.Option(help="The team's name.")]) -> None:
        """Add a team."""
        run(tenant, lambda tx: service.add_team(tx, system_actor(tenant, "operator"), name=team))
        Console().print(f"Team {team} was added.")

    @app.command("join", epilog="Example: trustpack team join --tenant acme-corp --team payments --user jane")
    def join(tenant: Tenant, team: Annotated[str, typer.Option()], user: User) -> None:
        """Put a person into a team."""
        run(tenant, lambda tx: service.join_team(tx, system_actor(tenant, "operator"), handle=user, team=team))
        Console().print(f"{user} is in {team}.")

    @app.command("leave", epilog="Example: trustpack team leave --tenant acme-corp --team payments --user jane")
    def leave(tenant: Tenant, team: Annotated[str, typer.Option()], user: User) -> None:
        """Take a person out of a team."""
        run(tenant, lambda tx: service.join_team(tx, system_actor(tenant, "operator"), handle=user, team=team, join=False))
        Console().print(f"{user} is not in {team}.")

    return app


def _role_app(run: Runner) -> typer.Typer:
    app = typer.Typer(help="Roles: what a person may do in a tenant.", no_args_is_help=True)

    @app.command("grant", epilog="Example: trustpack role grant --tenant acme-corp --user jane --role team_lead")
    def grant(tenant: Tenant, user: User, role: Annotated[Role, typer.Option()]) -> None:
        """Give a role."""
        run(tenant, lambda tx: service.change_role(tx, system_actor(tenant, "operator"), handle=user, role=role, grant=True))
        Console().print(f"{user} is {role.value}.")

    @app.command("revoke", epilog="Example: trustpack role revoke --tenant acme-corp --user jane --role team_lead")
    def revoke(tenant: Tenant, user: User, role: Annotated[Role, typer.Option()]) -> None:
        """Take a role; votes cast with it no longer stand."""
        run(tenant, lambda tx: service.change_role(tx, system_actor(tenant, "operator"), handle=user, role=role, grant=False))
        Console().print(f"{user} is not {role.value}.")

    return app


def _token_app(run: Runner) -> typer.Typer:
    app = typer.Typer(help="API tokens.", no_args_is_help=True)

    @app.command("create", epilog="Example: trustpack token create --tenant summit-internal --user user-engineer")
    def create(
        tenant: Tenant,
        user: User,
        label: Annotated[str, typer.Option(help="What it is for.")] = "command line",
        days: Annotated[int, typer.Option(min=1, max=365, help="How long it works.")] = 90,
        account: Annotated[str | None, typer.Option(help="For which of the person's accounts.")] = None,
    ) -> None:
        """Print a new token, and nothing else, on standard output; it is not shown again."""
        actor = system_actor(tenant, "operator")
        lifetime = timedelta(days=days)
        issued = run(
            tenant, lambda tx: service.issue_token(tx, actor, handle=user, label=label, lifetime=lifetime, account_id=account)
        )
        typer.echo(issued.secret)

    @app.command("list", epilog="Example: trustpack token list --tenant summit-internal --user user-engineer")
    def list_(tenant: Tenant, user: User) -> None:
        """List a person's tokens: when they end and when they were last used."""

        async def tokens(tx: Transaction) -> tuple[Token, ...]:
            return await service.tokens_of(tx, (await person_by_handle(tx, user)).id)

        table = Table("id", "label", "status", "expires", "last used")
        for token in run(tenant, tokens):
            table.add_row(token.id, token.label, token.status, str(token.expires_at), str(token.last_used_at or "never"))
        print_table(table)

    @app.command("revoke", epilog="Example: trustpack token revoke --tenant summit-internal tok_0199...")
    def revoke(tenant: Tenant, token_id: str) -> None:
        """End a token at once."""
        run(tenant, lambda tx: service.revoke_token(tx, system_actor(tenant, "operator"), token_id=token_id))
        Console().print(f"{token_id} was revoked.")

    return app
