"""What the page of one high-risk request shows above its parts, and the parts Overview, Change and Approvals: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from trustpack.capabilities.approvals import Vote
from trustpack.capabilities.operations.model import GrantStatus, Status
from trustpack.capabilities.operations.pages.views import CHIPS, REQUESTS, name_of, short
from trustpack.capabilities.operations.pages.wording import NAMES_OF_COMMANDS, environment_of, listed, plain, span, title_of
from trustpack.capabilities.operations.rules.effects import read_effect
from trustpack.capabilities.operations.rules.options import options_of
from trustpack.capabilities.operations.rules.transitions import ENDS
from trustpack.capabilities.operations.service.needing import Approvals, NeededApproval
from trustpack.capabilities.operations.service.reading import RequestView
from trustpack.kernel.actor import Actor
from trustpack.platform.web.pages import called

PARTS: Final = ("overview", "change", "approvals", "access", "evidence", "related")
_AT_WORK: Final = {
    Status.EXECUTING: "Executing… The target is being worked on; what came of it stands here as soon as it is recorded.",
    Status.REVERTING: "Reverting… The access is being taken back; the proof stands here as soon as it is recorded.",
    Status.REVERT_FAILED: "The end of this access is not proven yet. It is tried again and again; look at the target meanwhile.",
}
_SIGNS: Final = {"approve": "approved", "reject": "rejected"}

VoteShown = tuple[str, str, datetime | None, str]
"""Who, what they said, when, and "approved", "rejected", "waiting" or "not given"."""
Fact = tuple[str, str | datetime]


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the parts and forms of a request are; `query` keeps the list beside it as it was asked for."""

    base: str
    query: str = ""

    def part(self, name: str = "") -> str:
        """Return the address of a part; the first has that of the request."""
        return f"{self.base}/{name}{self.query}" if name not in {"", PARTS[0]} else self.base + self.query

    def ask(self, command: str) -> str:
        """Return the address at which the form of a decision stands on the page."""
        return self._with(self.part(), f"ask={command}")

    def statements(self, cursor: str) -> str:
        """Return the address of a page of what the access was used for."""
        return self._with(self.part("access"), f"statements={cursor}") if cursor else self.part("access")

    @staticmethod
    def _with(path: str, more: str) -> str:
        return f"{path}{'&' if '?' in path else '?'}{more}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailView:
    """One request as its page shows it to somebody: what is the same on all of its parts."""

    id: str
    short_id: str
    path: str
    title: str
    target: str
    chip: tuple[str, str]
    requester: str
    ticket: str
    created_at: datetime
    digest: str
    version: int
    options: tuple[str, ...]
    given: int
    needed: int
    at_work: str
    access_since: datetime | None
    access_until: datetime | None
    has_credentials: bool
    is_stuck: bool
    duration: str
    summary: str
    may_ask_again: bool

    @property
    def received(self) -> str:
        """How many of the needed approvals are there, as "1/2"."""
        return f"{self.given}/{self.needed}"


def detail_of(view: RequestView, needed: Approvals, actor: Actor, *, now: datetime) -> DetailView:
    """Return one request as its page shows it to somebody."""
    request, grant = view.request, view.grant
    is_active = grant is not None and grant.status == GrantStatus.ACTIVE
    commands = options_of(request, grant, actor, may_vote=needed.may_vote, now=now)
    return DetailView(
        id=request.id,
        short_id=short(request.id),
        path=f"{REQUESTS}/{request.id}",
        title=title_of(request.type),
        target=request.target_name,
        chip=CHIPS[request.status],
        requester=name_of(view, request.requester_id),
        ticket=request.ticket or "",
        created_at=request.created_at,
        digest=request.effect_digest,
        version=request.version,
        options=tuple(name for command, name in NAMES_OF_COMMANDS.items() if command in commands),
        given=needed.given,
        needed=len(needed.needed),
        at_work=_AT_WORK.get(request.status, ""),
        access_since=grant.granted_at if grant is not None and is_active else None,
        access_until=grant.expires_at if grant is not None and is_active else None,
        has_credentials=grant is not None and grant.credentials_issued > 0,
        is_stuck=request.status == Status.REVERT_FAILED,
        duration=span(request.duration_seconds),
        summary=str(read_effect(request.effect)["summary"]),
        may_ask_again=request.status in ENDS and actor.id == request.requester_id,
    )


