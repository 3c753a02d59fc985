"""No governed state changes without its receipt, and no receipt is lost or changed: tried with SQL past the product."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from tests.support.store import as_app, as_owner, rows_as_owner, run_as_app
from tests.support.tenant_rows import live
from tests.support.world import World
from trustpack.app.bootstrap import Container
from trustpack.capabilities.ledger.model import Receipt, Transition
from trustpack.capabilities.ledger.rules import build_receipt
from trustpack.kernel.clock import format_time
from trustpack.platform.settings import Settings
from trustpack.proof.canonical import canonical_bytes, digest_of

INSERT_RECEIPT = (
    "INSERT INTO trustpack.receipts (tenant_id, id, subject_id, subject_kind, seq, action, state, actor_id,"
    " occurred_at, body, digest,"
    " prev_hash) VALUES (%(tenant_id)s, %(id)s, %(subject_id)s, %(subject_kind)s, %(seq)s, %(action)s, %(state)s, %(actor_id)s,"
    " %(occurred_at)s, %(body)s, %(digest)s, %(prev_hash)s)"
)
INSERT_TEAM = (
    "INSERT INTO trustpack.teams (tenant_id, id, version, status, name, created_at)"
    " VALUES (%(tenant)s, %(id)s, %(version)s, %(status)s, %(id)s, now())"
)
INSERT_PERSON = (
    "INSERT INTO trustpack.people (tenant_id, id, version, status, handle, display_name, kind, roles, team_ids, created_at)"
    " VALUES (%(tenant)s, %(id)s, %(version)s, %(status)s, %(id)s, %(id)s, 'person', '{}', '{}', now())"
)
APPEND_ONLY = [
    "receipts",
    "policy_decisions",
    "approvals",
    "usage_events",
    "person_accounts",
    "quote_people",
    "request_teams",
    "quote_revisions",
    "contracts",
    "price_book_entries",
]
GOVERNED = [
    "tenants",
    "people",
    "teams",
    "tokens",
    "targets",
    "high_risk_requests",
    "leads",
    "opportunities",
    "quotes",
    "price_books",
    "delegations",
    "sessions",
    "invitations",
]
FOLLOWING = ["executions", "grants"]


def receipt_columns(
    world: World, *, subject_id: str, seq: int = 1, state: str = "active", prev: str | None = None, kind: str = "team"
) -> dict[str, Any]:
    """Return the columns of a receipt that the store accepts if its row has this version and state."""
    now = world.clock.now()
    transition = Transition(
        subject_kind=kind, subject_id=subject_id, version=seq, action="added", state=state, actor=world.operator, payload={}
    )
    receipt: Receipt = build_receipt(
        transition,
        tenant_id=world.tenant_id,
        receipt_id=world.container.unit_of_work.ids.new("rcp"),
        prev_hash=prev,
        occurred_at=now,
        disclosures=(),
    )
    return {
        "tenant_id": world.tenant_id,
        "id": receipt.id,
        "subject_id": subject_id,
        "subject_kind": kind,
        "seq": seq,
        "action": "added",
        "state": state,
        "actor_id": world.operator.id,
        "occurred_at": now,
        "body": receipt.body,
        "digest": receipt.digest,
        "prev_hash": prev,
    }


def new_team(world: World, **changes: Any) -> dict[str, Any]:
    made = {"tenant": world.tenant_id, "id": world.container.unit_of_work.ids.new("team"), "version": 1, "status": "active"}
    return {**made, **changes}


async def head_of(world: World, request_id: str) -> dict[str, Any]:
    """Return version, state and digest of a request's last receipt."""
    [head] = rows_as_owner(
        world.container.settings,
        "SELECT q.version, q.status, r.digest FROM trustpack.high_risk_requests q JOIN trustpack.receipts r"
        " ON r.tenant_id = q.tenant_id AND r.subject_id = q.id AND r.seq = q.version WHERE q.id = %s",
        request_id,
    )
    return dict(head)


