"""How far a long measurement is, on the standard error stream, so that the tables stay alone on the other."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Progress:
    """Tells what is under way, with the seconds since it began."""

    what: str
    started: float = field(default_factory=time.monotonic)

    def tell(self, text: str) -> None:
        """Say how far it is."""
        print(f"  {self.what}, {time.monotonic() - self.started:.0f} s: {text}", file=sys.stderr, flush=True)
