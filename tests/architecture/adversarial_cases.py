"""The ways in which flows like this one were broken elsewhere: each has a number, and at least one test that names it.

A test says `@pytest.mark.adversarial(26)`; numbers that are missing belong to parts that the product does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CASES: Final[Mapping[int, str]] = {
    1: "the requester approves the own request: denied and recorded",
    2: "the requester approves through a second account of the same person: denied by person",
    3: "one person holding both roles approves: counts for one role only",
    4: "the same person approves twice at once in two sessions: one vote",
    6: "two valid approvals in the same millisecond: one transition, no vote lost",
    7: "approve and reject race: one final state, the later vote is told why",
    8: "a vote after approved, denied, expired or cancelled: refused, nothing changes",
    9: "an approver loses the role between voting and execution: the vote is void",
    11: "what is asked for changes after the first vote: votes void, digest changes",
    12: "an approval is replayed: refused, no clock starts anew",
    13: "an approval is used after its window: refused",
    14: "nobody holds an approving role: stays locked, never approved by itself",
    16: "time passing never counts as an approval",
    17: "a service identity votes: refused",
    18: "an administrator sets a state directly: there is no such way",
    19: "a reason of 10 MB, with control characters, HTML or SQL: bounded, kept as text",
    21: "the policy engine is down, slow, or answers nothing: denied",
    22: "the policy changes between request and execution: decided again, both revisions recorded",
    23: "durations of 7,201 s, 0, negative, NaN, as text, and across a change to summer time: one exact rule",
    24: "a start in the past or beyond the window: refused",
    26: "a crash after the role was made, before we recorded it: adopted or removed, never doubled",
    27: "a crash before the role is made: no role, no receipt of one",
    28: "half of a grant fails: nothing is left in the catalogue",
    29: "100 grants at once: no concurrent update fails",
    31: "long or hostile names of scope, schema and role: no injection, no collision",
    32: "a role of the same name exists that is not ours: refused, not adopted",
    33: "a credential in a log, receipt, error, bundle or second answer: never",
    34: "the target is a standby or read-only: a clean failure",
    36: "the target is down over the end of the grant: retried without limit, loud, never called reverted",
    37: "sessions that are idle, in a transaction, in a cursor, after SET ROLE, in a long scan: all end",
    38: "logins storm in during a revert: none survives",
    39: "the role owns temporary tables, large objects, objects in another database: all dropped, or named",
    41: "somebody extends VALID UNTIL, clears NOLOGIN or grants again: found, recorded, taken back",
    42: "the grantee changes the own password: the revert does not depend on it, and it is noticed where it can be",
    43: "the grantee resets the own settings: without effect on what can be read",
    44: "the target is restored from a backup of the time of the grant: the role that comes back is taken away",
    46: "a revert says that it is done and a probe disagrees: not proven, so not reverted",
    47: "requester, approver or tenant are gone before the end: the revert runs all the same",
}
