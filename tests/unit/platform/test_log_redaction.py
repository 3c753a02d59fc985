"""Secrets and personal data do not reach a log line, at any depth, through either logging library."""

from __future__ import annotations

import json
import subprocess
import sys
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustpack.platform.telemetry.logs import REDACTED, SENSITIVE_FIELDS, redact

SECRET = "hunter2-and-more"
wrappers = st.lists(st.sampled_from(["dict", "list", "tuple", "mapping"]), max_size=6)


def wrap(value: Any, shapes: list[str]) -> Any:
    """Put a value into nested containers."""
    for shape in shapes:
        match shape:
            case "dict":
                value = {"detail": value, "other": 1}
            case "list":
                value = [1, value]
            case "tuple":
                value = (value, None)
            case _:
                value = MappingProxyType({"detail": value})
    return value


@given(field=st.sampled_from(sorted(SENSITIVE_FIELDS)), shapes=wrappers)
def test_a_sensitive_field_is_redacted_at_any_depth(field: str, shapes: list[str]):
    event = {"event": "something", "context": wrap({field: SECRET}, shapes)}

    assert SECRET not in repr(redact(None, "info", event))


@pytest.mark.parametrize("field", ["Authorization", "PASSWORD", "Justification"])
def test_the_case_of_a_field_does_not_matter(field: str):
    assert redact(None, "info", {field: SECRET})[field] == REDACTED


@pytest.mark.parametrize("value", [SECRET, [SECRET], {"nested": SECRET}, (SECRET,), SECRET.encode(), None])
def test_a_sensitive_value_of_any_type_is_redacted_whole(value: Any):
    assert redact(None, "info", {"password": value}) == {"password": REDACTED}


def test_other_fields_stay_as_they_are():
    event = {"event": "request", "status": 201, "route": "/x", "nested": {"a": [1, {"b": None}]}}

    assert redact(None, "info", dict(event)) == event


def test_a_key_that_is_no_text_does_not_break_logging():
    event = {"event": "counted", "by_status": {200: 3, None: 1, ("a", "b"): 2}}

    assert redact(None, "info", event)["by_status"][200] == 3


@pytest.mark.parametrize(
    "statement",
    [
        "structlog.get_logger().warning('x', nested={'list': [{'password': SECRET}]})",
        "logging.getLogger('a.library').warning('x', extra={'password': SECRET})",
    ],
    ids=["structlog", "logging"],
)
def test_a_configured_process_writes_json_lines_without_the_secret(statement: str):
    # In a process of its own, because configuring logs is global and final.
    program = f"import logging, structlog\nfrom trustpack.platform.telemetry.logs import configure_logs\nSECRET = {SECRET!r}\n"

    done = subprocess.run(
        [sys.executable, "-c", f"{program}configure_logs('info')\n{statement}\n"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    line = json.loads(done.stderr)
    assert (line["event"], line["level"]) == ("x", "warning")
    assert SECRET not in done.stderr


def test_a_configured_process_writes_exceptions_into_the_same_line():
    program = (
        "import structlog\nfrom trustpack.platform.telemetry.logs import configure_logs\nconfigure_logs('info')\n"
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    structlog.get_logger().error('bug', exc_info=error)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert "ZeroDivisionError" in json.loads(done.stderr)["exception"]


def test_a_level_below_the_configured_one_is_not_written():
    program = (
        "import structlog\nfrom trustpack.platform.telemetry.logs import configure_logs\nconfigure_logs('error')\n"
        "structlog.get_logger().info('quiet')\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert done.stderr == ""
