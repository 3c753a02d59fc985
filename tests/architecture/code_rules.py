"""What the code itself may not do: commit, read the clock, guess, print, swallow, build SQL.

Source: architecture sections 3 and 4; house style.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.architecture.faults import Fault
from tests.architecture.names import bindings_of, dotted_name, imports_of

CLOCKS = {
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "time.clock_gettime",
    "time.gmtime",
    "time.localtime",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.process_time",
    "time.strftime",
    "time.time",
    "time.time_ns",
}
RANDOM_MODULES = {"random", "secrets"}
RANDOM_NAMES = {"os.getrandom", "os.urandom", "ssl.RAND_bytes", *(f"uuid.uuid{version}" for version in (1, 4, 6, 7, 8))}
TRANSACTION_ENDS = {"ABORT", "BEGIN", "COMMIT", "END", "ROLLBACK", "START TRANSACTION"}
QUERY_METHODS = {"copy", "execute", "executemany", "fetch_all", "fetch_one", "stream"}

# Written in two halves, so that this file does not break the rule that it keeps.
UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")


def check_transactions(source: str) -> Iterator[Fault]:
    """Nobody but the unit of work ends a transaction."""
    for call in calls_in(source):
        if isinstance(call.func, ast.Attribute) and call.func.attr in {"commit", "rollback"}:
            yield Fault(call.lineno, f"`{call.func.attr}` belongs to platform/unit_of_work.py alone")
        if is_query(call):
            statement = constant_text(call.args[0]).strip().rstrip(";").upper()
            if statement in TRANSACTION_ENDS:
                yield Fault(call.lineno, f"`{statement}` belongs to platform/unit_of_work.py alone")


def check_clock(source: str) -> Iterator[Fault]:
    """Nobody but the system clock reads the time; a reference counts like a call."""
    bindings = bindings_of(source)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Attribute | ast.Name):
            continue
        name = dotted_name(node, bindings)
        if name in CLOCKS:
            yield Fault(node.lineno, f"`{name}` belongs to platform/system_clock.py alone; ask a `Clock`")
        elif isinstance(node, ast.Attribute) and node.attr == "time" and is_event_loop(node.value):
            yield Fault(node.lineno, "the event loop's clock is a clock too; use platform.system_clock")


def check_randomness(source: str) -> Iterator[Fault]:
    """Nobody but the entropy module reads randomness; keys that the cryptography library draws count."""
    for item in imports_of(source):
        if item.module in RANDOM_MODULES:
            yield Fault(item.line, f"`{item.module}` belongs to platform/entropy.py alone")
    bindings = bindings_of(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute | ast.Name):
            name = dotted_name(node, bindings) or ""
            if name in RANDOM_NAMES or name.endswith(("PrivateKey.generate", ".generate_key", ".generate_private_key")):
                yield Fault(node.lineno, f"`{name}` belongs to platform/entropy.py alone; ask an `IdSource`")


def check_printing(source: str) -> Iterator[Fault]:
    """Only commands and the demo write to the terminal; everything else logs."""
    for call in calls_in(source):
        if isinstance(call.func, ast.Name) and call.func.id == "print":
            yield Fault(call.lineno, "`print` belongs to commands and the demo; log instead")


def check_bare_except(source: str) -> Iterator[Fault]:
    """An `except:` without a class hides cancellation and our own mistakes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield Fault(node.lineno, "name what is caught")


def check_unfinished(text: str) -> Iterator[Fault]:
    """Unfinished work is an issue, not a comment."""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := UNFINISHED.search(line):
            yield Fault(number, f"`{found[0]}`: finish it, or open an issue")


def check_sql_building(source: str) -> Iterator[Fault]:
    """Statements are constants with parameters; a name is followed to what this file assigns to it."""
    assigned: dict[str, list[ast.expr]] = {}
    for name, value in assignments_in(source):
        assigned.setdefault(name, []).append(value)
    for call in calls_in(source):
        if not is_query(call):
            continue
        query = call.args[0]
        candidates = assigned.get(query.id, []) if isinstance(query, ast.Name) else [query]
        if any(is_built(candidate) for candidate in candidates):
            yield Fault(call.lineno, "SQL is a constant with %(name)s parameters; nothing is formatted or joined into it")


def is_query(call: ast.Call) -> bool:
    """Say whether the call sends a statement: `write` counts when it has parameters, or every file would be one."""
    if not isinstance(call.func, ast.Attribute) or not call.args:
        return False
    return call.func.attr in QUERY_METHODS or (call.func.attr == "write" and len(call.args) > 1)


def constant_text(node: ast.expr) -> str:
    """The text of `"..."` or `sql.SQL("...")`; empty for anything else."""
    match node:
        case ast.Constant(value=str(text)) | ast.Call(func=ast.Attribute(attr="SQL"), args=[ast.Constant(value=str(text))]):
            return text
        case _:
            return ""


def is_built(node: ast.expr) -> bool:
    """Say whether a text is put together at run time; joining constants with `+` is not."""
    match node:
        case ast.JoinedStr():
            return True
        case ast.BinOp(op=ast.Add()):
            return is_built(node.left) or is_built(node.right) or not all(is_fixed(side) for side in (node.left, node.right))
        case ast.BinOp(op=ast.Mod()):
            return True
        case ast.Call(func=ast.Attribute(attr="format" | "join" | "replace" | "format_map")):
            return True
        case ast.IfExp():
            return is_built(node.body) or is_built(node.orelse)
        case _:
            return False


def is_fixed(node: ast.expr) -> bool:
    """Say whether a side of `+` is a constant, by its form or by its upper-case name."""
    match node:
        case ast.Constant():
            return True
        case ast.Name():
            return node.id.isupper()
        case ast.BinOp(op=ast.Add()):
            return is_fixed(node.left) and is_fixed(node.right)
        case _:
            return False


def is_event_loop(node: ast.expr) -> bool:
    """Recognise `loop` and `asyncio.get_running_loop()`."""
    if isinstance(node, ast.Call):
        node = node.func
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in {"loop", "get_running_loop", "get_event_loop"}


def assignments_in(source: str) -> Iterator[tuple[str, ast.expr]]:
    """Yield every plain name of a file with what is assigned to it; `name += value` counts as a text built at run time."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Assign(targets=targets, value=value):
                yield from ((target.id, value) for target in targets if isinstance(target, ast.Name))
            case ast.AugAssign(target=ast.Name(id=name)):
                yield name, ast.JoinedStr(values=[])
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                yield name, value


def calls_in(source: str) -> Iterator[ast.Call]:
    """Yield every call of a file."""
    return (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
