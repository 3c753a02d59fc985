"""Put copies into the store with `COPY`, under every rule that the product's own writes are under.

`COPY` cannot write to a table with row-level security, so the lines go into temporary tables first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from psycopg import sql

from trustpack.app.bulk.capture import TABLES
from trustpack.platform.unit_of_work import Transaction

_SETTINGS: Final = sql.SQL(
    # A batch that a crash of the server takes back is loaded by the next run, so nobody has to wait for the disk.
    "SET LOCAL synchronous_commit = off;"
    # The checks of rows are planned while the tables are as good as empty, and these plans are kept: by index from the start.
    " SET LOCAL enable_seqscan = off; SET LOCAL work_mem = '64MB';"
)


async def load(tx: Transaction, lines: Mapping[str, str]) -> None:
    """Insert rows of many copies; all of them when the transaction commits, or none."""
    filled = [table for table in TABLES if lines.get(table)]
    await tx.connection.execute(_SETTINGS + sql.SQL(";").join(map(_make_place, filled)), prepare=False)
    for table in filled:
        async with tx.connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(_place_of(table))) as copy:
            await copy.write(lines[table])
    await tx.connection.execute(sql.SQL(";").join(map(_take_over, filled)), prepare=False)


def _place_of(table: str) -> sql.Composable:
    return sql.Identifier("pg_temp", f"bulk_{table}")


def _make_place(table: str) -> sql.Composable:
    return sql.SQL("CREATE TEMPORARY TABLE IF NOT EXISTS {} (LIKE {}) ON COMMIT DELETE ROWS").format(
        sql.Identifier(f"bulk_{table}"), sql.Identifier("trustpack", table)
    )


def _take_over(table: str) -> sql.Composable:
    return sql.SQL("INSERT INTO {} SELECT * FROM {}").format(sql.Identifier("trustpack", table), _place_of(table))
