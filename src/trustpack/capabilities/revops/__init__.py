"""RevOps: leads that become opportunities, quotes whose discounts the right people approve, and the contracts they become.

Owns: leads and their routing, opportunities, the price book, quotes with their revisions, delegations, contracts.
Does not own: the policies that decide, the votes, the receipts, or the evidence file of a deal.
"""

from trustpack.capabilities.revops.model import ListPrice
from trustpack.capabilities.revops.service.deals import Deal, find_deal, present_deal
from trustpack.capabilities.revops.service.reading import readable_ones, require_readable

__all__ = ["Deal", "ListPrice", "find_deal", "present_deal", "readable_ones", "require_readable"]
