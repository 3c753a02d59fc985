"""`kill -9` between every two steps of the flow: nothing is lost, nothing is done twice, every case goes on to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from tests.crash.call_sites import EXCUSED, call_sites, is_covered
from tests.crash.comparisons import COMPARISONS
from tests.crash.killing import Killer, occurrences
from tests.crash.steps import BESIDE, GOVERNED, Kills, Step
from tests.support.audit import audit
from tests.support.crash_points import Crossing
from tests.support.estate import unwatched

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
STEPS = (*GOVERNED, *BESIDE, *COMPARISONS)
_TRIES = 6
"""Work that is due by itself, such as the end of an access, can be over before the order to die arrives."""
Traces = Mapping[str, Sequence[Crossing]]


@pytest.fixture(scope="module")
async def traces(killer: Killer) -> AsyncIterator[Traces]:
    """The points that each step comes by, undisturbed; targets are compared only by the steps that are about it."""
    with unwatched(killer.estate):
        yield {step.name: await killer.trace(step) for step in STEPS}


def points_to_die_at(step: Step, traces: Traces) -> list[tuple[str, int]]:
    """Return where the server is killed during a step: each point and which time it comes by."""
    if step.kills is Kills.NEVER:
        return []
    # How often a client comes back for an answer depends on the time that the work takes.
    found = [
        entry for entry in occurrences(traces[step.name]) if entry[1] == 1 or not entry[0].endswith((": answer", ": answered"))
    ]
    if step.kills is Kills.AT_EVERY_POINT:
        return found
    earlier = STEPS[: STEPS.index(step)]
    known = {crossing.point for one in earlier if one.kills is not Kills.NEVER for crossing in traces[one.name]}
    return [(point, occurrence) for point, occurrence in found if point not in known and occurrence == 1]


@pytest.mark.adversarial(26, 27)
@pytest.mark.parametrize("step", [step for step in STEPS if step.kills is not Kills.NEVER], ids=lambda step: step.name)
async def test_killed_between_any_two_steps_nothing_is_lost_or_done_twice(step: Step, killer: Killer, traces: Traces) -> None:
    points = points_to_die_at(step, traces)
    prepared = [] if step.prepared_late else await killer.prepare(step, len(points))

    faults: list[str] = []
    for point, occurrence in points:
        found: list[str] = []
        for _ in range(_TRIES if step.prepared_late else 1):
            [subject] = [prepared.pop()] if prepared else await killer.prepare(step, 1)
            found = await killer.kill_at(step, subject, point=point, occurrence=occurrence)
            if not any("never came by" in fault for fault in found):
                break
        faults += found
    await killer.close_everything()
    faults += audit(killer.estate, acknowledged=killer.client.told).faults

    assert faults == []


def test_every_statement_call_and_answer_of_the_flow_is_a_point_that_some_step_comes_by(traces: Traces) -> None:
    crossed = [crossing for trace in traces.values() for crossing in trace]

    missed = [site for site in call_sites() if not is_covered(site, crossed) and site.name not in EXCUSED]

    assert [str(site) for site in missed] == [], "add a step that comes by, or an excuse with its reason"


def test_no_excuse_is_left_for_what_is_not_there_or_is_covered(traces: Traces) -> None:
    crossed = [crossing for trace in traces.values() for crossing in trace]
    needed = {site.name for site in call_sites() if not is_covered(site, crossed)}

    assert set(EXCUSED) <= needed
