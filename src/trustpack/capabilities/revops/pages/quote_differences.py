"""What changed from one revision of a quote to another, as people compare two papers. Guarantee: pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from trustpack.capabilities.revops.model import QuoteLine, Terms
from trustpack.capabilities.revops.rules.pricing import totals_of
from trustpack.kernel.money import format_amount, format_share
from trustpack.platform.web.pages.numbers import grouped, shown_amount

_SAME: Final = " "
_OLD: Final = "-"
_NEW: Final = "+"


@dataclass(frozen=True, slots=True)
class Difference:
    """Lines with the sign "+", "-" or " ", and the figures that are others now: (name, before, after)."""

    lines: tuple[tuple[str, str], ...]
    figures: tuple[tuple[str, str, str], ...]
    added: int
    removed: int
    changed: int

    @property
    def rows(self) -> tuple[tuple[str, str, tuple[str, str]], ...]:
        """The figures as rows of a table: name, nothing beneath it, before and after."""
        return tuple((name, "", (before, after)) for name, before, after in self.figures)


def difference(before: Terms, after: Terms) -> Difference:
    """Return what is different in `after`; a line that has its SKU and description still is changed, not replaced."""
    signed = list(_compared(before, after))
    counts = {kind: sum(found == kind for found, _ in signed) for kind in ("added", "removed", "changed")}
    return Difference(
        lines=tuple(line for _, lines in signed for line in lines),
        figures=tuple(
            (name, old, new) for (name, old), (_, new) in zip(_figures(before), _figures(after), strict=True) if old != new
        ),
        added=counts["added"],
        removed=counts["removed"],
        changed=counts["changed"],
    )


def _compared(before: Terms, after: Terms) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    old, new = before.lines, after.lines
    for kind, i, j, k, m in SequenceMatcher(None, _keys(old), _keys(new), autojunk=False).get_opcodes():
        if kind == "equal":
            yield from (_pair(left, right, before, after) for left, right in zip(old[i:j], new[k:m], strict=True))
        else:
            yield from (("removed", ((_OLD, said(line, currency=before.currency)),)) for line in old[i:j])
            yield from (("added", ((_NEW, said(line, currency=after.currency)),)) for line in new[k:m])


def _pair(left: QuoteLine, right: QuoteLine, before: Terms, after: Terms) -> tuple[str, tuple[tuple[str, str], ...]]:
    old, new = said(left, currency=before.currency), said(right, currency=after.currency)
    return ("same", ((_SAME, new),)) if old == new else ("changed", ((_OLD, old), (_NEW, new)))


def _keys(lines: Sequence[QuoteLine]) -> list[tuple[str | None, str]]:
    return [(line.sku, line.description) for line in lines]


def said(line: QuoteLine, *, currency: str) -> str:
    """Return a line of a quote in one line of text: everything that counts."""
    price = grouped(format_amount(line.unit_price, currency=currency))
    listed = ""
    if line.list_price is not None and line.list_price != line.unit_price:
        listed = f" (list {grouped(format_amount(line.list_price, currency=currency))})"
    rhythm = "" if line.recurring else ", once"
    sku = f"{line.sku} " if line.sku else ""
    return f"{sku}{line.description}: {line.quantity:,} at {price}{listed}, less {line.discount} %{rhythm}"


def _figures(terms: Terms) -> tuple[tuple[str, str], ...]:
    totals = totals_of(terms.lines)
    return (
        ("List", shown_amount(totals.list_amount, currency=terms.currency)),
        ("Net", shown_amount(totals.net_amount, currency=terms.currency)),
        ("Discount", f"{format_share(totals.blended)} %"),
        ("Deepest line", f"{format_share(totals.largest_line)} %"),
        ("Valid until", terms.valid_until.isoformat()),
        ("Term", _counted(terms.term_months, "months")),
        ("Payment", _counted(terms.payment_days, "days")),
        ("Starts", terms.start_date.isoformat() if terms.start_date else "not said"),
    )


def _counted(number: int | None, unit: str) -> str:
    return "not said" if number is None else f"{number} {unit}"
