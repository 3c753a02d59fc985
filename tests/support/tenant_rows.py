"""Rows of a tenant in every table of the catalogue: what the flow leaves behind, and where it leaves nothing, rows made up."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, cast

from psycopg import Connection, sql
from psycopg.rows import DictRow

from tests.support.browsers import signed_in
from tests.support.deals import PRICES, selling
from tests.support.delegating import lend
from tests.support.world import World
from trustpack.capabilities import directory
from trustpack.capabilities.directory.service.accounts import invite
from trustpack.proof.canonical import digest_of

Row = dict[str, Any]
"""A row as JSON, column by column; PostgreSQL reads each value back into its own type."""
_MADE_UP_BYTES = b"\0"
_LITERAL = re.compile(r"\b(\w+) = (?:ANY \(ARRAY\[)?'([^']*)'")
_DIGEST = re.compile(r"\b(\w+) = \('sha256:'::text \|\| encode\(sha256\(")
MADE_UP: dict[str, Any] = {
    "text": "", "bigint": 1, "integer": 1, "boolean": False, "bytea": "\\x00", "date": "2026-11-22", "jsonb": {},
    "json": {}, "timestamp with time zone": "2026-11-22T00:00:00Z", "text[]": [], "bigint[]": [], "numeric": 1, "uuid": "0" * 32,
}  # fmt: skip


async def live(world: World) -> None:
    """Do something of everything, so that the tenant has rows wherever the flow writes."""
    async with world.container.unit_of_work.transaction(world.tenant_id) as tx:
        await directory.add_team(tx, world.operator, name="payments")
        await directory.join_team(tx, world.operator, handle="user-engineer", team="payments")
        await invite(tx, world.operator, handle="user-engineer")
    await signed_in(world, "user-engineer")
    await world.active()
    request = await world.ask()
    response = await world.act("user-engineer", request["id"], "cancel", key="k1")
    assert response.status_code == 200, response.text
    deals = await selling(world)
    activated = await deals.act("user-ae", await deals.approved(), "activate")
    assert activated.status_code == 200, activated.text
    cloned = await deals.act("user-ae", await deals.quote(person="user-manager"), "clone")
    assert cloned.status_code == 201, cloned.text
    await deals.import_prices(PRICES)
    await lend(deals, to="user-engineer")


def fill_what_is_empty(connection: Connection[DictRow], tables: Sequence[str], tenant_id: str) -> None:
    """Give the tenant a made-up row in each table in which it has none."""
    for table in tables:
        if not rows_of(connection, table, tenant_id):
            with connection.transaction():
                connection.execute("SET LOCAL session_replication_role = replica")  # no trigger asks for a receipt
                insert(connection, table, made_up_row(connection, table, tenant_id))


def rows_of(connection: Connection[DictRow], table: str, tenant_id: str) -> list[Row]:
    """Return the tenant's rows of a table, in a fixed order."""
    query = f"SELECT to_jsonb(t) AS row FROM trustpack.{table} t WHERE tenant_id = %s ORDER BY t::text"
    return [found["row"] for found in connection.execute(cast("Any", query), (tenant_id,)).fetchall()]


def insert(connection: Connection[DictRow], table: str, row: Row, *, end: str = "") -> None:
    """Insert a row, with `end` after its values."""
    statement = f"INSERT INTO trustpack.{table} SELECT (jsonb_populate_record(NULL::trustpack.{table}, %s)).* {end}"
    connection.execute(cast("Any", statement), (json.dumps(row),))


def made_up_row(connection: Connection[DictRow], table: str, tenant_id: str) -> Row:
    """Return a row of the right form: a value per type, the text or digest that a check asks for, and keys of rows that exist."""
    columns = connection.execute(
        "SELECT attname AS name, format_type(atttypid, NULL) AS type FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        (f"trustpack.{table}",),
    ).fetchall()
    row = {column["name"]: MADE_UP[column["type"]] for column in columns}
    row |= {column["name"]: f"made-up-{tenant_id}" for column in columns if column["type"] == "text"}
    for check in _constraints(connection, table, "c"):
        row |= {name: text for name, text in reversed(_LITERAL.findall(check["definition"])) if name in row}
        row |= {name: digest_of(_MADE_UP_BYTES) for name in _DIGEST.findall(check["definition"])}
    row["tenant_id"] = tenant_id
    for key in _constraints(connection, table, "f"):
        here, there = (re.findall(r"\w+", part) for part in re.findall(r"\(([^)]*)\)", key["definition"])[:2])
        query = sql.SQL("SELECT to_jsonb(t) AS row FROM {} t WHERE to_jsonb(t) ->> 'tenant_id' = %s LIMIT 1")
        found = connection.execute(query.format(sql.Identifier("trustpack", key["referenced"])), (tenant_id,)).fetchone()
        row |= {ours: found["row"][theirs] for ours, theirs in zip(here, there, strict=True)} if found is not None else {}
    return row


def _constraints(connection: Connection[DictRow], table: str, kind: str) -> list[DictRow]:
    return connection.execute(
        "SELECT pg_get_constraintdef(c.oid) AS definition, f.relname AS referenced FROM pg_constraint c"
        " LEFT JOIN pg_class f ON f.oid = c.confrelid WHERE c.conrelid = %s::regclass AND c.contype = %s ORDER BY c.conname",
        (f"trustpack.{table}", kind),
    ).fetchall()
