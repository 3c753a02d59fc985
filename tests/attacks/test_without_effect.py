"""What the server does not refuse to a grantee, and what changes nothing all the same for others and for the installation."""

from __future__ import annotations

import pytest

from tests.attacks.conftest import a_grantee
from tests.support.attacks import answer, statement
from tests.support.targets import reverted

HARMLESS = [
    "set app.tenant = 'globex'",
    "set row_security = off",
    "set search_path = pg_temp, public",
    "set default_transaction_read_only = off",
    "set transaction_timeout = 0; reset all",
    "set statement_timeout = 0",
    "set session authorization default",
    "set enable_seqscan = off",
    "set from_collapse_limit = 1",
    "set role none",
    "reset all",
    "reset log_statement",
    "discard all",
    "vacuum public.orders",
    "analyze public.orders",
    "vacuum (full) public.refunds",
    "grant select on {views}.orders to public",
    "grant select on {views}.orders to {service}",
    "revoke select on {views}.orders from {reader}",
    "revoke all on {views}.refunds from {reader} cascade",
    "revoke usage on schema {views} from {reader}",
    "revoke execute on function {views}.scope() from {reader}",
    "drop owned by {reader}",
    "drop owned by {reader} cascade",
    "drop owned by {grantee}",
    "reassign owned by {reader} to {grantee}",
    "alter default privileges revoke all on tables from {reader}",
    "notify trustpack, 'revert everything'",
]


@pytest.mark.adversarial(43)
async def test_what_is_not_refused_changes_neither_the_installation_nor_another_grant(target, adapter):
    attacker, neighbour = await a_grantee(target), await a_grantee(target)
    identity = await adapter.identify(target.definition)
    with target.grantee(attacker) as conn, target.grantee(neighbour) as other:
        for text in HARMLESS:
            answer(conn, statement(target, text, grantee=attacker))

            assert other.execute("select count(*) from orders").fetchone() == (100,), text
        assert await adapter.identify(target.definition) == identity
        assert conn.execute(statement(target, "select distinct tenant from {views}.orders")).fetchall() == [("acme",)]

        outcome = await reverted(adapter, target.definition, attacker)

    assert outcome.proven, outcome.blockers
    assert await a_grantee(target)
