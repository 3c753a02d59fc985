"""Find and lock what is about to change, and write the receipt of the change: what every use case of the directory shares."""

from __future__ import annotations

from trustpack.capabilities import ledger
from trustpack.capabilities.directory import store
from trustpack.capabilities.directory.model import Person, UnknownName
from trustpack.kernel.actor import Actor
from trustpack.kernel.json_types import JsonValue
from trustpack.platform.unit_of_work import Transaction


async def person_by_handle(tx: Transaction, handle: str) -> Person:
    """Return a person. Raises `UnknownName`."""
    person = await store.person_by_handle(tx, handle)
    if person is None:
        raise UnknownName(f"There is nobody called {handle}.")
    return person


async def locked_person(tx: Transaction, handle: str) -> Person:
    """Return a person, holding the row. Raises `UnknownName`."""
    found = await person_by_handle(tx, handle)
    person = await store.lock_person(tx, found.id)
    assert person is not None  # people are never deleted
    return person


async def record_change(
    tx: Transaction,
    actor: Actor,
    subject: tuple[str, str, int],
    change: tuple[str, str],
    payload: dict[str, JsonValue],
    *,
    personal: dict[str, JsonValue] | None = None,
) -> None:
    """Write the receipt of `subject` (kind, id, version) after `change` (action, state)."""
    kind, subject_id, version = subject
    action, state = change
    transition = ledger.Transition(
        subject_kind=kind,
        subject_id=subject_id,
        version=version,
        action=action,
        state=state,
        actor=actor,
        payload=payload,
        personal=personal or {},
    )
    await ledger.record(tx, transition)
