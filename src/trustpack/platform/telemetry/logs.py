"""Structured logs: JSON lines, one canonical line per request and per job, without secrets and personal data."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from collections.abc import Set as AbstractSet
from typing import Any, TextIO

import structlog

SENSITIVE_FIELDS = frozenset(
    {
        "authorization", "cookie", "password", "secret", "token", "verifier", "dsn", "uri", "url", "justification", "comment",
        "reason_text", "email", "display_name", "query", "body", "salt", "value",
    }
)  # fmt: skip
"""Field names whose values never reach a log line, at any depth. Redaction goes by name: a new
secret needs its name here."""
REDACTED = "[redacted]"


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the value of every sensitive field, however deep it lies."""
    return {name: _redacted(name, value) for name, value in event.items()}


def configure_logs(level: str, *, stream: TextIO = sys.stderr) -> None:
    """Send structlog's and the standard library's lines as JSON to a stream."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=structlog.processors.JSONRenderer(), foreign_pre_chain=shared)
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _redacted(name: object, value: Any) -> Any:
    if isinstance(name, str) and name.lower() in SENSITIVE_FIELDS:
        return REDACTED
    if isinstance(value, Mapping):
        return {inner: _redacted(inner, item) for inner, item in value.items()}
    if isinstance(value, list | tuple | AbstractSet):
        return [_redacted("", item) for item in value]
    return value
