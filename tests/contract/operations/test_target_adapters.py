"""What every target adapter promises (`operations.ports.TargetAdapter`), on both implementations."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from tests.support.targets import BIN_PATHS, a_definition, an_order, available_versions, prepare, running_cluster
from trustpack.capabilities.operations.adapters.record import RecordTargetAdapter
from trustpack.capabilities.operations.model import TargetDefinition, TargetRefused, TargetUnavailable
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
def record_subject(tmp_path) -> Subject:
    document = {"adapter": "record", "scopes": ["acme", "globex"]}
    definition = a_definition("contract", **document)
    return Subject("record", definition, lambda: RecordTargetAdapter(tmp_path / "targets", clock=SystemTime()))


@pytest.fixture(params=["record", "postgres"])
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

    await subject.adapter.grant(subject.definition, order)
    during = await subject.adapter.identify(subject.definition)
    await subject.adapter.revert(subject.definition, role_name=order.role_name)
    after = await subject.adapter.identify(subject.definition)

    assert before == during == after
    assert before.digest.startswith("sha256:")


async def test_a_grant_says_when_it_began_and_ends(subject, order):
    grant = await subject.adapter.grant(subject.definition, order)

    assert not grant.adopted
    assert grant.role_name == order.role_name
    assert grant.role_ref
    assert grant.expires_at - grant.granted_at == timedelta(seconds=600)
    assert 590 < grant.remaining_seconds <= 600


async def test_a_repeated_grant_adopts_what_the_first_call_did(subject, order):
    first = await subject.adapter.grant(subject.definition, order)

    second = await subject.adapter.grant(subject.definition, order)

    assert second.adopted
    assert (second.role_ref, second.granted_at, second.expires_at) == (first.role_ref, first.granted_at, first.expires_at)


async def test_concurrent_grants_of_one_order_make_one_grant(subject, order):
    grants = await asyncio.gather(*(subject.adapter.grant(subject.definition, order) for _ in range(5)))

    assert len({(grant.role_ref, grant.expires_at) for grant in grants}) == 1
    assert [grant.adopted for grant in grants].count(False) == 1


@pytest.mark.parametrize(
    "change", [{"scope": "globex"}, {"duration_seconds": 601}, {"connection_limit": 1}], ids=lambda c: next(iter(c))
)
async def test_a_grant_of_the_same_name_with_another_content_is_refused(subject, order, change):
    await subject.adapter.grant(subject.definition, order)

    with pytest.raises(TargetRefused):
        await subject.adapter.grant(subject.definition, replace(order, **change))


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
        await subject.adapter.grant(subject.definition, replace(order, **change))

    grant = await subject.adapter.grant(subject.definition, order)
    assert not grant.adopted


async def test_a_grant_is_still_known_after_a_restart(subject, order):
    await subject.adapter.grant(subject.definition, order)

    again = await subject.make_adapter().grant(subject.definition, order)

    assert again.adopted


async def test_a_revert_is_proven_and_a_second_one_too(subject, order):
    await subject.adapter.grant(subject.definition, order)

    first = await subject.adapter.revert(subject.definition, role_name=order.role_name)
    second = await subject.make_adapter().revert(subject.definition, role_name=order.role_name)

    assert first.proven
    assert first.proof["role_existed"] is True
    assert second.proven
    assert first.blockers == second.blockers == ()


async def test_a_revert_of_what_never_was_is_proven_and_burns_the_name(subject, order):
    outcome = await subject.adapter.revert(subject.definition, role_name=order.role_name)

    assert outcome.proven
    assert outcome.proof["role_existed"] is False
    with pytest.raises(TargetRefused):
        await subject.adapter.grant(subject.definition, order)


async def test_a_name_is_never_used_again(subject, order):
    await subject.adapter.grant(subject.definition, order)
    await subject.adapter.revert(subject.definition, role_name=order.role_name)

    with pytest.raises(TargetRefused):
        await subject.adapter.grant(subject.definition, order)


async def test_concurrent_reverts_of_one_grant_all_prove_it(subject, order):
    await subject.adapter.grant(subject.definition, order)

    outcomes = await asyncio.gather(
        *(subject.make_adapter().revert(subject.definition, role_name=order.role_name) for _ in range(4))
    )

    assert [outcome.blockers for outcome in outcomes] == [()] * 4
    assert all(outcome.proven for outcome in outcomes)


async def test_a_grant_racing_its_revert_never_survives_it(subject, order):
    results = await asyncio.gather(
        subject.adapter.grant(subject.definition, order),
        subject.adapter.revert(subject.definition, role_name=order.role_name),
        return_exceptions=True,
    )

    assert isinstance(results[0], TargetRefused) or not isinstance(results[0], BaseException)
    with pytest.raises(TargetRefused):
        await subject.adapter.grant(subject.definition, order)
    final = await subject.adapter.revert(subject.definition, role_name=order.role_name)
    assert final.proven


async def test_a_proof_is_canonical_json(subject, order):
    await subject.adapter.grant(subject.definition, order)

    outcome = await subject.adapter.revert(subject.definition, role_name=order.role_name)

    assert canonical_bytes(outcome.proof)
    assert outcome.proof["adapter"] == subject.kind


async def test_the_record_adapter_has_no_credentials_to_give(record_subject, order):
    await record_subject.adapter.grant(record_subject.definition, order)

    with pytest.raises(TargetRefused, match="records only"):
        await record_subject.adapter.set_verifier(record_subject.definition, role_name=order.role_name, password="x" * 20)


async def test_the_record_adapter_forgets_a_line_that_was_torn_by_a_crash(record_subject, tmp_path, order):
    await record_subject.adapter.grant(record_subject.definition, order)
    with (tmp_path / "targets" / "contract.jsonl").open("ab") as file:
        file.write(b'{"event": "rever')

    grant = await record_subject.adapter.grant(record_subject.definition, order)
    outcome = await record_subject.adapter.revert(record_subject.definition, role_name=order.role_name)

    assert grant.adopted
    assert outcome.proven


async def test_the_record_adapter_says_when_it_cannot_write(tmp_path, order):
    (tmp_path / "file").write_text("in the way")
    adapter = RecordTargetAdapter(tmp_path / "file", clock=SystemTime())
    definition = parse_definition(
        {"name": "a", "environment": "prod", "adapter": "record", "max_duration_seconds": 600, "connection_limit": 2}
    )

    with pytest.raises(TargetUnavailable):
        await adapter.grant(definition, order)