def next_receipt(world: World, request_id: str, head: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the columns of the receipt that follows a request's last one."""
    fitting = {"seq": head["version"] + 1, "state": head["status"], "prev": head["digest"], "kind": "high_risk_request"}
    return receipt_columns(world, subject_id=request_id, **{**fitting, **changes})


async def person_of(world: World) -> dict[str, Any]:
    handle = "user-engineer"
    rows = rows_as_owner(
        world.container.settings,
        "SELECT p.id, p.version, r.digest FROM trustpack.people p JOIN trustpack.receipts r ON r.tenant_id = p.tenant_id"
        " AND r.subject_id = p.id AND r.seq = p.version WHERE p.tenant_id = %s AND p.handle = %s",
        world.tenant_id,
        handle,
    )
    return dict(rows[0])


async def test_a_row_with_its_receipt_is_accepted(container: Container, settings: Settings, world: World):
    # The counter-proof: without it, every refusal below could have another reason.
    team = new_team(world)

    async with as_app(container, world.tenant_id) as connection:
        await connection.execute(INSERT_TEAM, team)
        await connection.execute(INSERT_RECEIPT, receipt_columns(world, subject_id=team["id"]))

    assert rows_as_owner(settings, "SELECT version FROM trustpack.teams WHERE id = %s", team["id"]) == [{"version": 1}]


async def test_a_new_row_without_receipt_cannot_be_committed(container: Container, world: World):
    with pytest.raises(psycopg.errors.CheckViolation, match="has no receipt"):
        await run_as_app(container, world.tenant_id, INSERT_TEAM, **new_team(world))


@pytest.mark.parametrize("version", [0, -1])
async def test_a_new_row_before_version_1_is_refused(container: Container, world: World, version: int):
    with pytest.raises(psycopg.errors.CheckViolation, match="begins with version 1"):
        await run_as_app(container, world.tenant_id, INSERT_TEAM, **new_team(world, version=version))


async def test_a_row_with_its_whole_history_is_accepted(container: Container, settings: Settings, world: World):
    team = new_team(world, version=2, status="closed")
    first = receipt_columns(world, subject_id=team["id"])

    async with as_app(container, world.tenant_id) as connection:
        await connection.execute(INSERT_RECEIPT, first)
        following = receipt_columns(world, subject_id=team["id"], seq=2, state="closed", prev=first["digest"])
        await connection.execute(INSERT_RECEIPT, following)
        await connection.execute(INSERT_TEAM, team)

    assert rows_as_owner(settings, "SELECT version FROM trustpack.teams WHERE id = %s", team["id"]) == [{"version": 2}]


@pytest.mark.parametrize(("version", "status"), [(3, "active"), (2, "closed"), (1, "active")])
async def test_a_new_row_that_its_history_does_not_lead_to_is_refused(
    container: Container, world: World, version: int, status: str
):
    team = new_team(world, version=version, status=status)
    first = receipt_columns(world, subject_id=team["id"])

    with pytest.raises(psycopg.errors.CheckViolation, match=r"has no receipt|records no change"):  # noqa: PT012 - the end raises
        async with as_app(container, world.tenant_id) as connection:
            await connection.execute(INSERT_RECEIPT, first)
            await connection.execute(INSERT_RECEIPT, receipt_columns(world, subject_id=team["id"], seq=2, prev=first["digest"]))
            await connection.execute(INSERT_TEAM, team)


async def test_the_end_of_a_history_does_not_do_for_the_whole(container: Container, world: World):
    team = new_team(world, version=2)

    with pytest.raises(psycopg.errors.CheckViolation, match="does not continue the chain"):  # noqa: PT012 - two statements
        async with as_app(container, world.tenant_id) as connection:
            await connection.execute(INSERT_TEAM, team)
            following = receipt_columns(world, subject_id=team["id"], seq=2, prev=digest_of(b"of no receipt"))
            await connection.execute(INSERT_RECEIPT, following)


async def test_a_receipt_covers_one_row_of_its_own_kind(container: Container, world: World):
    team = new_team(world)

    with pytest.raises(psycopg.errors.CheckViolation, match="has no receipt"):  # noqa: PT012 - the transaction's end raises
        async with as_app(container, world.tenant_id) as connection:
            await connection.execute(INSERT_TEAM, team)
            await connection.execute(INSERT_RECEIPT, receipt_columns(world, subject_id=team["id"]))
            await connection.execute(INSERT_PERSON, team)


async def test_a_row_does_not_continue_the_history_of_another_kind(container: Container, world: World):
    person = await person_of(world)
    following = receipt_columns(world, subject_id=person["id"], seq=person["version"] + 1, prev=person["digest"], kind="team")

    with pytest.raises(psycopg.errors.CheckViolation, match="has no receipt"):  # noqa: PT012 - the transaction's end raises
        async with as_app(container, world.tenant_id) as connection:
            await connection.execute(INSERT_RECEIPT, following)
            await connection.execute(INSERT_TEAM, new_team(world, id=person["id"], version=following["seq"]))


async def test_an_update_without_receipt_cannot_be_committed(container: Container, settings: Settings, world: World):
    person = await person_of(world)

    with pytest.raises(psycopg.errors.CheckViolation, match="has no receipt"):
        await run_as_app(
            container,
            world.tenant_id,
            "UPDATE trustpack.people SET version = version + 1, roles = '{admin}' WHERE id = %(id)s",
            id=person["id"],
        )

    assert (await person_of(world))["version"] == person["version"]


@pytest.mark.parametrize("step", [0, 2, -1, 100])
async def test_an_update_that_does_not_raise_the_version_by_one_is_refused(container: Container, world: World, step: int):
    person = await person_of(world)

    with pytest.raises(psycopg.errors.CheckViolation, match="must raise its version"):
        await run_as_app(
            container,
            world.tenant_id,
            "UPDATE trustpack.people SET version = version + %(step)s WHERE id = %(id)s",
            step=step,
            id=person["id"],
        )


@pytest.mark.parametrize("column", ["id", "tenant_id"])
async def test_a_row_keeps_its_identity(container: Container, world: World, other_world: World, column: str):
    person = await person_of(world)
    value = other_world.tenant_id if column == "tenant_id" else "usr_another"

    with pytest.raises((psycopg.errors.CheckViolation, psycopg.errors.InsufficientPrivilege)):
        await run_as_app(
            container,
            world.tenant_id,
            f"UPDATE trustpack.people SET version = version + 1, {column} = %(value)s WHERE id = %(id)s",
            value=value,
            id=person["id"],
        )


async def test_a_receipt_of_another_state_does_not_cover_a_change(container: Container, world: World):
    team = new_team(world, status="closed")

    with pytest.raises(psycopg.errors.CheckViolation, match="has no receipt"):  # noqa: PT012 - the transaction's end raises
        async with as_app(container, world.tenant_id) as connection:
            await connection.execute(INSERT_TEAM, team)
            await connection.execute(INSERT_RECEIPT, receipt_columns(world, subject_id=team["id"], state="active"))


async def test_two_changes_in_one_transaction_need_two_receipts(container: Container, world: World):
    team = new_team(world)
    first = receipt_columns(world, subject_id=team["id"])

    with pytest.raises(psycopg.errors.CheckViolation, match="has no receipt"):  # noqa: PT012 - the transaction's end raises
        async with as_app(container, world.tenant_id) as connection:
            await connection.execute(INSERT_TEAM, team)
            await connection.execute(INSERT_RECEIPT, first)
            await connection.execute("UPDATE trustpack.teams SET version = 2, status = 'closed' WHERE id = %s", (team["id"],))


async def test_switching_the_tenant_before_the_commit_does_not_help(container: Container, world: World, other_world: World):
    team = new_team(world)

    with pytest.raises(psycopg.errors.CheckViolation, match="has no receipt"):  # noqa: PT012 - the transaction's end raises
        async with as_app(container, world.tenant_id) as connection:
            await connection.execute(INSERT_TEAM, team)
            await connection.execute("SELECT set_config('trustpack.tenant', %s, true)", (other_world.tenant_id,))


async def test_a_receipt_written_for_another_tenant_does_not_help(container: Container, world: World, other_world: World):
    team = new_team(world)

    with pytest.raises(psycopg.errors.CheckViolation, match="has no receipt"):  # noqa: PT012 - the transaction's end raises
        async with as_app(container, world.tenant_id) as connection:
            await connection.execute(INSERT_TEAM, team)
            await connection.execute("SELECT set_config('trustpack.tenant', %s, true)", (other_world.tenant_id,))
            await connection.execute(INSERT_RECEIPT, receipt_columns(other_world, subject_id=team["id"]))


async def test_the_check_can_be_called_early_but_not_put_off_or_turned_off(container: Container, world: World):
    with pytest.raises(psycopg.errors.CheckViolation, match="has no receipt"):
        await run_as_app(container, world.tenant_id, "SET CONSTRAINTS ALL DEFERRED", INSERT_TEAM, **new_team(world))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await run_as_app(container, world.tenant_id, "SET session_replication_role = replica")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await run_as_app(container, world.tenant_id, "ALTER TABLE trustpack.teams DISABLE TRIGGER ALL")


async def test_a_receipt_whose_digest_is_not_of_its_body_is_refused(container: Container, world: World):
    columns = receipt_columns(world, subject_id="team_x")

    with pytest.raises(psycopg.errors.CheckViolation, match="receipts_digest_is_of_body"):
        await run_as_app(container, world.tenant_id, INSERT_RECEIPT, **{**columns, "digest": digest_of(b"another")})


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "rcp_another"),
        ("subject_id", "team_another"),
        ("subject_kind", "person"),
        ("seq", 2),
        ("action", "closed"),
        ("state", "closed"),
        ("actor_id", "usr_somebody_else"),
        ("occurred_at", "2020-01-01T00:00:00Z"),
        ("prev_hash", "sha256:" + "0" * 64),
    ],
)
async def test_a_receipt_whose_columns_differ_from_its_body_is_refused(
    container: Container, world: World, column: str, value: Any
):
    columns = receipt_columns(world, subject_id="team_x")

    with pytest.raises(psycopg.errors.CheckViolation):
        await run_as_app(container, world.tenant_id, INSERT_RECEIPT, **{**columns, column: value})


