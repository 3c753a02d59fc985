"""Every place in the flow's code from which store or target is reached, read from the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.crash_points import PASSED_THROUGH, SOURCE, STATEMENTS, Crossing

FLOW: Final = (
    "capabilities/approvals",
    "capabilities/evidence",
    "capabilities/ledger",
    "capabilities/metering",
    "capabilities/operations",
    "capabilities/policy",
    "platform/jobs",
    "platform/web/idempotency.py",
)
APART: Final = frozenset(
    {
        # What an operator calls from the command line, outside of any case.
        *(
            f"capabilities/operations/adapters/postgres/{name}.py"
            for name in ("administration", "catalogue", "check", "cleaning", "exposures", "install", "target_cli")
        ),
        "capabilities/operations/service/targets.py",
        # Calls in here go to a file of ours, to the module in this process, to an engine that stores nothing.
        "capabilities/operations/adapters/record.py",
        "capabilities/policy/adapters/wasm.py",
        "capabilities/policy/adapters/opa.py",
    }
)
REACHING_OUT: Final = frozenset(
    {*STATEMENTS, "call", "_call", "transaction", "execute", "attempt_login", "open_session", "_session", "_open_database"}
)
_BY_OPERATOR: Final = "targets are registered by an operator, in one transaction, outside of any case"
_ONLY_READS: Final = "reads what others wrote, outside of any case; whoever dies here has changed nothing"
_IN_PROCESS: Final = "goes on to `service.attempting`, whose steps are points"
EXCUSED: Final[Mapping[str, str]] = {
    "approvals.store.have_voted: fetch_one": _ONLY_READS,
    "ledger.store.changes_since: execute": _ONLY_READS,
    "operations.api.commands.execute_request: call": _IN_PROCESS,
    "operations.api.commands.execute_request: execute": _IN_PROCESS,
    "operations.api.commands.issue_credentials: call": _IN_PROCESS,
    "operations.api.commands.revert_request: call": _IN_PROCESS,
    "operations.store.requests.requests_by_id: fetch_all": _ONLY_READS,
    "operations.store.targets.names_of_targets: fetch_all": _ONLY_READS,
    "operations.store.waiting._roles_waited_for: fetch_all": _ONLY_READS,
    "operations.store.waiting.has_asked: fetch_one": _ONLY_READS,
    "operations.store.waiting.open_request_ids: fetch_all": _ONLY_READS,
    "operations.store.waiting.waiting_requests: fetch_all": _ONLY_READS,
    "operations.adapters.postgres.adapter.PostgresTargetAdapter._revert: _session": "opened by `RevertRun._clean`: a point",
    "operations.adapters.postgres.identity.read_place: execute": _ONLY_READS,
    "operations.adapters.postgres.reconcile._without_inventory: call": _ONLY_READS,
    "operations.adapters.postgres.reconcile._lock_out_without_its_sessions: call": "a second try; each step may be repeated",
    "operations.adapters.postgres.session.holding_turn: transaction": "begins before `call take_turn`, ends before `disconnect`",
    "operations.service.reconciling.claim_reconcile: transaction": "an operator asks for a comparison from the command line",
    "operations.store.drift.drift_of_targets: execute": _ONLY_READS,
    "operations.store.drift.grants_of_any_tenant: execute": _ONLY_READS,
    "operations.store.drift.targets_to_watch: execute": _ONLY_READS,
    "operations.store.targets.insert_target: write": _BY_OPERATOR,
    "operations.store.targets.lock_target: fetch_one": _BY_OPERATOR,
    "operations.store.targets.targets: fetch_all": _BY_OPERATOR,
    "platform.jobs.backlog.read_backlog: execute": _ONLY_READS,
    "platform.jobs.worker.Worker._due: execute": _ONLY_READS,
    "platform.web.idempotency.forget: write": "only when a request moves while its execution is prepared; rolled back if cut off",
}


@dataclass(frozen=True, slots=True)
class CallSite:
    """One call in the flow's code, by the function it stands in and what it calls."""

    path: str
    function: str
    callee: str
    first_line: int
    last_line: int

    @property
    def name(self) -> str:
        module = self.path.removeprefix("capabilities/").removesuffix(".py").replace("/", ".")
        return f"{module}.{self.function}: {self.callee}"

    def __str__(self) -> str:
        return f"{self.name} (line {self.first_line})"


def call_sites() -> list[CallSite]:
    """Return every call in the flow that reaches out of the process."""
    return [site for path in _modules() for site in sites_in(path.read_text(encoding="utf-8"), str(path.relative_to(SOURCE)))]


def sites_in(source: str, path: str) -> list[CallSite]:
    """Return the calls of one module that reach out; what only hands a step on is no place of its own."""
    return [
        CallSite(path, function, callee, call.lineno, call.end_lineno or call.lineno)
        for function, call in _calls(ast.parse(source), ())
        if (callee := _callee(call)) in REACHING_OUT and function not in PASSED_THROUGH and _reaches_out(callee, call)
    ]


def is_covered(site: CallSite, crossed: Iterable[Crossing]) -> bool:
    """Say whether a point lies on the lines of the call."""
    return any(crossing.path == site.path and site.first_line <= crossing.line <= site.last_line for crossing in crossed)


def _modules() -> Iterator[Path]:
    for part in FLOW:
        place = SOURCE / part
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            # Pages call the use cases that the API calls, each in one transaction; what they add to them reads.
            is_of_pages = "pages" in path.parts or path.name == "pages.py"
            if str(path.relative_to(SOURCE)) not in APART and not is_of_pages:
                yield path


def _calls(node: ast.AST, inside: tuple[str, ...]) -> Iterator[tuple[str, ast.Call]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield ".".join(inside), child
        is_named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from _calls(child, (*inside, child.name) if is_named else inside)


def _callee(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def _reaches_out(callee: str, call: ast.Call) -> bool:
    # A file or a socket is written with one argument, a statement with its parameters.
    return callee != "write" or len(call.args) > 1
