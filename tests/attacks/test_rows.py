"""What a grantee may run, and sees rows of its own tenant with all the same. Source: research/jit-access, first section."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from tests.support.attacks import DENIED, answer, statement
from trustpack.capabilities.operations.adapters.postgres.check import check

READS = [
    "select distinct tenant from orders",
    "table orders",
    "with o as materialized (select tenant from orders) select tenant from o",
    "with recursive o (tenant) as (select tenant from orders union select tenant from o join orders using (tenant)) table o",
    "select tenant from orders union select tenant from refunds",
    "select tenant from orders where tenant = 'globex' or true",
    "select tenant from orders where tenant <> 'acme' or tenant is null",
    "select max(tenant) from orders union select min(tenant) from orders",
    "select r.tenant from refunds r full join orders o on o.id = r.id where r.tenant is not null",
    "select o.tenant from orders o cross join lateral (select tenant from refunds where tenant <> o.tenant) as r",
    "select lag(tenant) over (order by id) from orders offset 1",
    "select jsonb_array_elements_text(jsonb_agg(tenant)) from orders",
    "select tenant from orders order by id desc limit 1000 offset 0",
    "select (orders).tenant from orders",
    "select tenant from orders where id in (select generate_series(1, 300))",
    "select tenant from {views}.orders where id = any (array(select generate_series(1, 300)))",
    "set enable_indexscan = off; select tenant from orders where id between 1 and 300",
    "set enable_seqscan = off; set enable_bitmapscan = off; select tenant from orders where id between 1 and 300",
    "set row_security = off; select tenant from orders",
    "set app.tenant = 'globex'; set search_path = pg_temp, {views}; select tenant from orders",
    "prepare all_orders as select tenant from orders where tenant = $1; execute all_orders('acme')",
    "select tenant from orders group by grouping sets ((tenant), ()) having tenant is not null",
]

SPIES = {
    "cheap": "select count(*) from orders where pg_temp.cheap(tenant)",
    "cheap, on a column that is masked": "select count(*) from orders where pg_temp.cheap(email) and tenant <> 'globex'",
    "operator": "select count(*) from orders where tenant operator(pg_temp.===) 'globex'",
    "join": "select count(*) from orders o join refunds r on pg_temp.cheap(o.tenant) and pg_temp.cheap(r.tenant)",
    "index condition": "select count(*) from orders where id <= 3 and pg_temp.cheap(tenant)",
    "aggregate": "select pg_temp.gather(tenant) from orders",
    "order": "select tenant from orders order by pg_temp.cheap(tenant), id",
    "default cost, least selective": "select 1 from orders where pg_temp.cheap(tenant) and amount >= 0 offset 1000",
    "case": "select count(*) from orders where case when pg_temp.cheap(tenant) then true end",
    "exists": "select 1 where exists (select from orders where not pg_temp.cheap(tenant))",
}

SPYING = """
    create function pg_temp.cheap(seen text) returns boolean language plpgsql cost 0.0000001 as
      $$ begin raise notice '%', seen; return true; end $$;
    create function pg_temp.same(seen text, other text) returns boolean language plpgsql cost 0.0000001 as
      $$ begin raise notice '%', seen; return true; end $$;
    create operator pg_temp.=== (leftarg = text, rightarg = text, function = pg_temp.same, restrict = eqsel, join = eqjoinsel);
    create function pg_temp.step(state text, seen text) returns text language plpgsql as
      $$ begin raise notice '%', seen; return seen; end $$;
    create aggregate pg_temp.gather(text) (sfunc = pg_temp.step, stype = text);
"""

ERROR_PROBES = [
    "select count(*) from orders where 1 / (case tenant when 'acme' then 1 else 0 end) = 1",
    "select count(*) from orders where tenant::text = 'acme' or tenant::integer = 1",
    "select count(*) from orders where coalesce(nullif(tenant, 'acme')::integer, 0) = 0",
    "select count(*) from orders where sqrt(case tenant when 'acme' then 1 else -1 end) > 0",
]

SAYS_NOTHING = [
    "select attname, most_common_vals::text from pg_stats where tablename = 'orders' and most_common_vals is not null",
    "select statistics_name, most_common_vals::text from pg_stats_ext where most_common_vals is not null",
    "select expr, most_common_vals::text from pg_stats_ext_exprs where most_common_vals is not null",
    "select sequencename, last_value from pg_sequences where last_value is not null",
    "select table_name from information_schema.tables where table_schema = 'public'",
    "select column_name from information_schema.columns where column_name = 'card_number'",
    "select sequence_name from information_schema.sequences where sequence_schema = 'public'",
]

TO_BE_SEEN = """
    create statistics public.both_columns (mcv) on tenant, amount from public.orders;
    create statistics public.an_expression on (upper(tenant)) from public.orders;
    create sequence public.invoice_numbers;
    select nextval('public.invoice_numbers');
    analyze public.orders;
"""
TO_BE_SEEN_NO_MORE = """
    drop statistics public.both_columns, public.an_expression;
    drop sequence public.invoice_numbers;
