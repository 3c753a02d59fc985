"""Resolve what a piece of syntax refers to, as far as the file itself tells."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, or one name taken from it (`name` is None for `import module`)."""

    line: int
    module: str
    name: str | None
    bound_as: str


def imports_of(source: str, *, module: str = "", is_package: bool = False) -> Iterator[Import]:
    """Yield every import of a file, those inside functions and under TYPE_CHECKING too; relative ones are resolved."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, None, alias.asname or alias.name.partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = module.split(".")
                up = node.level - 1 if is_package else node.level
                base = ".".join([*here[: len(here) - up], *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(node.lineno, base, alias.name, alias.asname or alias.name)


def bindings_of(source: str) -> dict[str, str]:
    """Map each imported name of a file to the dotted name behind it."""
    bound: dict[str, str] = {}
    for item in imports_of(source):
        if item.name is not None:
            bound[item.bound_as] = f"{item.module}.{item.name}"
        elif item.bound_as != item.module.partition(".")[0]:
            bound[item.bound_as] = item.module
        else:
            bound[item.bound_as] = item.bound_as
    return bound


def dotted_name(node: ast.expr, bindings: dict[str, str]) -> str | None:
    """Return the full dotted name that `a.b.c` stands for, if `a` is an imported name."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in bindings:
        return None
    return ".".join([bindings[node.id], *reversed(attributes)])
