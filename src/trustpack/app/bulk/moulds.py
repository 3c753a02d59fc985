"""From the rows that one story left in the store to the rows of any number of stories like it. Guarantee: pure.

A mould holds the rows as lines with slots for what each copy has of its own: ids, times, days, people, salts, its number; and the
digests, which are worked out anew from the bytes that they are of. Nothing is told twice: what a receipt or a decision says is
what the product wrote into the story.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import itemgetter
from typing import Any, Final, TypeAlias

from trustpack.app.bulk.lines import TOKEN, line_of
from trustpack.kernel.clock import format_time, parse_time
from trustpack.kernel.ids import build_id, derive_id
from trustpack.proof.canonical import digest_of
from trustpack.proof.commitments import SALT_BYTES, Disclosure, committed_bytes

Rows: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows by table."""
_ID_NOISE: Final = 10
_PEOPLE: Final = ("usr_", "acc_")


@dataclass(frozen=True, slots=True)
class Copy:
    """What tells one copy from the story: its number, how much later it happened, its people, and fresh randomness."""

    number: str
    later: timedelta
    cast: Mapping[str, str]
    noise: bytes


Print: TypeAlias = Callable[[Sequence[str]], str]
"""Fills the slots of a text with a copy's values."""


class Mould:
    """Makes copies of one story, which began at `first`, ended at `last`, and is true until `deadline` (None: for good)."""

    def __init__(self, rows: Rows) -> None:
        moments = [row["occurred_at"] for row in rows["receipts"]]
        self.first: datetime = min(moments)
        self.last: datetime = max(moments)
        self.deadline: datetime | None = min((row["due_at"] for row in rows["jobs"]), default=None)
        slots = _Slots(rows)
        self._lines = {table: tuple(slots.printer(line) for line in _lines(rows[table])) for table in rows}
        self._ids, self._moved, self._derived, self._digests = slots.ids, slots.moved, slots.derived, slots.digests
        self._salts = slots.salts
        self.noise_bytes = _ID_NOISE * len(self._ids) + SALT_BYTES * self._salts

    def copy(self, wanted: Copy) -> dict[str, str]:
        """Return the rows of a copy by table, as lines for `COPY ... FROM STDIN`."""
        later_ms = wanted.later // timedelta(milliseconds=1)
        ids_end = _ID_NOISE * len(self._ids)
        values = [
            build_id(prefix, unix_ms=unix_ms + later_ms, random=wanted.noise[start : start + _ID_NOISE])
            for (prefix, unix_ms), start in zip(self._ids, range(0, ids_end, _ID_NOISE), strict=True)
        ]
        values += [wanted.noise[start : start + SALT_BYTES].hex() for start in range(ids_end, self.noise_bytes, SALT_BYTES)]
        values += [moved(wanted) for moved in self._moved]
        for derive, source in self._derived:
            values.append(derive(values[source]))
        for text in self._digests:
            values.append(digest_of(text(values).encode()))
        return {table: "".join([line(values) for line in lines]) for table, lines in self._lines.items() if lines}


class _Slots:
    """Gives everything that a copy has of its own a place in the list of its values, in the order in which it is worked out."""

    def __init__(self, rows: Rows) -> None:
        text = "".join(line_of(row) for table in rows.values() for row in table)
        found = {(match.lastgroup or "", match[0]) for match in TOKEN.finditer(text)}
        sources = dict(_derived_ids(rows))
        own = sorted({*_own_ids(rows)} - sources.keys())
        salts = sorted(token for kind, token in found if kind == "salt")
        moved = sorted((kind, token) for kind, token in found if kind in _MOVES or token.startswith(_PEOPLE))
        self._blobs = {digest_of(blob): blob.decode() for blob in _blobs(rows)}
        self._places = {token: place for place, token in enumerate([*own, *salts, *(token for _, token in moved), *sources])}
        self.ids = [(prefix, int(rest[:12], 16)) for prefix, _, rest in (token.partition("_") for token in own)]
        self.salts = len(salts)
        self.moved = [_MOVES.get(kind, _person)(token) for kind, token in moved]
        self.derived = [(derive, self._places[source]) for source, derive in sources.values()]
        self.digests: list[Print] = []

    def printer(self, text: str) -> Print:
        """Return what fills the slots of a text."""
        pattern, places, end = "", [], 0
        for match in TOKEN.finditer(text):
            place = self._place_of(match[0])
            if place is not None:
                pattern += text[end : match.start()].replace("%", "%%") + "%s"
                places.append(place)
                end = match.end()
        return _printer(pattern + text[end:].replace("%", "%%"), places)

    def _place_of(self, token: str) -> int | None:
        if token not in self._places and token in self._blobs:
            # What a digest is of may hold other digests: those come first.
            blob = self.printer(self._blobs[token])
            self._places[token] = len(self._places)
            self.digests.append(blob)
        return self._places.get(token)


def _printer(pattern: str, places: Sequence[int]) -> Print:
    if not places:
        whole = pattern % ()
        return lambda _: whole
    pick = itemgetter(*places)
    return lambda values: pattern % pick(values)


def _moved_time(token: str) -> Callable[[Copy], str]:
    moment = parse_time(token)
    return lambda wanted: format_time(moment + wanted.later)


def _moved_day(token: str) -> Callable[[Copy], str]:
    day = date.fromisoformat(token)
    return lambda wanted: (day + timedelta(days=wanted.later.days)).isoformat()


def _moved_seconds(token: str) -> Callable[[Copy], str]:
    seconds = int(token)
    return lambda wanted: str(seconds + wanted.later // timedelta(seconds=1))


def _person(token: str) -> Callable[[Copy], str]:
    return lambda wanted: wanted.cast.get(token, token)


_MOVES: Final[Mapping[str, Callable[[str], Callable[[Copy], str]]]] = {
    "time": _moved_time,
    "day": _moved_day,
    "seconds": _moved_seconds,
    "number": lambda _: lambda wanted: wanted.number,
}


def _lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        # The transaction that wrote the story did not write its copies. Without one they are news to nobody.
        yield line_of({**row, "transaction_id": None} if "transaction_id" in row else row)


def _own_ids(rows: Rows) -> Iterator[str]:
    for table in rows.values():
        for row in table:
            yield from (row[name] for name in ("id", "role_name") if name in row)


def _derived_ids(rows: Rows) -> Iterator[tuple[str, tuple[str, Callable[[str], str]]]]:
    """Yield each id that follows from another one, with that one and how it follows."""
    for event in rows["usage_events"]:
        source = event["metadata"].get("decision_id") or event["metadata"]["subject_id"]
        yield event["id"], (source, _event_id(event["type"]))
    for grant in rows["grants"]:
        yield grant["id"], (grant["request_id"], lambda request_id: request_id.replace("hro_", "grt_"))


def _event_id(usage: str) -> Callable[[str], str]:
    return lambda source: derive_id("evt", source_id=source, purpose=usage)


def _blobs(rows: Rows) -> Iterator[bytes]:
    """Yield everything that a digest may be of."""
    for table in rows.values():
        for row in table:
            yield from (value for name, value in row.items() if isinstance(value, bytes) and name != "salt")
    for row in rows["disclosures"]:
        yield committed_bytes(Disclosure(path=row["path"], value=json.loads(row["value"]), salt=row["salt"]))
