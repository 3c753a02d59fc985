"""Commands about how accounts sign in: invite somebody, end their sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console

from trustpack.capabilities.directory.cli import Runner, Tenant
from trustpack.capabilities.directory.service.accounts import invite
from trustpack.capabilities.directory.service.sessions import sign_out_person
from trustpack.kernel.actor import system_actor

Handle = Annotated[str, typer.Argument(help="The person's handle.", metavar="HANDLE")]


def account_app(run: Runner, *, public_url: Callable[[], str]) -> typer.Typer:
    """Return the command group `account`, run through `run`; links begin with `public_url`."""
    app = typer.Typer(help="Accounts: how people sign in to the console.", no_args_is_help=True)

    @app.command("invite", epilog="Example: trustpack account invite jane --tenant acme-corp")
    def invite_(
        handle: Handle,
        tenant: Tenant,
        account: Annotated[str | None, typer.Option(help="Which account; the first if left out.")] = None,
    ) -> None:
        """Print a link, and nothing else, by which somebody sets up how they sign in; good once, for 24 hours."""
        actor = system_actor(tenant, "operator")
        issued = run(tenant, lambda tx: invite(tx, actor, handle=handle, account_id=account))
        typer.echo(f"{public_url()}/switchboard/invitation/{issued.text}")

    @app.command("sign-out", epilog="Example: trustpack account sign-out jane --tenant acme-corp")
    def sign_out(handle: Handle, tenant: Tenant) -> None:
        """End every session of somebody in a tenant at once; their API tokens stay."""
        actor = system_actor(tenant, "operator")
        ended = run(tenant, lambda tx: sign_out_person(tx, actor, handle=handle))
        Console().print(f"{ended} sessions of {handle} were ended.")

    return app
