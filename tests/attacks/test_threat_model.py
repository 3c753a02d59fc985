"""The threat model speaks of tests that exist."""

from __future__ import annotations

import re

from tests.architecture.sources import ROOT, project_files, read

DOCUMENT = ROOT / "docs" / "threat-model.md"


def test_every_test_that_the_threat_model_names_exists():
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", read(DOCUMENT)))
    tests = [path for path in project_files() if path.name.startswith("test_") and path.suffix == ".py"]
    defined = {name for path in tests for name in re.findall(r"^(?:async )?def (test_\w+)\(", read(path), re.MULTILINE)}

    assert named
    assert named <= defined, named - defined
