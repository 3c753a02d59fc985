"""The sentence that sums up what was done with an access."""

from __future__ import annotations

import pytest

from trustpack.capabilities.operations.model import AccessCounts, AccessRecord, RecordMode
from trustpack.capabilities.operations.rules.access_records import access_document, present_access_document


def counted(
    touched: int, recorded: int, not_kept: int, rolled_back: int, mode: RecordMode = RecordMode.STATEMENTS
) -> AccessRecord:
    counts = AccessCounts(touched=touched, recorded=recorded, not_kept=not_kept, rolled_back=rolled_back)
    return AccessRecord(mode=mode, counts=counts)


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (counted(41, 40, 0, 1), "41 statements touched the data, 40 recorded, 1 rolled back"),
        (counted(1, 1, 0, 0), "1 statement touched the data, 1 recorded, 0 rolled back"),
        (counted(0, 0, 0, 0), "0 statements touched the data, 0 recorded, 0 rolled back"),
        (
            counted(3000, 999, 2000, 1),
            "3000 statements touched the data, 999 recorded, 1 rolled back, 2000 beyond the limit were counted only",
        ),
        (counted(41, 0, 41, 0, RecordMode.COUNTER), "41 statements touched the data, counted only"),
        (AccessRecord(mode=RecordMode.NONE), "nothing was recorded"),
        (AccessRecord(mode=RecordMode.COUNTER, unavailable="no answer"), "the record could not be read: no answer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_sentence_says_what_is_known(record: AccessRecord, sentence: str) -> None:
    document = access_document(record)

    assert document is not None
    assert present_access_document(document) == {**document, "summary": sentence}


def test_where_nothing_can_record_there_is_no_document() -> None:
    assert access_document(None) is None
