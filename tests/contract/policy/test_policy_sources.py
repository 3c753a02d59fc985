"""What a real OPA says about the sources: checked, covered, portable, and the origin of every byte in `policies/dist`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.policy.builders import DIST, bundle_of, required_opa
from tools.build_policies import CAPABILITIES, ROOT, BuildFailed, find_opa, main
from trustpack.capabilities.policy import EmbeddedEngine


def run_tool(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "build_policies.py"), *arguments]
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths, **environment}, capture_output=True, text=True, check=False
    )


def test_the_rego_is_formatted_strict_portable_and_fully_covered_and_dist_is_built_from_it():
    required_opa()

    answer = run_tool("--lint", "--check")

    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A machine on which OPA can only be found where the test puts it."""
    monkeypatch.setattr("tools.build_policies.ROOT", tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("TRUSTPACK_TEST_OPA", raising=False)
    return tmp_path


def test_without_the_pinned_opa_the_tool_says_in_one_line_what_to_run(elsewhere, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["build_policies.py", "--check"])

    assert main() == 3

    complaint = capsys.readouterr().err
    assert len(complaint.splitlines()) == 1
    assert "go install github.com/open-policy-agent/opa@v1.22.2" in complaint


def test_another_version_of_opa_is_not_taken_for_the_pinned_one(elsewhere):
    other = elsewhere / "opa"
    other.write_text("#!/bin/sh\necho 'Version: 1.0.0'\n")
    other.chmod(0o755)
    assert find_opa() is None

    other.write_text("#!/bin/sh\necho 'Version: 1.22.2'\n")

    assert find_opa() == str(other)


@pytest.mark.policy_case(13)
def test_portable_builtins_are_all_part_of_the_module_itself():
    required_opa()
    operators = {"internal.member_2", "internal.member_3", "assign", "eq", "equal"}
    builtins = [builtin for builtin in json.loads(CAPABILITIES.read_text())["builtins"] if builtin["name"] not in operators]
    rules = "\n".join(f'used contains "{builtin["name"]}" if {{ x := {call_of(builtin)}; x != 17 }}' for builtin in builtins)

    EmbeddedEngine([bundle_of(f"{rules}\ndecision := count(used)")])

    assert not {"http.send", "opa.runtime", "time.now_ns", "rand.intn", "sprintf"} & {builtin["name"] for builtin in builtins}


def call_of(builtin: dict) -> str:
    arguments = [f"input.a{number}" for number in range(len(builtin["decl"].get("args", [])))]
    if builtin.get("infix"):
        return "(" + f" {builtin['infix']} ".join(arguments) + ")"
    return f"{builtin['name']}({', '.join(arguments)})"


def test_dist_holds_nothing_but_the_three_files_of_each_policy():
    directories = [path.parent.relative_to(DIST.parent) for path in Path(DIST.parent).rglob("bundle.json")]
    names = ["_".join(directory.parts) for directory in directories]

    assert sorted(path.name for path in DIST.iterdir()) == sorted(
        f"{name}{suffix}" for name in names for suffix in (".json", ".tar.gz", ".wasm")
    )


@pytest.mark.policy_case(13)
@pytest.mark.parametrize(
    "call",
    [
        "time.now_ns()",
        'rand.intn("a", 5)',
        'uuid.rfc4122("a")',
        'http.send({"method": "get", "url": "http://127.0.0.1"})',
        "opa.runtime()",
        'net.lookup_ip_addr("a")',
        'trace("a")',
    ],
)
def test_a_policy_that_reads_anything_but_its_input_does_not_build(call: str):
    with pytest.raises(BuildFailed, match="undefined function"):
        bundle_of(f"decision := {call}")


@pytest.mark.policy_case(11)
@pytest.mark.parametrize(
    "rules",
    ["decision if decision", "decision if other\nother if decision", "f(x) := f(x - 1)\ndecision := f(3)"],
    ids=["itself", "one another", "a function"],
)
def test_a_recursive_policy_does_not_build(rules: str):
    with pytest.raises(BuildFailed, match="recursive"):
        bundle_of(rules)
