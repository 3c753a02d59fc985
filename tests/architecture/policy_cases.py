"""The ways in which asking a policy engine goes wrong: each has a number, and at least one test that names it.

A test says `@pytest.mark.policy_case(4)`. Source: research/policy section 4.

Not applicable yet, for want of the part that they are about:

- 6, a stale bundle: bundles lie beside the program and are never fetched; an OPA server with another revision is case 5.
- 7, an older bundle that is validly signed, and of 8 the signatures: bundles are held by digests, not by signatures.
- of 13, replay that is equal across days: replay.
- of 11, tenants that are not affected by another's policy: policies of tenants' own, which overrides may bring.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CASES: Final[Mapping[int, str]] = {
    1: "the engine is down, by refused connection, name or TLS: denied, kept, and the breaker counts",
    2: "the engine is slow or drips: one deadline over everything, denied, not asked again",
    3: "an answer without a result: undefined, denied, not ready",
    4: "a result of another shape, even one that looks like yes: malformed, denied",
    5: "an answer from another bundle: mismatch, denied, not ready",
    8: "a file of a bundle is changed, missing or one too many: it is not loaded",
    9: "an input that drifts from its schema or is not plain JSON: rejected before any engine, with its reason",
    10: "a decisive field is missing: both engines deny alike",
    11: "a policy is recursive, endless or hungry: refused or stopped, and others are answered",
    12: "the decision cannot be stored after an allow: nothing is done",
    13: "a policy that reads time, randomness or the network: refused",
    14: "the bundle behind the engine changes during 1,000 parallel decisions: each names one revision, none is mixed",
    15: "both engines on one corpus, an engine that dies in a call, a stampede on its return: same, one deny, one probe",
}
