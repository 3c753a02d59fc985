"""What the form for a new request shows: where access can be had, and what policy would say, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from trustpack.capabilities import approvals
from trustpack.capabilities.operations.model import HighRiskRequest, Target
from trustpack.capabilities.operations.pages.views import in_words
from trustpack.kernel.actor import Role
from trustpack.platform.web.pages import called

_MINUTE: Final = 60
_USUAL_MINUTES: Final = (15, 30, 60, 120, 240, 480)

Option = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ChoicesView:
    """What the chosen target leaves to choose. Without `scopes` any scope may be written."""

    targets: tuple[Option, ...]
    environments: tuple[Option, ...]
    scopes: tuple[Option, ...]
    minutes: tuple[Option, ...]
    longest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewView:
    """What would come of the form as it is filled in: `missing` fields, or what policy says and what would run.

    `needed`: each role with who could fill it. `nobody`: roles that nobody is left for.
    """

    missing: tuple[str, ...] = ()
    fault: str = ""
    allowed: bool = False
    headline: str = ""
    reasons: tuple[str, ...] = ()
    needed: tuple[tuple[str, str, None, str], ...] = ()
    nobody: str = ""
    target: str = ""
    summary: str = ""
    lines: tuple[tuple[str, str], ...] = ()
    digest: str = ""


def choices_of(targets: Sequence[Target], given: Mapping[str, str]) -> ChoicesView:
    """Return what can be chosen, by the target that is chosen so far."""
    definitions = [target.definition for target in targets]
    chosen = next((one for one in definitions if one.name == given.get("target")), definitions[0])
    longest = chosen.max_duration_seconds // _MINUTE
    return ChoicesView(
        targets=tuple((one.name, f"{one.name} · {one.environment}") for one in definitions),
        environments=tuple((name, name) for name in sorted({one.environment for one in definitions})),
        scopes=tuple((scope, scope) for scope in chosen.scopes),
        minutes=tuple((str(amount), _span(amount)) for amount in _USUAL_MINUTES if amount <= longest),
        longest=f"{chosen.name} allows {_span(longest)} at most. The access then ends by itself.",
    )


def first_values(targets: Sequence[Target]) -> dict[str, str]:
    """Return what a fresh form is filled with."""
    return with_target_of(targets, {"minutes": str(_USUAL_MINUTES[1])})


def with_target_of(targets: Sequence[Target], given: Mapping[str, str]) -> dict[str, str]:
    """Return what a form holds once its target was chosen: the environment and a scope of that target."""
    definition = next((one.definition for one in targets if one.definition.name == given.get("target")), targets[0].definition)
    scope = given.get("scope", "")
    if definition.scopes and scope not in definition.scopes:
        scope = definition.scopes[0]
    return {**given, "target": definition.name, "environment": definition.environment, "scope": scope}


def values_of(request: HighRiskRequest) -> dict[str, str]:
    """Return what a form is filled with that asks for the same again."""
    return {
        "target": request.target_name,
        "environment": request.environment,
        "scope": request.scope,
        "minutes": str(max(1, request.duration_seconds // _MINUTE)),
        "justification": request.justification,
        "ticket": request.ticket or "",
    }


def preview_of(found: Mapping[str, Any], *, target: str) -> PreviewView:
    """Return what `creating.preview` found, in words."""
    allowed, roles = bool(found["allowed"]), [Role(role) for role in found["required_approvals"]]
    able = {Role(role): sorted(person["handle"] for person in people) for role, people in found["could_approve"].items()}
    if not allowed:
        headline = "Policy would deny this. Sending it is recorded, and nothing is opened."
    elif roles:
        headline = f"Policy allows this once {_people(len(roles))} approved it."
    else:
        headline = "Policy allows this without approvals."
    return PreviewView(
        allowed=allowed,
        headline=headline,
        reasons=tuple(str(reason["text"]) for reason in found["reasons"]),
        needed=tuple((_role(role), _names(able.get(role, [])), None, "waiting") for role in roles) if allowed else (),
        nobody=_nobody(roles, able) if allowed else "",
        target=target,
        summary=str(found["effect"]["summary"]),
        lines=tuple(("+", str(statement)) for statement in found["effect"]["statements"]) if allowed else (),
        digest=str(found["effect_digest"]),
    )


def _nobody(roles: Sequence[Role], able: Mapping[Role, Sequence[str]]) -> str:
    eligible: dict[str, frozenset[Role]] = {}
    for role, handles in able.items():
        for handle in handles:
            eligible[handle] = eligible.get(handle, frozenset()) | {role}
    left = approvals.decide_quorum(roles, eligible).open
    if not left:
        return ""
    missing = " and ".join(_role(role).lower() for role in left)
    return f"Nobody is left to approve as {missing}: it could be sent, not approved. Ask an administrator who could do it."


def _names(handles: Sequence[str]) -> str:
    return "could be " + " or ".join(map(called, handles)) if handles else "nobody could today"


def _role(role: Role) -> str:
    return in_words(role.value)


def _people(count: int) -> str:
    return "one other person has" if count == 1 else f"{count} different people have"


def _span(minutes: int) -> str:
    hours, rest = divmod(minutes, _MINUTE)
    if hours and not rest:
        return f"{hours} h"
    return f"{hours} h {rest} min" if hours else f"{rest} min"
