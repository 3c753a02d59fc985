"""The picture of a discount is read from what policy was asked, whatever the matrix; nothing in it is rounded."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from trustpack.capabilities.revops.rules.bands import measured_by
from trustpack.kernel.actor import Role


def share(numerator: int, denominator: int = 100) -> dict[str, int]:
    return {"numerator": numerator, "denominator": denominator}


def row(
    up_to: int, *approvals: str, segments: tuple[str, ...] = (), pricing: tuple[str, ...] = ("catalogued",)
) -> dict[str, Any]:
    return {
        "segments": list(segments),
        "up_to": share(up_to),
        "pricing": list(pricing),
        "approvals": list(approvals),
        "self_approvable": ["ae"] if approvals == ("ae",) else [],
    }


MATRIX = [
    row(15, "ae", segments=("smb",)),
    row(20, "ae", segments=("enterprise",)),
    row(40, "manager"),
    row(100, "manager", "finance", pricing=("catalogued", "uncatalogued")),
]


def question(
    discounts: dict[str, dict[str, int]],
    *,
    segment: str = "enterprise",
    pricing: str = "catalogued",
    measures: tuple[str, ...] = (),
) -> dict[str, Any]:
    resource = {"segment": segment, "pricing": pricing, "discounts": discounts}
    return {"resource": resource, "parameters": {"measures": list(measures or discounts), "matrix": MATRIX}}


def test_the_bands_are_those_of_the_segment():
    measured = measured_by(question({"blended": share(25)}), is_decided=True)

    assert [band.up_to for band in measured.bands] == [Fraction(1, 5), Fraction(2, 5), Fraction(1)]
    assert [band.self_approvable for band in measured.bands] == [(Role.AE,), (), ()]


@pytest.mark.parametrize(
    ("numerator", "approvals"),
    [
        (2_000_000, (Role.AE,)),
        (2_000_001, (Role.MANAGER,)),
        (4_000_000, (Role.MANAGER,)),
        (4_000_001, (Role.MANAGER, Role.FINANCE)),
    ],
)
def test_a_limit_belongs_to_its_band_and_the_least_beyond_to_the_next(numerator: int, approvals: tuple[Role, ...]):
    band = measured_by(question({"blended": share(numerator, 10_000_000)}), is_decided=True).band

    assert band is not None
    assert band.approvals == approvals


def test_the_deepest_of_the_deciding_measures_decides_and_others_are_left_out():
    measured = measured_by(
        question(
            {"blended": share(10), "largest_line": share(30), "recurring": share(30), "linked": share(90)},
            measures=("blended", "largest_line", "recurring"),
        ),
        is_decided=True,
    )

    assert measured.deepest == ("largest_line", Fraction(3, 10))
    assert list(measured.discounts) == ["blended", "largest_line", "recurring"]


def test_a_band_that_does_not_take_the_pricing_is_shown_but_does_not_cover():
    measured = measured_by(question({"blended": share(5)}, pricing="uncatalogued"), is_decided=False)

    assert [band.takes_pricing for band in measured.within] == [False, False, True]
    assert measured.band == measured.bands[-1]


def test_what_no_band_covers_has_none():
    measured = measured_by(question({"blended": share(5)}, pricing="bare_amount"), is_decided=False)

    assert measured.band is None
