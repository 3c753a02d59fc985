"""The command `trustpack`."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache
from typing import Annotated, Any, NoReturn, TypeVar

import psycopg
import typer
import uvloop
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from trustpack.app import local_store, server
from trustpack.app.bootstrap import open_container, prepare_store
from trustpack.app.bulk.cli import fill_tenant
from trustpack.app.demo.run import run_demo
from trustpack.app.demo.seed import NAMES, TENANTS, seed_tenant
from trustpack.app.demo.target import DemoTarget
from trustpack.app.target_registry import target_registry_app
from trustpack.capabilities.directory.cli import directory_apps
from trustpack.capabilities.directory.cli.accounts import account_app
from trustpack.capabilities.operations.adapters.postgres.target_cli import target_app
from trustpack.capabilities.policy import PolicyError
from trustpack.capabilities.revops.cli import revops_app
from trustpack.capabilities.revops.service.context import RevOps
from trustpack.kernel.errors import TrustpackError
from trustpack.platform.database import embedded_cluster
from trustpack.platform.settings import Settings, join_address, split_address
from trustpack.platform.telemetry.logs import configure_logs
from trustpack.platform.unit_of_work import Transaction

Result = TypeVar("Result")

app = typer.Typer(
    help="Trust & Proof Pack: governed flows with proof.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@cache
def _settings() -> Settings:
    return Settings()


def _in_transaction(tenant: str, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
    return local_store.run_in_transaction(_settings(), tenant, work)


def _in_flow(work: Callable[[RevOps], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        async with open_container(_settings()) as container:
            return await work(container.revops)

    with local_store.running_store(_settings(), with_target=False):
        return asyncio.run(run())


for _name, _group in directory_apps(_in_transaction).items():
    app.add_typer(_group, name=_name)
app.add_typer(revops_app(_in_transaction, _in_flow), name="revops")
app.add_typer(account_app(_in_transaction, public_url=lambda: _settings().console_url), name="account")
target_registry_app(target_app, settings=_settings)
app.add_typer(target_app, name="target")


Port = Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.", min=0, max=65_535)]


def _listening_on(host: str | None, port: int | None) -> Settings:
    set_host, set_port = split_address(_settings().listen)
    address = join_address(set_host if host is None else host, set_port if port is None else port)
    return _settings().model_copy(update={"listen": address})


def _run_fast(process: Coroutine[Any, Any, None]) -> None:
    """Run a long-lived process on uvloop, which spends less on sockets than the standard loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(process)


@app.command("serve", epilog="Example: trustpack serve --port 8000")
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Port = None,
    worker: Annotated[bool, typer.Option(help="Also do the due work, such as reverts.")] = True,
) -> None:
    """Serve the API, and do the due work beside it."""
    settings = _listening_on(host, port)
    configure_logs(settings.log_level)
    with local_store.running_store(settings):
        _run_fast(server.serve(settings, with_worker=worker))


@app.command("worker", epilog="Example: trustpack worker")
def work() -> None:
    """Do the due work, without serving."""
    configure_logs(_settings().log_level)
    with local_store.running_store(_settings()):
        _run_fast(server.work(_settings()))


@app.command("migrate", epilog="Example: TRUSTPACK_DATABASE_URL=postgresql://... trustpack migrate")
def migrate() -> None:
    """Bring the database to this version's schema; make the roles that the service logs in as."""
    with local_store.store_in_use(_settings()):
        applied = prepare_store(_settings())
    Console().print("\n".join(f"applied {name}" for name in applied) or "The schema is up to date.")


@app.command("seed", epilog="Examples: trustpack seed --tenant demo-external; trustpack seed --bulk 5000 --tenant demo-external")
def seed(
    tenant: Annotated[
        str | None, typer.Option(help="One of the demo's tenants, or demo-twin; both of the demo's if left out.")
    ] = None,
    bulk: Annotated[
        int | None, typer.Option(help="Fill a demo tenant with so many quotes instead.", min=1, max=1_000_000)
    ] = None,
) -> None:
    """Make the demo's tenants, people, deals and target; what is there already stays as it is."""
    if bulk is not None:
        if tenant is None:
            raise typer.BadParameter("name the tenant that is to be filled", param_hint="--tenant")
        fill_tenant(_settings(), tenant, quotes=bulk)
        return
    chosen = [tenant] if tenant is not None else list(TENANTS)
    if unknown := set(chosen) - set(NAMES):
        raise typer.BadParameter(f"{unknown.pop()} is not a demo tenant; there are {', '.join(NAMES)}", param_hint="--tenant")

    async def run() -> None:
        async with open_container(_settings()) as container:
            for name in chosen:
                await seed_tenant(container, name)
                Console().print(f"tenant {name} is seeded")

    with local_store.demo_store(_settings()):
        asyncio.run(run())


@app.command("demo", epilog="Example: trustpack demo --once")
def demo(
    once: Annotated[bool, typer.Option("--once", help="Tell the story, verify every step, and stop.")] = False,
    port: Port = None,
) -> None:
    """Run the golden path on a real PostgreSQL, verify every step, then serve."""
    chosen = 0 if once and port is None else port
    settings = _listening_on(None, chosen).model_copy(update={"demo_sign_in": True})
    raise typer.Exit(asyncio.run(run_demo(settings, Console(), once=once)))


@app.command("stop", epilog="Example: trustpack stop")
def stop() -> None:
    """Stop the embedded servers that a killed process left running."""
    target = DemoTarget(_settings())
    if target.exists:
        target.cluster.stop()
    embedded_cluster(_settings()).stop()


def main() -> NoReturn:
    """Run the command; an error that the user can act on becomes two lines and exit code 2."""
    # Before anything logs: what a command prints is for its caller, so every log line goes to stderr.
    configure_logs("warning")
    signal.signal(signal.SIGTERM, _leave)
    try:
        app()
    except TrustpackError as error:
        _complain(error.title, error.detail, error.next_step)
        for fault in error.data.get("errors", ()):
            Console(stderr=True).print(escape(f"  {fault['field']}: {fault['message']}"), soft_wrap=True)
    except psycopg.OperationalError as error:
        _complain("The database does not answer", " ".join(str(error).split()), "Check TRUSTPACK_DATABASE_URL and the server.")
    except PolicyError as error:
        what = f"{error.outcome.value}: {error.detail}"
        _complain("The policies cannot be used", what, "Check TRUSTPACK_POLICY_DIR and TRUSTPACK_OPA_URL.")
    except ValidationError as error:
        faults = "; ".join(
            f"TRUSTPACK_{'.'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        _complain("A setting is not valid", faults, "Correct it; docs/reference/settings.md lists every setting.")
    else:
        sys.exit(0)
    sys.exit(2)


def _complain(title: str, detail: str, next_step: str) -> None:
    Console(stderr=True).print(f"[bold red]{escape(title)}.[/bold red] {escape(detail)}\n{escape(next_step)}", soft_wrap=True)


def _leave(*_: object) -> NoReturn:
    # While the loop runs it handles the signal itself; before and after that the blocks are left, so that idle servers stop.
    sys.exit(128 + signal.SIGTERM)
