"""What every target adapter promises (`operations.ports.TargetAdapter`), on both implementations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from tests.support.targets import (
    BIN_PATHS,
    a_definition,
    an_order,
    available_versions,
    granted,
    handed_out,
    marked,
    prepare,
    reverted,
    running_cluster,
)
from trustpack.capabilities.operations.adapters.record import RecordTargetAdapter
from trustpack.capabilities.operations.model import TargetDefinition, TargetDrifted, TargetRefused, TargetUnavailable
from trustpack.capabilities.operations.ports import TargetAdapter
from trustpack.capabilities.operations.rules.target_definition import parse_definition
from trustpack.proof.canonical import canonical_bytes

_numbers = count(1)


class SystemTime:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True)
class Subject:
    """One implementation with a definition, and the means to make a second one over the same state, as after a restart."""

    kind: str
    definition: TargetDefinition
    make_adapter: Any

    @property
    def adapter(self) -> TargetAdapter:
        return self.make_adapter()


@pytest.fixture(scope="session")
def postgres_subject(tmp_path_factory) -> Iterator[Subject]:
    version = available_versions()[0]
    with running_cluster(tmp_path_factory.mktemp("contract"), version) as cluster:
        target = prepare(cluster, version=version, installed_by="superuser", name="contract", scopes=["acme", "globex"])
        yield Subject("postgres", target.definition, target.adapter)


@pytest.fixture
async def reusing_subject(postgres_subject) -> AsyncIterator[Subject]:
    """The same target through one adapter that uses its sessions again, as the product's does."""
    adapter = postgres_subject.make_adapter(idle_session_seconds=10.0)
    yield replace(postgres_subject, make_adapter=lambda: adapter)
    await adapter.aclose()


@pytest.fixture
def record_subject(tmp_path) -> Subject:
    document = {"adapter": "record", "scopes": ["acme", "globex"]}
    definition = a_definition("contract", **document)
    return Subject("record", definition, lambda: RecordTargetAdapter(tmp_path / "targets", clock=SystemTime()))


@pytest.fixture(params=["record", "postgres", "reusing"])
def subject(request) -> Subject:
    return request.getfixturevalue(f"{request.param}_subject")


@pytest.fixture
def order():
    return an_order(next(_numbers))


def test_versions_at_hand_include_an_embedded_one():
    assert set(available_versions()) & {18, 16}
    assert set(available_versions()) <= set(BIN_PATHS)


def test_statements_are_the_same_every_time_and_name_role_scope_and_masks(subject, order):
    first = subject.adapter.statements(subject.definition, order)
    second = subject.adapter.statements(subject.definition, order)

    assert first == second
    text = "\n".join(first)
    assert order.role_name in text
    assert "'acme'" in text
    assert "600 seconds" in text
    assert "except card_number" in text
    assert "email masked as first_letter" in text


def test_statements_change_with_the_scope_and_with_the_duration(subject, order):
    statements = subject.adapter.statements(subject.definition, order)

    assert subject.adapter.statements(subject.definition, replace(order, scope="globex")) != statements
    assert subject.adapter.statements(subject.definition, replace(order, duration_seconds=601)) != statements


async def test_identity_is_unchanged_by_a_grant_and_its_revert(subject, order):
    before = await subject.adapter.identify(subject.definition)

    await granted(subject.adapter, subject.definition, order)
    during = await subject.adapter.identify(subject.definition)
    await reverted(subject.adapter, subject.definition, order.role_name)
    after = await subject.adapter.identify(subject.definition)

    assert before == during == after
    assert before.digest.startswith("sha256:")


async def test_a_grant_says_when_it_began_and_ends(subject, order):
    grant = await granted(subject.adapter, subject.definition, order)

    assert not grant.adopted
    assert grant.role_name == order.role_name
    assert grant.role_ref
    assert grant.expires_at - grant.granted_at == timedelta(seconds=600)
    assert 590 < grant.remaining_seconds <= 600


async def test_a_repeated_grant_adopts_what_the_first_call_did(subject, order):
    first = await granted(subject.adapter, subject.definition, order)

    second = await granted(subject.adapter, subject.definition, order)

    assert second.adopted
    assert (second.role_ref, second.granted_at, second.expires_at) == (first.role_ref, first.granted_at, first.expires_at)


async def test_concurrent_grants_of_one_order_make_one_grant(subject, order):
    grants = await asyncio.gather(*(granted(subject.adapter, subject.definition, order) for _ in range(5)))

    assert len({(grant.role_ref, grant.expires_at) for grant in grants}) == 1
    assert [grant.adopted for grant in grants].count(False) == 1


