"""What roles are called on pages, and who does what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trustpack.kernel.actor import Role

ROLE_WORDS: Final = {role: role.value.replace("_", " ") for role in Role} | {Role.AE: "account executive"}


def roles_in_words(roles: Iterable[Role], *, last: str = "and") -> str:
    """Return roles as a list in a sentence: `finance, manager and team lead`."""
    *others, final = sorted(ROLE_WORDS[role] for role in roles) or [""]
    return f"{', '.join(others)} {last} {final}" if others else final
