"""Lead files: each row a lead that the API would take too, or every fault in it named by its column."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trustpack.capabilities.revops.model import FailedRow, InvalidContact, LeadRow
from trustpack.capabilities.revops.rules.lead_file import read_lead_file
from trustpack.capabilities.revops.service.shapes import LeadBody

COLUMNS = ("external_id", "email", "company", "segment", "employees", "region", "source", "owner")
GOOD = {"external_id": "crm-1", "email": "Jo+x@Acme.com", "company": "Acme GmbH", "segment": "enterprise"}


def read(*rows: dict[str, str]) -> list[LeadRow | FailedRow]:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return list(read_lead_file(io.BytesIO(file.getvalue().encode())))


def faulty(row: dict[str, str]) -> list[str | None]:
    """Return the columns that are named in a row that cannot be taken."""
    [found] = read(row)
    assert isinstance(found, FailedRow)
    return [fault.column for fault in found.faults]


def test_a_row_becomes_the_lead_that_the_api_makes_of_the_same_fields():
    [found] = read(GOOD | {"employees": "1200", "region": "emea", "source": "=fair", "owner": "user-ae"})

    assert isinstance(found, LeadRow)
    body = {**GOOD, "employees": 1200, "region": "emea", "source": "=fair"}
    body.pop("external_id")
    assert found.new == LeadBody(**body).to_new_lead()
    assert (found.line, found.external_id, found.owner) == (2, "crm-1", "user-ae")


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("external_id", ""),
        ("external_id", "a b"),
        ("external_id", "=1"),
        ("external_id", "jo@acme.com"),
        ("external_id", "x" * 129),
        ("email", ""),
        ("email", "jo"),
        ("email", "jo@" + "x" * 60_000),
        ("company", ""),
        ("company", "x" * 201),
        ("company", "two\nlines"),
        ("company", "un\u200bseen"),
        ("segment", ""),
        ("segment", "a b"),
        ("employees", "-1"),
        ("employees", "1.5"),
        ("employees", "many"),
        ("employees", "100000001"),
        ("employees", "٣"),
        ("region", "e m"),
        ("source", "x" * 201),
        ("owner", "user ae"),
    ],
)
def test_a_cell_that_cannot_be_is_named(column: str, text: str):
    assert faulty(GOOD | {column: text}) == [column]


def test_every_fault_of_a_row_is_named_at_once():
    assert faulty({"external_id": "", "email": "x", "company": "", "segment": "a b", "employees": "x"}) == [
        "external_id", "company", "segment", "employees", "email",
    ]  # fmt: skip


def test_of_two_rows_with_one_external_id_the_first_counts():
    first, second = read(GOOD, GOOD | {"email": "other@acme.com"})

    assert isinstance(first, LeadRow)
    assert isinstance(second, FailedRow)
    assert [(fault.column, fault.message) for fault in second.faults] == [("external_id", "stands in line 2 already")]
    assert second.external_id == "crm-1"


@pytest.mark.parametrize(
    "change",
    [{"company": "Other"}, {"email": "max@acme.com"}, {"segment": "smb"}, {"employees": "1"}, {"region": "x"}, {"source": "x"},
     {"owner": "user-ae"}],
)  # fmt: skip
def test_other_content_has_another_digest_and_another_spelling_of_the_mailbox_has_not(change: dict[str, str]):
    digests = [row.content_digest for [row] in (read(GOOD), read(GOOD | change), read(GOOD | {"email": " JO@acme.com "}))]  # type: ignore[union-attr]

    assert digests[0] != digests[1]
    assert digests[0] == digests[2]


TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=70),
    st.from_regex(r"[A-Za-z0-9._ -]{0,65}", fullmatch=True),
)


@given(company=TEXTS, segment=TEXTS, source=TEXTS, email=st.one_of(TEXTS, TEXTS.map(lambda text: f"{text}@acme.com")))
def test_a_row_is_taken_exactly_if_the_api_takes_its_fields(company: str, segment: str, source: str, email: str):
    fields = {"company": company.strip(), "segment": segment.strip(), "source": source.strip() or None, "email": email.strip()}
    try:
        LeadBody(**fields).to_new_lead()  # type: ignore[arg-type]
        is_taken = True
    except (ValidationError, InvalidContact):
        is_taken = False

    [found] = read({"external_id": "crm-1", **{name: value or "" for name, value in fields.items()}})

    assert isinstance(found, LeadRow) == is_taken
