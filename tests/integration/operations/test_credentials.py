"""Credentials: for the requester, while access lives, once, and kept nowhere."""

from __future__ import annotations

import asyncio
import logging

import httpx2
import pytest
from structlog.testing import capture_logs

from tests.support.scripted_target import answer_lost, refused, unavailable
from tests.support.stored import chain_faults, counts, run_due, tables_holding
from tests.support.worlds import ScriptedWorld


async def credentials(
    world: ScriptedWorld, request_id: str, handle: str = "user-engineer", *, rotate: bool = False
) -> httpx2.Response:
    return await world.act(handle, request_id, "credentials", {"rotate": True} if rotate else None)


async def test_the_requester_gets_everything_that_a_client_needs(scripted: ScriptedWorld) -> None:
    request = await scripted.active()

    response = await credentials(scripted, request["id"])

    given = response.json()
    assert (response.status_code, set(given)) == (200, {"host", "port", "database", "user", "password", "uri", "expires_at"})
    assert (given["user"], given["expires_at"]) == (request["grant"]["role_name"], request["grant"]["expires_at"])
    assert given["uri"] == f"postgresql://{given['user']}:{given['password']}@127.0.0.1:5432/orders"
    assert scripted.target.passwords == [given["password"]]
    assert len(given["password"]) >= 32
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("handle", ["user-team-lead", "user-security", "user-admin", "user-auditor"])
async def test_nobody_but_the_requester_gets_credentials(scripted: ScriptedWorld, handle: str) -> None:
    request = await scripted.active()

    response = await credentials(scripted, request["id"], handle)

    assert (response.status_code, response.json()["code"]) == (403, "operations.requester_only")
    assert (await scripted.receipts(request["id"]))[-1]["payload"] == {
        "attempted": "credentials",
        "code": "operations.requester_only",
    }
    assert scripted.target.passwords == []


