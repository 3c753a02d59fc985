"""Quantiles of measured durations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

QUANTILES = (0.50, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Quantiles:
    """The median, the 95th and the 99th percentile, in seconds."""

    p50: float
    p95: float
    p99: float

    def in_ms(self) -> tuple[str, str, str]:
        """Return the three as milliseconds for a table."""
        return (f"{self.p50 * 1e3:.1f}", f"{self.p95 * 1e3:.1f}", f"{self.p99 * 1e3:.1f}")

    def in_us(self) -> tuple[str, str, str]:
        """Return the three as microseconds for a table."""
        return (f"{self.p50 * 1e6:.0f}", f"{self.p95 * 1e6:.0f}", f"{self.p99 * 1e6:.0f}")

    def as_json(self) -> dict[str, float]:
        """Return the three by name."""
        return asdict(self)


def quantiles_of(durations: Sequence[float]) -> Quantiles:
    """Return the quantiles of a non-empty list of durations in seconds."""
    ordered = sorted(durations)
    p50, p95, p99 = (ordered[int(len(ordered) * quantile)] for quantile in QUANTILES)
    return Quantiles(p50, p95, p99)