@pytest.mark.parametrize("member", ["id", "tenant", "subject", "seq", "action", "state", "actor", "occurred_at"])
async def test_a_receipt_whose_body_lacks_a_member_is_refused(container: Container, world: World, member: str):
    columns = receipt_columns(world, subject_id="team_x")
    body = json.loads(columns["body"])
    del body[member]
    encoded = canonical_bytes(body)

    with pytest.raises(psycopg.errors.CheckViolation):
        await run_as_app(container, world.tenant_id, INSERT_RECEIPT, **{**columns, "body": encoded, "digest": digest_of(encoded)})


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"null", b"1"], ids=repr)
async def test_a_receipt_whose_body_is_no_object_is_refused(container: Container, world: World, body: bytes):
    columns = receipt_columns(world, subject_id="team_x")

    with pytest.raises(psycopg.Error):
        await run_as_app(container, world.tenant_id, INSERT_RECEIPT, **{**columns, "body": body, "digest": digest_of(body)})


async def test_a_receipt_that_names_a_wrong_predecessor_is_refused(container: Container, world: World):
    person = await person_of(world)
    columns = receipt_columns(world, subject_id=person["id"], seq=person["version"] + 1, prev="sha256:" + "0" * 64)

    with pytest.raises(psycopg.errors.CheckViolation, match="does not continue the chain"):
        await run_as_app(container, world.tenant_id, INSERT_RECEIPT, **columns)


