"""Where files may stand, how long they may be, and what must be documented. Source: architecture section 4; house style."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.architecture.faults import Fault

# The longest a file of a capability may be, in lines; a package of the same name may stand in its place, with this limit for
# each of its files.
CAPABILITY_LIMITS = {
    "__init__": 60,
    "model": 250,
    "rules": 300,
    "store": 300,
    "service": 350,
    "api": 300,
    "pages": 250,
    "jobs": 200,
    "cli": 200,
    "ports": 300,
    "adapters": 300,
}
OTHER_LIMIT = 400
# What browsers get: a longer file does more than one thing.
PAGE_FILE_LIMITS = {".css": 400, ".html": 120, ".js": 120}
FOLDERS_WITHOUT_CODE = {"templates"}
# One file per outside system, so never a single file.
ALWAYS_A_PACKAGE = {"adapters"}

# A name that says nothing collects everything.
EMPTY_NAMES = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}


def check_place(path: PurePosixPath) -> Iterator[Fault]:
    """A Python file of a capability has one of the few names; `path` is relative to the package `trustpack`."""
    parts = path.parts
    if parts[0] != "capabilities" or path.suffix != ".py" or len(parts) < len(("capabilities", "name", "file")):
        return
    part = parts[2].removesuffix(".py")
    is_file = parts[2] == path.name
    if part in FOLDERS_WITHOUT_CODE:
        yield Fault(1, f"`{part}/` holds no code")
    elif part not in CAPABILITY_LIMITS:
        yield Fault(1, f"a capability has no `{part}`; it has {', '.join(sorted(CAPABILITY_LIMITS))}")
    elif is_file and part in ALWAYS_A_PACKAGE:
        yield Fault(1, "adapters is a folder with one file per outside system")


def check_length(path: PurePosixPath, text: str) -> Iterator[Fault]:
    """A file stays within the limit of its kind."""
    parts = path.parts
    limit = OTHER_LIMIT
    if parts[0] == "capabilities" and len(parts) > len(("capabilities", "name")):
        limit = CAPABILITY_LIMITS.get(parts[2].removesuffix(".py"), OTHER_LIMIT)
    lines = len(text.splitlines())
    if lines > limit:
        yield Fault(limit + 1, f"{lines} lines; the limit is {limit}: make it a package of the same name, one file per use case")


def check_page_file(path: PurePosixPath, text: str) -> Iterator[Fault]:
    """A template, sheet or script of ours stands where pages are made, and stays short; vendored ones are left alone."""
    if path.suffix not in PAGE_FILE_LIMITS or "vendor" in path.parts:
        return
    folders = {".html": {"templates"}}.get(path.suffix, {"static"})
    if not folders & set(path.parts):
        yield Fault(1, f"`{path.suffix}` files stand in {' or '.join(sorted(folders))}/")
    lines, limit = len(text.splitlines()), PAGE_FILE_LIMITS[path.suffix]
    if lines > limit:
        yield Fault(limit + 1, f"{lines} lines; the limit is {limit}: one component, sheet or script per matter")


def check_name(path: PurePosixPath) -> Iterator[Fault]:
    """No file and no folder is called after nothing in particular."""
    for part in path.parts:
        words = set(re.split(r"[_.\-]", part.lower()))
        if words & EMPTY_NAMES:
            yield Fault(1, f"`{part}`: name what it holds")


def check_docstrings(source: str) -> Iterator[Fault]:
    """Every module, and every public function that it defines, says what it promises."""
    tree = ast.parse(source)
    if not ast.get_docstring(tree):
        yield Fault(1, "the module has no docstring")
    for node in tree.body:
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if is_function and not node.name.startswith("_") and not is_overload(node) and not ast.get_docstring(node):
            yield Fault(node.lineno, f"`{node.name}` has no docstring")
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node):
            yield Fault(node.lineno, f"`{node.name}` has no docstring")


def is_overload(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Say whether this is one signature of several."""
    return any(isinstance(item, ast.Name) and item.id == "overload" for item in node.decorator_list)
