"""What the server does not refuse to a grantee, and what changes nothing all the same for others and for the installation."""

from __future__ import annotations

import pytest

from tests.attacks.conftest import a_grantee
from tests.support.attacks import ALLOWED, DENIED, answer, statement
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


SET_ROLE_IS_WITHHELD = 16
NAMING_OUR_ROLES = [
    "set role {reader}",
    "alter role {reader} set work_mem = '1MB'",
    "alter role {reader} in database {database} set search_path = pg_temp",
    "alter role {reader} password 'mine'",
    "grant {reader} to {grantee}",
    "alter default privileges grant select on tables to {provisioner}",
    "create temporary table mine (i integer)",
    "grant all on mine to {owner}, {service}",
    "select lo_create(2200)",
    "grant all on large object 2200 to {provisioner}, {neighbour}",
    "reset role",
    "alter default privileges grant select on tables to {owner}",
    "create temporary table mine_too (i integer)",
    "grant all on mine_too to {owner}, {neighbour}",
    "select lo_create(2201)",
    "grant all on large object 2201 to {service}, {neighbour}",
]


@pytest.mark.adversarial(43)
async def test_nothing_that_a_grantee_does_in_the_name_of_our_roles_looks_like_an_alteration(target, adapter):
    """Else one grantee could end the access of all: before 16 it may SET ROLE to the group."""
    attacker, neighbour = await a_grantee(target), await a_grantee(target)
    before = await adapter.inventory(target.definition)
    identity = await adapter.identify(target.definition)
    with target.grantee(attacker) as conn:
        answers = [
            answer(conn, statement(target, text, grantee=attacker, neighbour=neighbour, database=target.database))
            for text in NAMING_OUR_ROLES
        ]

        after = await adapter.inventory(target.definition)

    assert set(answers[:3]) == {ALLOWED if target.version < SET_ROLE_IS_WITHHELD else DENIED}
    assert set(answers[5:]) == {ALLOWED}
    assert (after.is_sealed, after.seal) == (True, before.seal)
    assert await adapter.identify(target.definition) == identity
    beside = {role.name: role for role in after.roles}[neighbour]
    assert (beside.has_rights, beside.powers, beside.memberships) == (False, (), ())
    assert (await reverted(adapter, target.definition, attacker)).proven