async def test_a_receipt_that_leaves_one_out_is_refused(container: Container, world: World):
    person = await person_of(world)
    columns = receipt_columns(world, subject_id=person["id"], seq=person["version"] + 2, prev=person["digest"])

    with pytest.raises(psycopg.errors.CheckViolation, match="does not continue the chain"):
        await run_as_app(container, world.tenant_id, INSERT_RECEIPT, **columns)


async def test_a_second_receipt_of_one_version_is_refused(container: Container, world: World):
    person = await person_of(world)

    with pytest.raises(psycopg.errors.UniqueViolation):
        await run_as_app(container, world.tenant_id, INSERT_RECEIPT, **receipt_columns(world, subject_id=person["id"]))


async def test_a_later_receipt_without_predecessor_is_refused(container: Container, world: World):
    person = await person_of(world)
    columns = receipt_columns(world, subject_id=person["id"], seq=person["version"] + 1)

    with pytest.raises(psycopg.errors.CheckViolation):
        await run_as_app(container, world.tenant_id, INSERT_RECEIPT, **columns)


@pytest.mark.parametrize("step", [0, 1], ids=["of an earlier change", "that there is not"])
async def test_an_account_link_without_receipt_cannot_be_committed(container: Container, world: World, step: int):
    person = await person_of(world)

    with pytest.raises(psycopg.errors.CheckViolation, match="changed without a receipt") as caught:
        await run_as_app(
            container,
            world.tenant_id,
            "INSERT INTO trustpack.accounts (id, created_at) VALUES ('acc_direct_sql', now())",
            "INSERT INTO trustpack.person_accounts (tenant_id, account_id, person_id, seq)"
            " VALUES (%(tenant)s, 'acc_direct_sql', %(person)s, %(seq)s)",
            tenant=world.tenant_id,
            person=person["id"],
            seq=person["version"] + step,
        )
    assert caught.value.diag.constraint_name == "receipt_for_every_change"


