"""Seed a tenant with the demo's deals in a process of its own, which a test may kill: `python -m tests.support.seeding T`."""

from __future__ import annotations

import asyncio
import sys

from trustpack.app.bootstrap import open_container
from trustpack.app.demo.seed import seed_past
from trustpack.platform.settings import Settings


async def _seed(tenant_id: str) -> None:
    async with open_container(Settings(_env_file=None)) as container:
        await seed_past(container, tenant_id, name=tenant_id, with_deals=True)


if __name__ == "__main__":
    asyncio.run(_seed(sys.argv[1]))
