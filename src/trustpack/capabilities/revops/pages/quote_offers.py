"""What somebody may try to do about a quote, and why not the rest: by its state, their roles and their part in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trustpack.capabilities.approvals import VoteRefusal
from trustpack.capabilities.policy import listed
from trustpack.capabilities.revops.model import Quote, QuoteCommand, QuoteStatus
from trustpack.capabilities.revops.rules.transitions import allows
from trustpack.capabilities.revops.rules.visibility import may_sell
from trustpack.capabilities.revops.service.standing import Standing
from trustpack.kernel.actor import Actor, Role
from trustpack.platform.web.pages import called
from trustpack.platform.web.pages.roles import ROLE_WORDS

LEAST_REASON: Final = 8
"""A no that others have to act on says more than a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One thing that may be done: its button, and the question that it asks before it is done.

    `text` says what the field for words is called, empty for none; `roles` are choices for whoever could fill several. What could
    be done many times is done once for each showing where `is_once`.
    """

    name: str
    button: str
    drawing: str
    tone: str = ""
    shortcut: str = ""
    title: str
    says: str
    text: str = ""
    hint: str = "Recorded in the evidence."
    is_required: bool = False
    roles: tuple[tuple[str, str], ...] = ()
    busy: str = "Recording…"
    is_once: bool = False


def offers_of(quote: Quote, standing: Standing, actor: Actor, *, sellers: frozenset[Role], now: datetime) -> tuple[Offer, ...]:
    """Return what is offered to somebody; `sellers` are the roles that policy lets submit and activate."""
    wanted = {
        "approve": _may_vote(quote, standing, now) and standing.adds,
        "reject": _may_vote(quote, standing, now),
        "submit": allows(quote.status, QuoteCommand.SUBMIT) and _may_put(actor, sellers) and not _is_over(quote, now),
        "activate": allows(quote.status, QuoteCommand.ACTIVATE) and _may_put(actor, sellers) and not _is_over(quote, now),
        "recall": allows(quote.status, QuoteCommand.RECALL) and may_sell(actor),
        "clone": may_sell(actor),
    }
    return tuple(_OFFERS[name](standing) for name, is_offered in wanted.items() if is_offered)


def may_edit(quote: Quote, actor: Actor) -> bool:
    """Say whether somebody may change the terms."""
    return may_sell(actor) and allows(quote.status, QuoteCommand.REVISE)


def hindrances_of(quote: Quote, standing: Standing, actor: Actor, *, sellers: frozenset[Role], now: datetime) -> tuple[str, ...]:
    """Return in sentences what the one who looks cannot do about a quote that waits for somebody, and who or what it takes."""
    found = []
    if quote.status == QuoteStatus.PENDING_APPROVAL:
        found.append(_no_vote(quote, standing, now))
    if quote.status in {QuoteStatus.DRAFT, QuoteStatus.APPROVED} and may_sell(actor):
        deed = "submitted" if quote.status == QuoteStatus.DRAFT else "activated"
        if _is_over(quote, now):
            found.append(f"Its time is over, so it cannot be {deed}. Change its terms, or clone it.")
        elif not _may_put(actor, sellers):
            found.append(f"It is {deed} by somebody who is {listed([ROLE_WORDS[role] for role in sorted(sellers)])}.")
    return tuple(text for text in found if text)


def _no_vote(quote: Quote, standing: Standing, now: datetime) -> str:
    open_roles = listed([ROLE_WORDS[role] for role in standing.open])
    if quote.approval_expires_at is not None and now >= quote.approval_expires_at:
        return "The time for approvals is over. Its owner can change the terms and submit it again."
    if standing.has_voted:
        return f"You have voted. It still waits for {open_roles}."
    match standing.refusal:
        case VoteRefusal.SELF_APPROVAL:
            return f"You own this quote or had a part in it, so it takes other people: it waits for {open_roles}."
        case VoteRefusal.ROLE_NOT_REQUIRED | VoteRefusal.ROLE_NOT_HELD | VoteRefusal.OTHER_TEAM:
            return f"It waits for {open_roles}, which is no role of yours."
        case VoteRefusal.NOT_A_PERSON:
            return "Only people approve."
        case None:
            return "" if standing.adds else f"Your role has been filled already. It still waits for {open_roles}."


def _may_vote(quote: Quote, standing: Standing, now: datetime) -> bool:
    is_open = quote.approval_expires_at is None or now < quote.approval_expires_at
    return quote.status == QuoteStatus.PENDING_APPROVAL and is_open and standing.refusal is None and not standing.has_voted


def _may_put(actor: Actor, sellers: frozenset[Role]) -> bool:
    return may_sell(actor) and not actor.roles.isdisjoint(sellers)


def _is_over(quote: Quote, now: datetime) -> bool:
    return now.date() > quote.valid_until or (quote.use_by is not None and now >= quote.use_by)


def _approve(standing: Standing) -> Offer:
    choices = [(role.value, _as(role, standing)) for role in standing.own_roles]
    says = "You approve exactly these terms; any change of them voids your approval."
    if len(choices) == 1 and standing.lenders:
        says += f" You give it {choices[0][1]}."
    return Offer(
        name="approve",
        button="Approve",
        drawing="check",
        tone="primary",
        shortcut="a",
        title="Approve this quote?",
        says=says,
        text="Comment",
        roles=(("", "whichever is needed"), *choices) if len(choices) > 1 else (),
    )


def _as(role: Role, standing: Standing) -> str:
    lender = standing.lenders.get(role)
    own = f"as {ROLE_WORDS[role]}"
    return own if lender is None else f"{own}, lent by {called(standing.handles.get(lender, lender))}"


def _reject(_: Standing) -> Offer:
    return Offer(
        name="reject",
        button="Reject",
        drawing="x",
        tone="danger",
        shortcut="d",
        title="Reject this quote?",
        says="Your no ends this submission. Its owner may change the terms and submit them again.",
        text="Reason",
        hint=f"At least {LEAST_REASON} characters; recorded in the evidence.",
        is_required=True,
    )


def _submit(_: Standing) -> Offer:
    return Offer(
        name="submit",
        button="Submit for approval",
        drawing="send",
        tone="primary",
        shortcut="s",
        title="Submit this quote for approval?",
        says="Policy decides who must approve exactly these terms, and they are asked.",
        busy="Asking policy…",
    )


def _activate(_: Standing) -> Offer:
    return Offer(
        name="activate",
        button="Activate",
        drawing="file-check",
        tone="primary",
        title="Make the contract?",
        says="Policy is asked once more, and exactly the approved terms become the contract. That cannot be undone.",
        busy="Asking policy…",
    )


def _recall(_: Standing) -> Offer:
    return Offer(
        name="recall",
        button="Recall",
        drawing="undo-2",
        title="Take this quote back?",
        says="Its approvals end. To go on, change the terms and submit them again.",
        text="Reason",
    )


def _clone(_: Standing) -> Offer:
    return Offer(
        name="clone",
        button="Clone",
        drawing="copy",
        title="Copy this quote into a new draft?",
        says="The copy has today's list prices and no approvals. This quote stays as it is.",
        busy="Copying…",
        is_once=True,
    )


_OFFERS: Final = {
    "approve": _approve,
    "reject": _reject,
    "submit": _submit,
    "activate": _activate,
    "recall": _recall,
    "clone": _clone,
}
COMMANDS: Final = frozenset(_OFFERS)
