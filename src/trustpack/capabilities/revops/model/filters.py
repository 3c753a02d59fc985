"""What lists ask for."""

from __future__ import annotations

from dataclasses import dataclass

from trustpack.kernel.keysets import NEWEST, Keyset


@dataclass(frozen=True, slots=True)
class NamedBy:
    """What a text may mean: the end of an id, a mailbox, and whatever accounts and people are called so."""

    id_end: str
    mailbox: str
    accounts: tuple[str, ...]
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QuoteFilter:
    """What a list asks for. With `visible_to` set, only quotes of that person or of the given teams.

    `needs` is a role whose approval a waiting quote needs, whether it is there already or not.
    """

    status: str | None = None
    opportunity_id: str | None = None
    owner_id: str | None = None
    account_key: str | None = None
    needs: str | None = None
    named_by: NamedBy | None = None
    keyset: Keyset = NEWEST
    limit: int = 50
    visible_to: str | None = None
    team_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeadFilter:
    """What a list asks for. With `visible_to` set, only leads that this person made, owns, or whose team has them."""

    segment: str | None = None
    created_by: str | None = None
    named_by: NamedBy | None = None
    keyset: Keyset = NEWEST
    limit: int = 50
    visible_to: str | None = None
    team_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpportunityFilter:
    """What a list asks for. With `visible_to` set, only what this person owns or brought in, or whose team has it."""

    status: str | None = None
    segment: str | None = None
    owner_id: str | None = None
    named_by: NamedBy | None = None
    keyset: Keyset = NEWEST
    limit: int = 50
    visible_to: str | None = None
    team_ids: tuple[str, ...] = ()


def people_meant(person_id: str | None, named_by: NamedBy | None) -> tuple[str, ...] | None:
    """Return whose objects a list asks for by a filter, by a text or by both; None where anybody's are meant."""
    if person_id is None:
        return None if named_by is None else named_by.people
    return (person_id,) if named_by is None or person_id in named_by.people else ()
