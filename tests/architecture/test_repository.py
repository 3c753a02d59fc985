"""The texts of the repository keep their promises: commands exist, links lead somewhere, records are complete."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator

import pytest

from tests.architecture import repository_rules
from tests.architecture.faults import Fault, faults_in, report
from tests.architecture.sources import ROOT, project_files, read, shown

Check = Callable[[str], Iterator[Fault]]
RECORDS = ROOT / "docs" / "adr"
GOOD_RECORD = "# 0001. Title\n\n## Context\na\n## Decision\nb\n## Consequences\nc\n## Rejected\nd\n## Check\ne\n"


def records():
    return [path for path in project_files() if path.parent == RECORDS and path.name != "README.md"]


def markdown():
    return [path for path in project_files() if path.suffix == ".md"]


@pytest.mark.parametrize("check", [repository_rules.check_hosts, repository_rules.check_paths], ids=["hosts", "paths"])
def test_no_file_is_tied_to_a_registry_or_a_machine(check: Check):
    faults = faults_in(project_files(), check)

    assert not faults, report(faults)


def test_every_decision_record_is_complete():
    faults = faults_in(records(), repository_rules.check_record)

    assert records()
    assert not faults, report(faults)


def test_decision_records_are_numbered_once_and_listed():
    names = [path.name for path in records()]
    index = read(RECORDS / "README.md")

    assert [name for name in names if not repository_rules.ADR_NAME.fullmatch(name)] == []
    assert len({name[:4] for name in names}) == len(names)
    assert [name for name in names if f"({name})" not in index] == [], "add it to docs/adr/README.md"


def test_a_record_that_is_cited_exists():
    numbers = {path.name[:4] for path in records()}
    unknown = [
        f"{shown(path)}: ADR-{number}"
        for path in project_files()
        if path.suffix in {".py", ".md", ".sql", ".rego", ".toml"}
        for number in re.findall(r"ADR[- ](\d{4})", read(path))
        if number not in numbers
    ]

    assert not unknown, report(unknown)


def test_every_link_of_the_documentation_leads_to_a_file():
    broken = [
        f"{shown(path)}: {link}"
        for path in markdown()
        for link in repository_rules.relative_links(read(path))
        if not (path.parent / link).exists()
    ]

    assert not broken, report(broken)


def test_every_make_command_of_the_documentation_exists():
    targets = repository_rules.public_targets(read(ROOT / "Makefile"))
    unknown = [f"{shown(path)}: make {call}" for path in markdown() for call in repository_rules.make_calls(read(path)) - targets]

    assert not unknown, report(unknown)


def test_the_readme_sets_up_with_exactly_two_commands():
    assert repository_rules.set_up_commands(read(ROOT / "README.md")) == ["make demo", "make test"]


def test_the_package_depends_on_what_is_pinned():
    project = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]

    assert project["dependencies"] == repository_rules.requirement_names(read(ROOT / "requirements" / "runtime.in"))


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_every_dependency_is_pinned_and_has_its_reason(name: str):
    wanted = [
        entry.partition("[")[0].lower()
        for entry in repository_rules.requirement_names(read(ROOT / "requirements" / f"{name}.in"))
    ]
    pins = set(re.findall(r"^([a-z0-9-]+)==", read(ROOT / "requirements" / f"{name}.txt"), re.MULTILINE))
    reasons = read(RECORDS / "0002-dependencies.md")

    assert [entry for entry in wanted if entry not in pins] == []
    assert [entry for entry in wanted if f"`{entry}`" not in reasons] == []


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (repository_rules.check_hosts, "pip install -i https://" + "pypi" + ".org/simple"),
        (repository_rules.check_paths, "open('/" + "home/ann/x')"),
        (repository_rules.check_paths, "see /" + "root"),
        (repository_rules.check_record, GOOD_RECORD.replace("## Check\ne\n", "")),
        (repository_rules.check_record, GOOD_RECORD.replace("\nd\n", "\n")),
        (repository_rules.check_record, GOOD_RECORD.replace("# 0001. Title", "# Title")),
        (repository_rules.check_record, GOOD_RECORD + "x\n" * repository_rules.ADR_LINES),
    ],
)
def test_a_broken_text_is_found(check: Check, text: str):
    assert list(check(text))


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (repository_rules.check_paths, "https://example.com/home and docs/home/ and {root}/work"),
        (repository_rules.check_hosts, "golang.org/toolchain"),
        (repository_rules.check_record, GOOD_RECORD),
    ],
)
def test_a_good_text_is_left_alone(check: Check, text: str):
    assert not list(check(text))


def test_commands_and_links_are_read_as_a_person_reads_them():
    text = (
        "## Set up\n\n```sh\nmake demo   # first\nmake test\n```\n\n"
        "## Next\n\n`make fmt`, but we make up words. [a](b.md#c) `[x](y)`\n"
    )

    assert repository_rules.set_up_commands(text) == ["make demo", "make test"]
    assert repository_rules.make_calls(text) == {"demo", "test", "fmt"}
    assert repository_rules.relative_links(text) == ["b.md"]
    assert repository_rules.public_targets("demo: x ## Run\ntools:\n") == {"demo"}
