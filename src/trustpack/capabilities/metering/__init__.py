"""Usage events: what is counted, exactly once each.

Owns: the events and their ids. Does not own: daily readings and prices, which are built on the events.
"""

from trustpack.capabilities.metering.model import UsageEvent, UsageType
from trustpack.capabilities.metering.service import count, emit

__all__ = ["UsageEvent", "UsageType", "count", "emit"]