@pytest.mark.adversarial(33)
async def test_credentials_are_shown_once(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    await credentials(scripted, request["id"])

    again = await credentials(scripted, request["id"])

    assert (again.status_code, again.json()["code"]) == (409, "operations.credentials_already_shown")
    assert (await scripted.actions(request["id"])).count("credentials_issued") == 1


async def test_eight_calls_at_once_show_credentials_once(scripted: ScriptedWorld) -> None:
    request = await scripted.active()

    answers = await asyncio.gather(*(credentials(scripted, request["id"]) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7


async def test_rotating_replaces_the_password_and_leaves_a_receipt(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    first = (await credentials(scripted, request["id"])).json()

    second = (await credentials(scripted, request["id"], rotate=True)).json()

    assert second["password"] != first["password"]
    assert scripted.target.passwords == [second["password"]]
    assert (await scripted.actions(request["id"]))[-2:] == ["credentials_issued", "credentials_rotated"]
    assert (await scripted.read(request["id"]))["grant"]["credentials_issued"] == 2


@pytest.mark.adversarial(33)
async def test_a_password_is_in_no_table_no_log_no_receipt_and_no_evidence(
    scripted: ScriptedWorld, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    request = await scripted.active()
    with capture_logs() as events, caplog.at_level(logging.DEBUG):
        response = await scripted.act("user-engineer", request["id"], "credentials", None, key="k-1")
        await scripted.act("user-engineer", request["id"], "revert", {"reason": "done"})
    password = response.json()["password"]
    evidence = await scripted.call("user-auditor", "GET", f"/evidence/high-risk-ops/{request['id']}")
    shown = await scripted.read(request["id"])

    printed = capfd.readouterr()
    assert tables_holding(scripted, request["grant"]["role_name"]), "the search finds nothing at all"
    assert tables_holding(scripted, password) == []
    assert password not in str(events) + caplog.text + printed.out + printed.err
    assert password not in evidence.text + str(shown) + str(await scripted.receipts(request["id"]))


@pytest.mark.adversarial(33)
async def test_a_repeated_idempotency_key_does_not_repeat_the_secret(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    await scripted.act("user-engineer", request["id"], "credentials", None, key="k-1")

    again = await scripted.act("user-engineer", request["id"], "credentials", None, key="k-1")

    assert (again.status_code, again.json()["code"]) == (409, "idempotency.secret_not_replayed")
    assert (await counts(scripted, "idempotency_keys"))["idempotency_keys"] == 1


async def test_after_the_end_there_are_no_credentials_even_before_the_revert(scripted: ScriptedWorld) -> None:
    request = await scripted.active(duration_minutes=None, duration_seconds=60)
    scripted.clock.advance(seconds=60)

    first = await credentials(scripted, request["id"], rotate=True)
    await run_due(scripted)
    second = await credentials(scripted, request["id"], rotate=True)

    assert [answer.status_code for answer in (first, second)] == [409, 409]
    assert [answer.json()["code"] for answer in (first, second)] == ["operations.wrong_state"] * 2
    assert scripted.target.passwords == []


@pytest.mark.adversarial(33)
@pytest.mark.parametrize(("step", "status"), [(unavailable, 503), (answer_lost, 503), (refused, 409)])
async def test_a_target_that_fails_shows_no_password_and_leaves_a_receipt_that_says_so(
    scripted: ScriptedWorld, step: object, status: int
) -> None:
    request = await scripted.active()
    scripted.target.script("set_verifier", step)

    response = await credentials(scripted, request["id"])

    assert response.status_code == status
    assert "password" not in response.json()
    assert (await scripted.actions(request["id"]))[-2:] == ["credentials_issued", "refused"]
    assert await chain_faults(scripted, request["id"]) == ()


@pytest.mark.parametrize("step", [unavailable, answer_lost, refused])
async def test_after_a_target_failure_the_next_plain_call_gives_working_credentials(
    scripted: ScriptedWorld, step: object
) -> None:
    request = await scripted.active()
    scripted.target.script("set_verifier", step)
    await credentials(scripted, request["id"])
    between = await scripted.read(request["id"])

    response = await credentials(scripted, request["id"])

    assert (between["status"], between["grant"]["credentials_issued"]) == ("active", 0)
    assert response.status_code == 200
    assert scripted.target.passwords == [response.json()["password"]]
    assert (await scripted.read(request["id"]))["grant"]["credentials_issued"] == 1
    assert (await scripted.actions(request["id"]))[-3:] == ["credentials_issued", "refused", "credentials_issued"]


async def test_a_failed_rotation_leaves_the_first_credentials_counted(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    first = (await credentials(scripted, request["id"])).json()
    scripted.target.script("set_verifier", unavailable)

    failed = await credentials(scripted, request["id"], rotate=True)
    plain = await credentials(scripted, request["id"])

    assert (failed.status_code, plain.status_code) == (503, 409)
    assert plain.json()["code"] == "operations.credentials_already_shown"
    assert (await scripted.read(request["id"]))["grant"]["credentials_issued"] == 1
    assert scripted.target.passwords == [first["password"]]


async def test_under_a_key_a_target_failure_is_what_is_kept_and_given_again(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    scripted.target.script("set_verifier", unavailable)

    first = await scripted.act("user-engineer", request["id"], "credentials", None, key="k-1")
    again = await scripted.act("user-engineer", request["id"], "credentials", None, key="k-1")
    under_another = await scripted.act("user-engineer", request["id"], "credentials", None, key="k-2")

    assert (first.status_code, first.json()["code"]) == (503, "operations.target_unavailable")
    assert (again.status_code, again.json()["code"]) == (503, "operations.target_unavailable")
    assert scripted.target.calls.count("set_verifier") == 2
    assert under_another.status_code == 200


async def test_a_target_that_keeps_failing_is_reported_as_such_and_leaves_nothing_counted(scripted: ScriptedWorld) -> None:
    request = await scripted.active()
    scripted.target.script("set_verifier", *[unavailable] * 22)

    answers = [await credentials(scripted, request["id"]) for _ in range(22)]

    assert [answer.status_code for answer in answers[:20]] == [503] * 20
    assert {answer.status_code for answer in answers[20:]} <= {503, 429}
    assert (await scripted.read(request["id"]))["grant"]["credentials_issued"] == 0
    assert (await credentials(scripted, request["id"])).status_code == 200