@pytest.mark.parametrize("seq", [1, 2], ids=["of an earlier change", "that there is not"])
async def test_a_vote_without_receipt_cannot_be_committed(container: Container, world: World, seq: int):
    request = await world.ask()
    person = await person_of(world)

    with pytest.raises(psycopg.errors.CheckViolation, match="changed without a receipt"):
        await run_as_app(
            container,
            world.tenant_id,
            "INSERT INTO trustpack.approvals (tenant_id, id, subject_id, seq, digest, digest_confirmed, person_id,"
            " account_id, verdict,"
            " created_at) VALUES (%(tenant)s, 'apr_direct', %(subject)s, %(seq)s, 'sha256:x', true, %(person)s, 'acc_x',"
            " 'approve', now())",
            tenant=world.tenant_id,
            subject=request["id"],
            person=person["id"],
            seq=seq,
        )


@pytest.mark.parametrize("table", ["executions", "grants"])
async def test_a_change_of_what_belongs_to_a_request_must_name_a_later_receipt(container: Container, world: World, table: str):
    await world.active()

    with pytest.raises(psycopg.errors.CheckViolation, match="must name a later receipt"):
        await run_as_app(container, world.tenant_id, f"UPDATE trustpack.{table} SET status = status")


@pytest.mark.parametrize("table", ["executions", "grants"])
async def test_a_change_of_what_belongs_to_a_request_needs_the_receipt_that_it_names(
    container: Container, world: World, table: str
):
    await world.active()

    with pytest.raises(psycopg.errors.CheckViolation, match="changed without a receipt"):
        await run_as_app(container, world.tenant_id, f"UPDATE trustpack.{table} SET seq = seq + 100")


@pytest.mark.parametrize("table", ["executions", "grants"])
async def test_an_earlier_receipt_does_not_cover_a_later_change_of_what_belongs_to_a_request(
    container: Container, world: World, table: str
):
    request = await world.active()
    # Receipts that exist and that the row has not named yet: refused attempts of somebody change neither of the two.
    await world.act("user-auditor", request["id"], "revert", {"reason": "x"})

    with pytest.raises(psycopg.errors.CheckViolation, match="changed without a receipt") as caught:
        await run_as_app(
            container,
            world.tenant_id,
            f"UPDATE trustpack.{table} SET seq = seq + 1 WHERE request_id = %(id)s",
            id=request["id"],
        )
    assert caught.value.diag.constraint_name == "receipt_for_every_change"


async def test_an_earlier_receipt_does_not_cover_a_later_change_of_a_request(container: Container, world: World):
    # An uncovered receipt cannot be committed, so the earlier one is of the version before, which the change must leave.
    request = await world.ask()

    with pytest.raises(psycopg.errors.CheckViolation):
        await run_as_app(
            container,
            world.tenant_id,
            "UPDATE trustpack.high_risk_requests SET scope = 'globex' WHERE id = %(id)s",
            id=request["id"],
        )
    with pytest.raises(psycopg.errors.CheckViolation, match="has no receipt"):
        await run_as_app(
            container,
            world.tenant_id,
            "UPDATE trustpack.high_risk_requests SET scope = 'globex', version = version + 1 WHERE id = %(id)s",
            id=request["id"],
        )