@pytest.mark.parametrize(
    "change", [{"scope": "globex"}, {"duration_seconds": 601}, {"connection_limit": 1}], ids=lambda c: next(iter(c))
)
async def test_a_grant_of_the_same_name_with_another_content_is_refused(subject, order, change):
    await granted(subject.adapter, subject.definition, order)

    with pytest.raises(TargetRefused):
        await granted(subject.adapter, subject.definition, replace(order, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"duration_seconds": 0},
        {"duration_seconds": -1},
        {"duration_seconds": 7201},
        {"connection_limit": 0},
        {"connection_limit": 6},
        {"scope": "initech"},
        {"scope": ""},
    ],
    ids=str,
)
async def test_what_the_definition_does_not_allow_is_refused_and_leaves_nothing(subject, order, change):
    with pytest.raises(TargetRefused):
        await granted(subject.adapter, subject.definition, replace(order, **change))

    grant = await granted(subject.adapter, subject.definition, order)
    assert not grant.adopted


async def test_a_grant_is_still_known_after_a_restart(subject, order):
    await granted(subject.adapter, subject.definition, order)

    again = await granted(subject.make_adapter(), subject.definition, order)

    assert again.adopted


async def test_a_revert_is_proven_and_a_second_one_too(subject, order):
    await granted(subject.adapter, subject.definition, order)

    first = await reverted(subject.adapter, subject.definition, order.role_name)
    second = await reverted(subject.make_adapter(), subject.definition, order.role_name)

    assert first.proven
    assert first.proof["role_existed"] is True
    assert second.proven
    assert first.blockers == second.blockers == ()


async def test_a_revert_of_what_never_was_is_proven_and_burns_the_name(subject, order):
    outcome = await reverted(subject.adapter, subject.definition, order.role_name)

    assert outcome.proven
    assert outcome.proof["role_existed"] is False
    with pytest.raises(TargetRefused):
        await granted(subject.adapter, subject.definition, order)


async def test_a_name_is_never_used_again(subject, order):
    await granted(subject.adapter, subject.definition, order)
    await reverted(subject.adapter, subject.definition, order.role_name)

    with pytest.raises(TargetRefused):
        await granted(subject.adapter, subject.definition, order)


async def test_concurrent_reverts_of_one_grant_all_prove_it(subject, order):
    await granted(subject.adapter, subject.definition, order)

    outcomes = await asyncio.gather(*(reverted(subject.make_adapter(), subject.definition, order.role_name) for _ in range(4)))

    assert [outcome.blockers for outcome in outcomes] == [()] * 4
    assert all(outcome.proven for outcome in outcomes)


async def test_a_grant_racing_its_revert_never_survives_it(subject, order):
    results = await asyncio.gather(
        granted(subject.adapter, subject.definition, order),
        reverted(subject.adapter, subject.definition, order.role_name),
        return_exceptions=True,
    )

    assert isinstance(results[0], TargetRefused) or not isinstance(results[0], BaseException)
    with pytest.raises(TargetRefused):
        await granted(subject.adapter, subject.definition, order)
    final = await reverted(subject.adapter, subject.definition, order.role_name)
    assert final.proven


async def test_an_order_that_was_approved_on_another_identity_is_refused_and_leaves_nothing(subject, order):
    with pytest.raises(TargetDrifted):
        await subject.adapter.grant(subject.definition, replace(order, identity_digest="sha256:" + "0" * 64))

    assert not (await granted(subject.adapter, subject.definition, order)).adopted


async def test_a_grant_is_adopted_even_where_the_identity_changed_after_it(subject, order):
    await granted(subject.adapter, subject.definition, order)

    again = await subject.adapter.grant(subject.definition, replace(order, identity_digest="sha256:" + "0" * 64))

    assert again.adopted


async def test_a_known_grant_is_reverted_by_its_mark(subject, order):
    grant = await granted(subject.adapter, subject.definition, order)
    mark = await marked(subject.adapter, subject.definition, order.role_name, role_ref=grant.role_ref)

    outcomes = [await subject.adapter.revert(subject.definition, mark) for _ in range(2)]

    assert all(outcome.proven for outcome in outcomes)
    assert outcomes[0].proof["system"] == mark.system


