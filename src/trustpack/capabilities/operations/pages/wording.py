"""The words that pages have for what the API calls by names."""

from __future__ import annotations

from typing import Final

from trustpack.capabilities.operations.model import Command

TYPES: Final = {"TEMP_DB_READ_ACCESS": "Temporary DB read access"}
"""As short as a column of a list is narrow."""
_TITLES: Final = {"TEMP_DB_READ_ACCESS": "Temporary database read access"}
_ENVIRONMENTS: Final = {"prod": "Production", "staging": "Staging", "test": "Test", "dev": "Development"}
NAMES_OF_COMMANDS: Final = {
    Command.APPROVE: "approve",
    Command.REJECT: "reject",
    Command.CANCEL: "cancel",
    Command.START_EXECUTION: "execute",
    Command.ISSUE_CREDENTIALS: "credentials",
    Command.START_REVERT: "revert",
}
"""What a command is called in an address: `/requests/{id}/approve`, and `?ask=approve` for the form alone."""
_MINUTE, _HOUR = 60, 3_600


def type_of(name: str) -> str:
    """Return a type of operation as people read it."""
    return TYPES.get(name, plain(name))


def title_of(name: str) -> str:
    """Return a type of operation in full."""
    return _TITLES.get(name, type_of(name))


def environment_of(name: str) -> str:
    """Return an environment as people read it."""
    return _ENVIRONMENTS.get(name, name)


def plain(name: str) -> str:
    """Return a name of the wire as the beginning of a sentence: `revert_failed` as `Revert failed`."""
    return name.replace("_", " ").capitalize()


def span(seconds: int) -> str:
    """Return a duration exactly: `1 h 30 min`, `45 min`, `77 s`."""
    hours, rest = divmod(seconds, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{amount} {unit}" for amount, unit in parts if amount) or "0 s"


def listed(names: tuple[str, ...], *, last: str = "or") -> str:
    """Return names as people say them: `anna, ben or carla`."""
    return f"{', '.join(names[:-1])} {last} {names[-1]}" if len(names) > 1 else "".join(names)
