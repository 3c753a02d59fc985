"""Read secrets at the moment of use, from the environment or from files, and never keep them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from trustpack.kernel.errors import ErrorKind, TrustpackError


class SecretMissing(TrustpackError):
    """A secret that a definition refers to is not there; the message names where it was looked for, never its value."""

    kind = ErrorKind.UNAVAILABLE
    code = "platform.secret_missing"
    title = "A secret is missing"
    next_step = "Set the named variable or write the named file, readable by the service only."


class Reference(Protocol):
    """Where a secret lies: `source` is `env` or `file`."""

    @property
    def source(self) -> str: ...

    @property
    def name(self) -> str: ...


class SecretFiles:
    """Resolves references; relative file names are taken from the data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def resolve(self, reference: Reference) -> str:
        """Return the secret. Raises `SecretMissing`."""
        if reference.source == "env":
            found = os.environ.get(reference.name, "")
        else:
            try:
                found = (self._data_dir / reference.name).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                found = ""
        if not found:
            raise SecretMissing(f"The {reference.source} secret {reference.name} is missing or empty.")
        return found
