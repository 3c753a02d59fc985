"""The approval matrix, read from what policy was asked: from which discount on it asks for whom. Guarantee: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from trustpack.kernel.actor import Role


@dataclass(frozen=True, slots=True)
class Band:
    """Discounts up to a limit, whose approval they need, and which of the roles the owner may fill.

    `takes_pricing` is false where the band does not cover quotes whose list prices come from where this one's come from.
    """

    up_to: Fraction
    approvals: tuple[Role, ...]
    self_approvable: tuple[Role, ...]
    takes_pricing: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """The discounts by which a quote is judged, by name in the matrix's order, and the bands that could cover it."""

    discounts: Mapping[str, Fraction]
    bands: tuple[Band, ...]
    is_decided: bool

    @property
    def deepest(self) -> tuple[str, Fraction] | None:
        """The discount that decides: the largest, the first by name among equals."""
        return max(self.discounts.items(), key=lambda item: item[1], default=None)

    @property
    def band(self) -> Band | None:
        """The band that covers the quote, if there is one."""
        return next((band for band in self.within if band.takes_pricing), None)

    @property
    def within(self) -> tuple[Band, ...]:
        """The bands whose limit the deepest discount keeps."""
        deepest = self.deepest
        return tuple(band for band in self.bands if deepest is not None and deepest[1] <= band.up_to)


def measured_by(question: Mapping[str, Any], *, is_decided: bool) -> Measured:
    """Return what a question to the discount policy measures, and by which bands; `is_decided`: it was answered already."""
    resource, parameters = question["resource"], question["parameters"]
    rows = [row for row in parameters["matrix"] if not row["segments"] or resource["segment"] in row["segments"]]
    return Measured(
        discounts={name: _share(resource["discounts"][name]) for name in parameters["measures"]},
        bands=tuple(
            Band(
                _share(row["up_to"]),
                tuple(Role(name) for name in row["approvals"]),
                tuple(Role(name) for name in row["self_approvable"]),
                takes_pricing=resource["pricing"] in row["pricing"],
            )
            for row in rows
        ),
        is_decided=is_decided,
    )


def _share(value: Mapping[str, Any]) -> Fraction:
    return Fraction(int(value["numerator"]), int(value["denominator"]))
