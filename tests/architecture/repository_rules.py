"""What the texts of the repository must and must not say. Source: house style; ADR-0001."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.architecture.faults import Fault

# Written in two halves each, so that this file does not break the rule that it keeps.
REGISTRY_HOSTS = re.compile(
    "|".join(
        re.escape(name + "." + ending)
        for name, ending in (
            ("crates", "io"),
            ("deb.debian", "org"),
            ("files.pythonhosted", "org"),
            ("npmjs", "org"),
            ("proxy.golang", "org"),
            ("pypi", "org"),
            ("repo.maven", "apache.org"),
            ("repo1.maven", "org"),
            ("security.debian", "org"),
            ("sum.golang", "org"),
        )
    )
)
MACHINE_PATHS = re.compile(r"(?<![\w.~}/-])/(?:work|root|home)(?=/|[\s\"'`:;,)]|$)")

ADR_SECTIONS = ("Context", "Decision", "Consequences", "Rejected", "Check")
ADR_NAME = re.compile(r"\d{4}(-[a-z0-9]+)+\.md")
ADR_LINES = 60  # one page

MAKE_CALL = re.compile(r"\bmake ([a-z][a-z-]*)")
MAKE_TARGET = re.compile(r"^([a-z][a-z-]*):.*## ", re.MULTILINE)
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def check_hosts(text: str) -> Iterator[Fault]:
    """Nothing names a package registry: where packages come from is the machine's own affair."""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := REGISTRY_HOSTS.search(line):
            yield Fault(number, f"`{found[0]}` is a registry's host")


def check_paths(text: str) -> Iterator[Fault]:
    """Nothing names a path of one person's machine."""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := MACHINE_PATHS.search(line):
            yield Fault(number, f"`{found[0]}` is a path of one machine")


def check_record(text: str) -> Iterator[Fault]:
    """A decision record has its title, its five sections in their order, each with content, on one page."""
    lines = text.splitlines()
    if not re.match(r"# \d{4}[.:] \S", text):
        yield Fault(1, "begin with `# NNNN. Title`")
    if len(lines) > ADR_LINES:
        yield Fault(ADR_LINES + 1, f"{len(lines)} lines; a record is one page of {ADR_LINES}")
    sections = re.split(r"^## +(.+?) *$", text, flags=re.MULTILINE)[1:]
    titles, bodies = sections[::2], sections[1::2]
    if tuple(titles) != ADR_SECTIONS:
        yield Fault(1, f"sections are {', '.join(titles) or 'missing'}; they must be {', '.join(ADR_SECTIONS)}")
    for title, body in zip(titles, bodies, strict=True):
        if not body.strip():
            yield Fault(1, f"`{title}` is empty")


def public_targets(makefile: str) -> set[str]:
    """The targets that `make help` prints."""
    return set(MAKE_TARGET.findall(makefile))


def make_calls(markdown: str) -> set[str]:
    """The targets that a text tells its reader to call, in code or in a code block."""
    return {target for code in CODE.findall(markdown) for target in MAKE_CALL.findall(code)}


def set_up_commands(readme: str) -> list[str]:
    """The commands of the README's section "Set up"."""
    section = re.search(r"^## Set up$(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
    blocks = FENCE.findall(section[1]) if section else []
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def relative_links(markdown: str) -> list[str]:
    """The files that a text links to, without anchors."""
    links = (link.partition("#")[0] for link in LINK.findall(CODE.sub("", markdown)))
    return [link for link in links if link and "://" not in link and not link.startswith("mailto:")]


def requirement_names(text: str) -> list[str]:
    """The entries of a requirements `.in` file, as they are written."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("-")]