async def test_a_receipt_that_the_owner_left_ahead_does_not_cover_a_later_change(
    container: Container, settings: Settings, world: World
):
    # What the triggers cannot have let in: a committed receipt of a version that is still to come.
    request = await world.ask()
    ahead = next_receipt(world, request["id"], await head_of(world, request["id"]))
    with as_owner(settings) as connection, connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(INSERT_RECEIPT, ahead)

    with pytest.raises(psycopg.errors.CheckViolation, match="has no receipt"):
        await run_as_app(
            container,
            world.tenant_id,
            "UPDATE trustpack.high_risk_requests SET version = version + 1 WHERE id = %(id)s",
            id=request["id"],
        )


async def test_a_change_of_a_request_and_of_what_belongs_to_it_is_accepted_with_a_receipt_of_its_transaction(
    container: Container, world: World
):
    # The counter-proof to the refusals around it.
    request = await world.active()
    head = await head_of(world, request["id"])

    async with as_app(container, world.tenant_id) as connection:
        for text in (
            "UPDATE trustpack.high_risk_requests SET version = %(seq)s WHERE id = %(id)s",
            "UPDATE trustpack.executions SET seq = %(seq)s WHERE request_id = %(id)s",
            "UPDATE trustpack.grants SET seq = %(seq)s WHERE request_id = %(id)s",
        ):
            await connection.execute(text, {"seq": head["version"] + 1, "id": request["id"]})
        await connection.execute(INSERT_RECEIPT, next_receipt(world, request["id"], head))

    assert (await head_of(world, request["id"]))["version"] == head["version"] + 1


async def test_a_receipt_of_another_request_does_not_cover_a_change(container: Container, world: World):
    request, other = await world.active(), await world.active()
    head = await head_of(world, other["id"])

    with pytest.raises(psycopg.errors.CheckViolation, match="changed without a receipt"):  # noqa: PT012 - the transaction's end raises
        async with as_app(container, world.tenant_id) as connection:
            await connection.execute(
                "UPDATE trustpack.high_risk_requests SET version = version + 1 WHERE id = %s", (other["id"],)
            )
            await connection.execute(INSERT_RECEIPT, next_receipt(world, other["id"], head))
            await connection.execute(
                "UPDATE trustpack.grants SET seq = %s WHERE request_id = %s", (head["version"] + 1, request["id"])
            )


@pytest.mark.parametrize("table", ["executions", "grants"])
@pytest.mark.parametrize("column", ["id", "request_id"])
async def test_what_belongs_to_a_request_keeps_its_identity_and_its_request(
    container: Container, world: World, table: str, column: str
):
    request, other = await world.active(), await world.ask()

    with pytest.raises(psycopg.errors.CheckViolation, match="must name a later receipt of the same subject"):
        await run_as_app(
            container,
            world.tenant_id,
            f"UPDATE trustpack.{table} SET seq = seq + 1, {column} = %(other)s WHERE request_id = %(id)s",
            other=other["id"],
            id=request["id"],
        )


async def test_a_receipt_alone_cannot_be_committed(container: Container, world: World):
    request = await world.ask()
    columns = next_receipt(world, request["id"], await head_of(world, request["id"]))

    with pytest.raises(psycopg.errors.CheckViolation, match="records no change of its subject") as caught:
        await run_as_app(container, world.tenant_id, INSERT_RECEIPT, **columns)

    assert caught.value.diag.constraint_name == "change_for_every_receipt"
    assert await world.actions(request["id"]) == ["requested"]


async def test_a_receipt_of_a_subject_that_there_is_not_cannot_be_committed(container: Container, world: World):
    columns = receipt_columns(world, subject_id="team_nowhere")

    with pytest.raises(psycopg.errors.CheckViolation, match="records no change of its subject"):
        await run_as_app(container, world.tenant_id, INSERT_RECEIPT, **columns)


@pytest.mark.parametrize("kind", ["person", "unheard_of"])
async def test_a_receipt_of_another_kind_of_subject_cannot_be_committed(container: Container, world: World, kind: str):
    team = new_team(world)

    with pytest.raises(psycopg.errors.CheckViolation, match="records no change of its subject"):  # noqa: PT012 - the transaction's end raises
        async with as_app(container, world.tenant_id) as connection:
            await connection.execute(INSERT_RECEIPT, receipt_columns(world, subject_id=team["id"], kind=kind))
            await connection.execute(INSERT_TEAM, team)