async def test_another_system_proves_nothing_and_burns_nothing(subject, order):
    mark = await marked(subject.adapter, subject.definition, order.role_name)

    outcome = await subject.adapter.revert(subject.definition, replace(mark, system="sha256:" + "0" * 64))

    assert not outcome.proven
    assert outcome.blockers == ("another_system_answers",)
    assert outcome.proof["ordered_on_system"] == "sha256:" + "0" * 64
    assert outcome.proof["found_system"] == mark.system
    assert canonical_bytes(outcome.proof)
    assert not (await granted(subject.adapter, subject.definition, order)).adopted


async def test_a_target_that_does_not_know_a_grant_that_was_made_proves_nothing_and_burns_nothing(subject, order):
    mark = await marked(subject.adapter, subject.definition, order.role_name, role_ref="4711")

    outcome = await subject.adapter.revert(subject.definition, mark)

    assert not outcome.proven
    assert outcome.blockers == ("grant_unknown_to_the_target",)
    assert canonical_bytes(outcome.proof)
    assert not (await granted(subject.adapter, subject.definition, order)).adopted
    assert not (await subject.adapter.revert(subject.definition, mark)).proven


async def test_the_system_stays_when_the_definition_changes_and_the_digest_does_not(record_subject):
    before = await record_subject.adapter.identify(record_subject.definition)

    after = await record_subject.adapter.identify(replace(record_subject.definition, scopes=("acme",)))
    elsewhere = await record_subject.adapter.identify(replace(record_subject.definition, name="another"))

    assert after.system == before.system
    assert after.digest != before.digest
    assert elsewhere.system != before.system


async def test_a_recorded_target_is_another_system_than_a_real_one_of_its_name(postgres_subject, record_subject, order):
    grant = await granted(postgres_subject.adapter, postgres_subject.definition, order)
    mark = await marked(postgres_subject.adapter, postgres_subject.definition, order.role_name, role_ref=grant.role_ref)

    outcome = await record_subject.adapter.revert(record_subject.definition, mark)

    assert outcome.blockers == ("another_system_answers",)


async def test_two_directories_of_records_are_two_systems(record_subject, tmp_path):
    other = RecordTargetAdapter(tmp_path / "other", clock=SystemTime())

    identities = [await adapter.identify(record_subject.definition) for adapter in (record_subject.adapter, other)]

    assert identities[0].system != identities[1].system


async def test_a_proof_is_canonical_json(subject, order):
    await granted(subject.adapter, subject.definition, order)

    outcome = await reverted(subject.adapter, subject.definition, order.role_name)

    assert canonical_bytes(outcome.proof)
    assert outcome.proof["adapter"] == subject.kind


async def test_the_record_adapter_has_no_credentials_to_give(record_subject, order):
    await granted(record_subject.adapter, record_subject.definition, order)

    with pytest.raises(TargetRefused, match="records only"):
        await handed_out(record_subject.adapter, record_subject.definition, order.role_name)


async def test_the_record_adapter_forgets_a_line_that_was_torn_by_a_crash(record_subject, tmp_path, order):
    await granted(record_subject.adapter, record_subject.definition, order)
    with (tmp_path / "targets" / "contract.jsonl").open("ab") as file:
        file.write(b'{"event": "rever')

    grant = await granted(record_subject.adapter, record_subject.definition, order)
    outcome = await reverted(record_subject.adapter, record_subject.definition, order.role_name)

    assert grant.adopted
    assert outcome.proven


async def test_the_record_adapter_says_when_it_cannot_write(tmp_path, order):
    (tmp_path / "file").write_text("in the way")
    adapter = RecordTargetAdapter(tmp_path / "file", clock=SystemTime())
    definition = parse_definition(
        {"name": "a", "environment": "prod", "adapter": "record", "max_duration_seconds": 600, "connection_limit": 2}
    )

    with pytest.raises(TargetUnavailable):
        await granted(adapter, definition, order)


async def test_the_inventory_has_every_live_grant_of_this_system_and_none_that_ended(subject, order):
    await granted(subject.adapter, subject.definition, order)
    live = await subject.adapter.inventory(subject.definition)
    await reverted(subject.adapter, subject.definition, order.role_name)
    ended = await subject.adapter.inventory(subject.definition)

    [role] = [found for found in live.roles if found.name == order.role_name]
    mark = await marked(subject.adapter, subject.definition, order.role_name)
    assert (live.system, live.is_current, live.is_sealed) == (mark.system, True, True)
    assert (role.is_covered, role.keeps_valid_until, role.can_login, role.in_group) == (True, True, True, True)
    assert (role.is_expired, role.is_taken_over) == (False, False)
    assert order.role_name not in {found.name for found in ended.roles}