"""


@pytest.mark.parametrize("query", READS)
def test_every_read_shows_the_own_tenant_only(target, grantee, query):
    tenant = "2" if query == "table orders" else "1"

    with grantee.transaction(force_rollback=True):
        cursor = grantee.execute(statement(target, query))
        while cursor.nextset():
            pass
        column = [name.name for name in cursor.description].index("tenant") if tenant == "2" else 0
        seen = {row[column] for row in cursor.fetchall()}
    grantee.execute("deallocate all")

    assert seen <= {"acme"}


@pytest.mark.parametrize("spy", SPIES)
def test_a_function_of_the_grantee_is_never_shown_a_row_behind_the_barrier(target, grantee, spy):
    seen = []
    with grantee.transaction(force_rollback=True):
        grantee.execute("analyze")
        grantee.execute(SPYING)
        grantee.add_notice_handler(lambda notice: seen.append(notice.message_primary))
        grantee.execute(SPIES[spy])

    rows = grantee.execute("select distinct email from orders union select 'acme'").fetchall()
    assert seen
    assert set(seen) <= {text for (text,) in rows}


def test_the_spy_works_where_nothing_stands_in_its_way(grantee):
    seen = []
    with grantee.transaction(force_rollback=True):
        grantee.execute(SPYING)
        grantee.execute("create temporary table open as select 'globex' as tenant")
        grantee.add_notice_handler(lambda notice: seen.append(notice.message_primary))
        for query in ("pg_temp.cheap(tenant)", "tenant operator(pg_temp.===) 'x'", "pg_temp.cheap(tenant) and false"):
            grantee.execute("select from open where " + query)

    assert seen == ["globex", "globex"]


@pytest.mark.parametrize("probe", ERROR_PROBES)
def test_no_error_tells_of_a_row_behind_the_barrier(grantee, probe):
    assert grantee.execute(probe).fetchone() == (100,)


@pytest.fixture(scope="module")
def superuser(target):
    """A superuser's session, while the catalogues have something to tell of the application's tables."""
    with target.superuser() as conn:
        conn.execute(TO_BE_SEEN)
        yield conn
        conn.execute(TO_BE_SEEN_NO_MORE)


@pytest.mark.parametrize("query", SAYS_NOTHING)
def test_no_catalogue_shows_a_value_of_the_tables(superuser, grantee, query):
    assert superuser.execute(query).fetchall()

    assert grantee.execute(query).fetchall() == []


def test_hidden_and_masked_columns_cannot_be_recovered(grantee):
    rows = grantee.execute("select email, phone, note from orders where note <> '***' or email !~ '^.[*]{3}$' or phone !~ '^[*]'")

    assert rows.fetchall() == []
    assert grantee.execute("select count(distinct note) from orders").fetchone() == (1,)


def test_plans_and_statistics_tell_how_many_rows_there_are_and_no_more(target, grantee):
    with target.superuser() as conn:
        conn.execute("analyze public.orders")

    plan = "\n".join(line for (line,) in grantee.execute("explain (analyze, verbose, timing off) select * from orders"))
    grantee.execute("set enable_indexscan = off; set enable_bitmapscan = off")
    filtered = "\n".join(line for (line,) in grantee.execute("explain (analyze, timing off) select * from orders"))
    grantee.execute("reset all")

    assert "globex" not in plan + filtered
    assert "Rows Removed by Filter: 200" in filtered
    assert grantee.execute("select reltuples from pg_class where oid = 'public.orders'::regclass").fetchone() == (300,)
    assert grantee.execute("select pg_relation_size('public.orders') > 0").fetchone() == (True,)


def test_a_function_that_claims_to_leak_nothing_is_refused(grantee):
    assert answer(grantee, "create function pg_temp.f(text) returns boolean language sql leakproof as 'select true'") == DENIED


def test_copy_out_and_cursors_show_the_own_tenant_only(grantee):
    with grantee.cursor() as cursor, cursor.copy("copy (select tenant from orders) to stdout") as copied:
        assert {row[0] for row in copied.rows()} == {"acme"}
    with grantee.transaction():
        grantee.execute("declare held cursor with hold for select tenant from orders")
    assert set(grantee.execute("fetch all from held")) == {("acme",)}
    grantee.execute("close all")


def test_definers_of_the_application_are_a_hole_until_they_are_closed(target, grantee):
    with target.superuser() as conn:
        conn.execute(
            "create function public.every_order() returns setof public.orders language sql security definer"
            " as 'select * from public.orders'"
        )
        try:
            through = grantee.execute("select count(distinct tenant) from public.every_order()").fetchone()
            named = [finding for finding in findings(target) if finding.code == "public_definer"]
            conn.execute(named[0].remedy)
            with pytest.raises(errors.InsufficientPrivilege):
                grantee.execute("select * from public.every_order()")
        finally:
            conn.execute("drop function public.every_order()")

    assert through == (3,)
    assert len(named) == 1


def findings(target):
    with psycopg.connect(target.admin_url, autocommit=True) as conn:
        return check(conn, target.definition)