async def test_a_row_with_a_receipt_of_another_kind_cannot_be_committed(container: Container, world: World):
    team = new_team(world)

    with pytest.raises(psycopg.errors.CheckViolation, match="has no receipt"):  # noqa: PT012 - the transaction's end raises
        async with as_app(container, world.tenant_id) as connection:
            await connection.execute(INSERT_TEAM, team)
            await connection.execute(INSERT_RECEIPT, receipt_columns(world, subject_id=team["id"], kind="person"))


async def test_a_receipt_ahead_of_its_subject_cannot_be_committed(container: Container, world: World):
    team = new_team(world)
    first = receipt_columns(world, subject_id=team["id"])

    with pytest.raises(psycopg.errors.CheckViolation, match="records no change of its subject"):  # noqa: PT012 - the transaction's end raises
        async with as_app(container, world.tenant_id) as connection:
            await connection.execute(INSERT_TEAM, team)
            await connection.execute(INSERT_RECEIPT, first)
            await connection.execute(INSERT_RECEIPT, receipt_columns(world, subject_id=team["id"], seq=2, prev=first["digest"]))


async def test_a_receipt_is_on_its_way_into_the_log_whoever_wrote_it(container: Container, settings: Settings, world: World):
    team = new_team(world)
    receipt = receipt_columns(world, subject_id=team["id"])

    async with as_app(container, world.tenant_id) as connection:
        await connection.execute(INSERT_TEAM, team)
        await connection.execute(INSERT_RECEIPT, receipt)

    outbox = rows_as_owner(settings, "SELECT tenant_id FROM trustpack.log_outbox WHERE receipt_id = %s", receipt["id"])
    assert outbox == [{"tenant_id": world.tenant_id}]


async def test_a_receipt_may_be_put_on_its_way_by_the_statement_that_writes_it(
    container: Container, settings: Settings, world: World
):
    # As servers of the version before migration 0024 do.
    team = new_team(world)
    receipt = receipt_columns(world, subject_id=team["id"])

    async with as_app(container, world.tenant_id) as connection:
        await connection.execute(INSERT_TEAM, team)
        await connection.execute(
            f"WITH receipt AS ({INSERT_RECEIPT} RETURNING tenant_id, id)"
            " INSERT INTO trustpack.log_outbox (tenant_id, receipt_id) SELECT tenant_id, id FROM receipt",
            receipt,
        )

    outbox = rows_as_owner(settings, "SELECT tenant_id FROM trustpack.log_outbox WHERE receipt_id = %s", receipt["id"])
    assert outbox == [{"tenant_id": world.tenant_id}]


