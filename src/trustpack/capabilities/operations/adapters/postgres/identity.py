"""Which system answers, as the installed functions tell it, and whether it holds the grant that is looked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import psycopg
from psycopg import sql

from trustpack.capabilities.operations.adapters.postgres.failures import failed_call
from trustpack.capabilities.operations.adapters.postgres.session import TargetSession
from trustpack.capabilities.operations.model import GrantMark, RevertOutcome, TargetDrifted, TargetIdentity
from trustpack.kernel.json_types import JsonObject, JsonValue
from trustpack.proof.canonical import digest_of_value

_SYSTEM_FACTS: Final = ("system_identifier", "database", "database_oid", "installation_id")
_MAY_ASK_FOR_IDENTIFIER: Final = sql.SQL("select pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute')")
_IDENTIFIER: Final = sql.SQL("(select system_identifier::text from pg_catalog.pg_control_system())")
_PLACE: Final = sql.SQL(
    "select pg_catalog.jsonb_build_object('system_identifier', {}, 'database', datname, 'database_oid', oid::bigint)"
    " from pg_catalog.pg_database where datname = pg_catalog.current_database()"
)


async def read_identity(session: TargetSession) -> TargetIdentity:
    """Return the identity of the system behind the session. Raises as `TargetSession.call` does."""
    facts = await session.call("identify")
    return TargetIdentity(digest=digest_of_value(facts), system=system_of(facts), facts=facts)


async def read_place(session: TargetSession) -> JsonObject:
    """Return which database of which cluster this is, as any login may read it. Raises as `TargetSession.call` does."""
    try:
        cursor = await session.conn.execute(_MAY_ASK_FOR_IDENTIFIER)
        may_ask = await cursor.fetchone() == (True,)
        cursor = await session.conn.execute(_PLACE.format(_IDENTIFIER if may_ask else sql.NULL))
        row = await cursor.fetchone()
    except (psycopg.Error, OSError) as error:
        raise failed_call(error) from None
    return cast(JsonObject, row[0]) if row is not None else {}


async def require_system(session: TargetSession, system: str) -> None:
    """Make sure that the session is on the system that a grant was ordered on, or a target compared. Raises `TargetDrifted`."""
    found = system_of(await session.call("system"))
    if found != system:
        raise TargetDrifted("Another system answers than the one that was meant.", found_system=found)


async def reason_to_keep_off(session: TargetSession, grant: GrantMark) -> RevertOutcome | None:
    """Say why nothing may be done, or said, about the grant over this session; None when it is the right one.

    Guarantee: nothing is changed.
    """
    found = await session.call("locate", grant.role_name)
    facts = cast(JsonObject, found["system"])
    proof: dict[str, JsonValue] = {
        "adapter": "postgres",
        "role_name": grant.role_name,
        "ordered_on_system": grant.system,
        "found_system": system_of(facts),
        "found": facts,
    }
    if proof["found_system"] != grant.system:
        return RevertOutcome(proven=False, proof=proof, blockers=("another_system_answers",))
    role_ref = None if found["role_oid"] is None else str(found["role_oid"])
    if grant.role_ref is not None and role_ref != grant.role_ref:
        proof |= {"role_ref": grant.role_ref, "found_role_ref": role_ref}
        return RevertOutcome(proven=False, proof=proof, blockers=("grant_unknown_to_the_target",))
    return None


def system_of(facts: Mapping[str, JsonValue]) -> str:
    """Return the digest that tells one system from another, from what `system` or `identify` answered."""
    return digest_of_value({name: facts[name] for name in _SYSTEM_FACTS})
