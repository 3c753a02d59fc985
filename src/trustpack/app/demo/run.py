"""Run the demo: prepare both tenants and the target, tell the golden paths, then serve or stop."""

from __future__ import annotations

import asyncio

from rich.console import Console

from trustpack.app.bootstrap import Container, open_container
from trustpack.app.demo import deal_story, story
from trustpack.app.demo.seed import TENANTS, WITH_DEALS, issue_tokens, roles_of, seed_tenant
from trustpack.app.demo.sellers import SIGN_INS
from trustpack.app.demo.target import DemoTarget
from trustpack.app.demo.terminal import StepFailed
from trustpack.app.local_store import demo_store
from trustpack.app.server import running_server
from trustpack.platform.settings import Settings
from trustpack.platform.telemetry.logs import configure_logs


async def run_demo(settings: Settings, console: Console, *, once: bool) -> int:
    """Tell the stories on a fresh or used data directory; return 0 only if every step was verified.

    With `once` nothing is served afterwards; otherwise this returns when the server is told to stop.
    """
    target = DemoTarget(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "demo.log").open("a", encoding="utf-8") as log:
        configure_logs(settings.log_level, stream=log)
        console.print(
            "[bold]Trust & Proof Pack[/bold], demo", f"(data and logs in {settings.data_dir.resolve()})", soft_wrap=True
        )
        console.print("  starting the store and the production database orders-prod ...")
        with demo_store(settings):
            async with open_container(settings) as container:
                for tenant in TENANTS:
                    await seed_tenant(container, tenant)
                    console.print(f"  tenant {tenant} is seeded")
                return await _tell_and_serve(container, target, console, once=once)


async def _tell_and_serve(container: Container, target: DemoTarget, console: Console, *, once: bool) -> int:
    settings = container.settings
    tokens = {tenant: await issue_tokens(container, tenant, also=SIGN_INS if tenant in WITH_DEALS else ()) for tenant in TENANTS}
    async with running_server(container, with_worker=True) as (url, serving):
        evidence_dir = settings.data_dir.resolve() / "evidence"
        access = story.Story(
            base_url=url,
            tokens=tokens[story.TENANT],
            target=target,
            evidence_dir=evidence_dir,
            console=console,
        )
        nonce = f"harbour-{container.unit_of_work.ids.random_bytes(6).hex()}"
        deal = deal_story.DealStory(
            base_url=url, tokens=tokens[deal_story.TENANT], console=console, nonce=nonce, evidence_dir=evidence_dir
        )
        telling = asyncio.create_task(_tell(access, deal))
        await asyncio.wait({telling, serving}, return_when=asyncio.FIRST_COMPLETED)
        if not telling.done():
            telling.cancel()
            await asyncio.wait({telling})
            console.print("\n[bold red]not verified:[/bold red] stopped before the end of the story")
            return 1
        try:
            await telling
        except StepFailed as failure:
            console.print(f"\n[bold red]not verified:[/bold red] {failure}", soft_wrap=True)
            return 1
        console.print(f"\n[bold green]{len(access.verified) + len(deal.verified)} checks, all verified.[/bold green]")
        if once:
            return 0
        _print_doors(console, url, tokens)
        await serving
    return 0


async def _tell(access: story.Story, deal: deal_story.DealStory) -> None:
    await access.tell()
    await deal.tell()


def _print_doors(console: Console, url: str, tokens: dict[str, dict[str, str]]) -> None:
    # A passkey and the browser's rules for cookies want a name, not an address.
    door = url.replace("//127.0.0.1:", "//localhost:")
    console.print(f"\nSwitchboard: [bold]{door}/switchboard[/bold] (one click signs you in)", soft_wrap=True)
    console.print(f"Serving on [bold]{url}[/bold] until Ctrl-C; the API is described at {url}/openapi.json", soft_wrap=True)
    for tenant, issued in tokens.items():
        console.print(f"\n[bold]{tenant}[/bold] (user, roles, token; a token is shown now and kept nowhere)", soft_wrap=True)
        for handle, token in issued.items():
            # Printed as it is: a table would cut a token to the width of the terminal, and it is there to be copied.
            roles = ", ".join(sorted(roles_of(handle)))
            console.print(f"  {handle:<23} {roles:<28} {token}", soft_wrap=True, highlight=False)
    console.print()
    for path in ("/high-risk-ops/requests", "/revops/quotes"):
        console.print(f'  curl -H "Authorization: Bearer <token>" {url}{path}', highlight=False, soft_wrap=True)