async def test_the_application_cannot_say_that_a_kind_of_subject_lies_elsewhere(container: Container, world: World):
    for statement in (
        "INSERT INTO trustpack.governed_tables (kind, table_name) VALUES ('x', 'teams')",
        "UPDATE trustpack.governed_tables SET table_name = 'jobs'",
        "DELETE FROM trustpack.governed_tables",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await run_as_app(container, world.tenant_id, statement)


@pytest.mark.parametrize(
    ("table", "key", "constraint"),
    [
        ("high_risk_requests", "id", "high_risk_requests_decision_fkey"),
        ("executions", "request_id", "executions_decision_fkey"),
    ],
)
async def test_a_decision_about_one_subject_allows_nothing_about_another(
    container: Container, world: World, table: str, key: str, constraint: str
):
    request, other = await world.active(), await world.ask()
    head = await head_of(world, request["id"])
    counter = "version" if table == "high_risk_requests" else "seq"

    async def decide_with(decision_id: str) -> None:
        async with as_app(container, world.tenant_id) as connection:
            if table != "high_risk_requests":
                await connection.execute(
                    "UPDATE trustpack.high_risk_requests SET version = version + 1 WHERE id = %s", (request["id"],)
                )
            await connection.execute(
                f"UPDATE trustpack.{table} SET {counter} = %s, decision_id = %s WHERE {key} = %s",
                (head["version"] + 1, decision_id, request["id"]),
            )
            await connection.execute(INSERT_RECEIPT, next_receipt(world, request["id"], head))

    with pytest.raises(psycopg.errors.ForeignKeyViolation) as caught:
        await decide_with(other["decisions"][0])

    assert caught.value.diag.constraint_name == constraint
    await decide_with(request["decisions"][-1])


@pytest.mark.parametrize("table", [*APPEND_ONLY, *GOVERNED, *FOLLOWING])
@pytest.mark.parametrize("statement", ["DELETE FROM trustpack.{}", "TRUNCATE trustpack.{} CASCADE"])
async def test_the_application_cannot_remove_what_was_written(container: Container, world: World, table: str, statement: str):
    await world.active()

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await run_as_app(container, world.tenant_id, statement.format(table))


@pytest.mark.parametrize("table", APPEND_ONLY)
async def test_the_application_cannot_change_what_was_written(container: Container, world: World, table: str):
    await world.active()

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await run_as_app(container, world.tenant_id, f"UPDATE trustpack.{table} SET tenant_id = tenant_id")


@pytest.mark.parametrize("table", ["disclosures", "log_outbox"])
@pytest.mark.parametrize("statement", ["UPDATE trustpack.{} SET tenant_id = tenant_id", "DELETE FROM trustpack.{}"])
async def test_the_application_cannot_touch_disclosures_and_outbox(
    container: Container, world: World, table: str, statement: str
):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await run_as_app(container, world.tenant_id, statement.format(table))


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("statement", ["UPDATE trustpack.{} SET tenant_id = tenant_id", "DELETE FROM trustpack.{}"])
async def test_triggers_stop_the_owner_too(settings: Settings, world: World, table: str, statement: str):
    await live(world)

    with as_owner(settings) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege, match="is refused"):
        connection.execute(statement.format(table))  # type: ignore[arg-type]


@pytest.mark.parametrize("table", [*GOVERNED, *FOLLOWING])
async def test_triggers_stop_the_owner_from_deleting_governed_rows(settings: Settings, world: World, table: str):
    await live(world)

    with as_owner(settings) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege, match="is refused"):
        connection.execute(f"DELETE FROM trustpack.{table}")  # type: ignore[arg-type]


@pytest.mark.parametrize("table", [*APPEND_ONLY, *GOVERNED, *FOLLOWING])
async def test_triggers_stop_the_owner_from_truncating(settings: Settings, world: World, table: str):
    with as_owner(settings) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege, match="is refused"):
        connection.execute(f"TRUNCATE trustpack.{table} CASCADE")  # type: ignore[arg-type]


async def test_triggers_stop_the_owner_from_changing_state_without_receipt(settings: Settings, world: World):
    person = await person_of(world)

    with as_owner(settings) as connection, pytest.raises(psycopg.errors.CheckViolation, match="has no receipt"):
        connection.execute("UPDATE trustpack.people SET version = version + 1 WHERE id = %s", (person["id"],))


def test_every_table_of_the_schema_is_under_one_of_the_rules(settings: Settings):
    # A new table must be named here, and so be thought about.
    free = {"accounts", "disclosures", "governed_tables", "idempotency_keys", "jobs", "log_outbox", "token_uses"}
    free |= {"account_names", "ceremonies", "passkeys", "passwords", "session_uses"}  # how accounts sign in, and last use
    free |= {"person_marks", "saved_views"}  # what people have seen, put away or like to look at in the console
    free |= {"reconciliations", "store_identity"}  # an observation of each target, and a name of the store
    free |= {"external_ids"}  # names of another system, which can be erased; the receipt of an imported subject has them too
    rows = rows_as_owner(
        settings, "SELECT relname FROM pg_class WHERE relnamespace = 'trustpack'::regnamespace AND relkind IN ('r', 'p')"
    )

    assert {row["relname"] for row in rows} == {*APPEND_ONLY, *GOVERNED, *FOLLOWING, *free}


def test_times_in_bodies_have_the_precision_of_the_column(world: World):
    columns = receipt_columns(world, subject_id="team_x")

    assert json.loads(columns["body"])["occurred_at"] == format_time(columns["occurred_at"])
