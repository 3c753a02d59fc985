"""The ways in which discount approvals were broken elsewhere: each has a number, and at least one test that names it.

A test says `@pytest.mark.deal_case(13)`. Source: research/revops section 2.

Not applicable yet, for want of the part that they are about:

- 16, creep under a tolerance: there is none, every change of the terms needs its approvals anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CASES: Final[Mapping[int, str]] = {
    1: "20.000000 % is the owner's own, 20.0001 % needs manager and finance, 19.9999 % does not",
    2: "20.004 % reads as 20.00 %: needs approval, and is shown with enough digits",
    3: "20 % of 99,999.99 or 333.33 is still the owner's own",
    4: "a discount as 2e1, NaN, Infinity, -0, 20,5 or null: exact, or refused",
    6: "100 % on the whole quote: never the owner's own",
    7: "more than 100 %, a negative quantity or price: refused",
    8: "a quantity or a list total of zero: no division, and no discount of 0 %",
    9: "a line without a list price at any price: needs approval",
    11: "the fat line is dropped after the approval: other terms, so no approval",
    12: "two quotes for one account that exceed a limit together: shown with their joint discount",
    13: "any commercial field is edited after the approval: every approval is superseded, and kept",
    14: "a cosmetic field is edited: approvals stay, and the receipt says that the terms are the same",
    17: "an approved quote is cloned: a draft without approvals that names its origin",
    18: "an account executive approves the own quote at 25 %, also as manager or administrator: refused and recorded",
    19: "a colleague writes the quote and its owner approves as manager: refused",
    21: "one approval is posted twice, or with one idempotency key: one vote; another body with the key: a conflict",
    22: "manager and finance approve in the same millisecond: approved once, no vote lost",
    23: "an approval arrives while an edit commits: it counts for what was shown, or not at all",
    24: "approve and reject race: one wins, the other is told why",
    26: "a draft, pending, rejected, recalled or activated quote is activated: refused; one contract whatever races",
    27: "an approver leaves after the vote: it stands with the role of its time",
    28: "a delegation in a circle, to the seller, to somebody without the role, not in force, or made late: refused or flagged",
    29: "nobody holds the required role: the submission fails loudly and names who could fix it",
    31: "the policy becomes stricter between approval and activation: refused, both revisions kept",
    32: "the client says 5 % where the lines are worth 35 %: computed anew, and refused",
    33: "the currency is switched after the approval: other terms, so no approval",
    34: "an approval or an offer is past its time at activation: refused",
    36: "a GET on the address of an approval: decides nothing",
    37: "one lead posted twice at once, in other spellings: one lead, one opportunity",
    38: "a lead that matches no routing rule, or whose policy is down: kept, with its clock running",
    39: "a bundle is exported in the middle of an approval: it says what is open; a receipt left out, added or moved shows",
}