def facts_of(view: RequestView) -> tuple[Fact, ...]:
    """Return what was asked for, and what times hold for it now."""
    request, grant = view.request, view.grant
    effect = read_effect(request.effect)
    facts: list[Fact] = [
        ("Reason", request.justification),
        ("What it does", str(effect["summary"])),
        ("Environment", environment_of(request.environment)),
        ("Rows of", request.scope),
        ("Window", f"{span(request.duration_seconds)}, then automatic revert"),
        ("Ticket", request.ticket or "none"),
        (
            "Needs",
            listed(tuple(plain(role.value).lower() for role in request.required_approvals), last="and") or "nobody's approval",
        ),
    ]
    if request.status == Status.PENDING_APPROVAL:
        facts.append(("Expires", request.approval_expires_at))
    if request.status == Status.APPROVED and request.use_by is not None:
        facts.append(("Execute by", request.use_by))
    if view.execution is not None and view.execution.error_code is not None:
        facts.append(("Failed because", view.execution.error_detail or view.execution.error_code))
    if request.status == Status.DENIED:
        facts.append(("Denied because", "policy does not allow it; Evidence says why"))
    if grant is not None and grant.ended_at is not None:
        facts.append(("Access ended", grant.ended_at))
    return tuple(facts)


def lines_of(view: RequestView) -> tuple[tuple[str, str], ...]:
    """Return the exact statements, a line of them each; a line break inside of one is shown as more lines."""
    statements: list[str] = read_effect(view.request.effect)["statements"]
    return tuple(("+", line) for statement in statements for line in statement.split("\n"))


@dataclass(frozen=True, slots=True)
class RoleShown:
    """One required role: who gave its approval, or who could."""

    role: str
    vote: VoteShown | None
    waits_for: str
    is_open: bool

    @property
    def row(self) -> VoteShown:
        """What stands in a list of votes for it: the one that was given, or that it is waited for, or was not given."""
        return self.vote or (self.role, self.waits_for, None, "waiting" if self.is_open else "not given")


@dataclass(frozen=True, slots=True)
class ApprovalsShown:
    """Needed against received by role, and the votes beside them that fill none."""

    roles: tuple[RoleShown, ...]
    others: tuple[VoteShown, ...]
    earlier: tuple[VoteShown, ...]

    @property
    def rows(self) -> tuple[VoteShown, ...]:
        """All of them as short rows: the roles in their order, then what was said beside."""
        return (*(one.row for one in self.roles), *self.others)


def approvals_shown(view: RequestView, needed: Approvals) -> ApprovalsShown:
    """Return who approved, who could, and who said something that counts no more."""
    filling = {one.vote.id for one in needed.needed if one.vote is not None}
    waits = view.request.status == Status.PENDING_APPROVAL
    beside = [vote for vote in view.votes if vote.id not in filling]
    return ApprovalsShown(
        roles=tuple(_role(view, one, waits=waits) for one in needed.needed),
        others=tuple(_vote(view, vote) for vote in beside if vote.digest == view.request.effect_digest),
        earlier=tuple(_vote(view, vote) for vote in beside if vote.digest != view.request.effect_digest),
    )


def _role(view: RequestView, one: NeededApproval, *, waits: bool) -> RoleShown:
    vote = None if one.vote is None else _vote(view, one.vote)
    able = listed(tuple(map(called, one.could_approve)))
    could = f"could come from {able}" if able else "nobody can give it; ask an administrator"
    return RoleShown(plain(one.role.value), vote, could if waits else "", is_open=waits and vote is None)


def _vote(view: RequestView, vote: Vote) -> VoteShown:
    said = view.comments.get(vote.seq, "")
    return (name_of(view, vote.person_id), f"“{said}”" if said else "", vote.created_at, _SIGNS[vote.verdict.value])


def grant_facts(view: RequestView) -> tuple[Fact, ...]:
    """Return the times of the access, and under which name it lives on the target."""
    grant = view.grant
    if grant is None:
        return ()
    named: tuple[tuple[str, Any], ...] = (
        ("Role on the target", grant.role_name),
        ("Began", grant.granted_at),
        ("Ends by itself", grant.expires_at if grant.ended_at is None else None),
        ("The target's clock says", grant.target_expires_at if grant.ended_at is None else None),
        ("Ended", grant.ended_at),
        ("Lasted", _lasted(grant.granted_at, grant.ended_at)),
        ("Credentials", f"handed out {_times(grant.credentials_issued)}" if grant.credentials_issued else "not handed out"),
    )
    return tuple((name, value) for name, value in named if value is not None)


def _lasted(begin: datetime | None, end: datetime | None) -> str | None:
    return None if begin is None or end is None else span(int((end - begin) / timedelta(seconds=1)))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
