"""The end of a statement that reads one page of a list: where it begins, its order and its length."""

from __future__ import annotations

from typing import Any, LiteralString

from trustpack.kernel.keysets import Keyset


def page_sql(
    table: LiteralString, column: LiteralString, *, descending: bool, past: LiteralString = "%(past_value)s"
) -> LiteralString:
    """Return the conditions and order of a page, to stand after other conditions; `column` is "id" or one with an index.

    `past` makes the column's value from the one that the keyset has, where the store spells it in its own way.
    """
    sign: LiteralString = "<" if descending else ">"
    row_id: LiteralString = table + ".id"
    begin = row_id + " " + sign + " %(past_id)s"
    if column != "id":
        begin = "(" + table + "." + column + ", " + row_id + ") " + sign + " (" + past + ", %(past_id)s)"
    return " AND (%(past_id)s::text IS NULL OR " + begin + ")" + order_sql(table, column, descending=descending)


def order_sql(table: LiteralString, column: LiteralString, *, descending: bool) -> LiteralString:
    """Return the order and length of a page alone, for rows that were found already."""
    way: LiteralString = "DESC" if descending else "ASC"
    key: LiteralString = "" if column == "id" else table + "." + column + " " + way + ", "
    return " ORDER BY " + key + table + ".id " + way + " LIMIT %(limit)s"


def page_values(keyset: Keyset, *, limit: int) -> dict[str, Any]:
    """Return the parameters that `page_sql` names."""
    value, row_id = keyset.past or (None, None)
    return {"past_value": value, "past_id": row_id, "limit": limit}
