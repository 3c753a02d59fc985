"""Answers of an authenticator: one is right, and each of the others is wrong in one thing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.authenticator import USER_PRESENT, USER_VERIFIED, Authenticator, padded, unpadded
from trustpack.platform.auth.passkeys import Authenticators, NewPasskey, challenge_of, new_challenge
from trustpack.platform.auth.ports import SignInFailed

CHALLENGE = challenge_of({"challenge": unpadded(b"c" * 32)})
OURS = Authenticators("http://localhost:8000")
ACCOUNT = "acc_" + "0" * 32


def asked_for_key(challenge: bytes = CHALLENGE) -> Any:
    return OURS.ask_for_new_key(challenge=challenge, account_id=ACCOUNT, name="jane", display_name="Jane", known=[b"old"])


def made(device: Authenticator) -> NewPasskey:
    return OURS.verify_new_key(device.create(asked_for_key()), challenge=CHALLENGE)


def verified(answer: str, key: NewPasskey, *, sign_count: int = 0) -> int:
    return OURS.verify_assertion(
        OURS.read_assertion(answer), challenge=CHALLENGE, public_key=key.public_key, sign_count=sign_count
    )


def bent(answer: str, part: str, change: Callable[[bytes], bytes]) -> str:
    document = json.loads(answer)
    document["response"][part] = unpadded(change(padded(document["response"][part])))
    return json.dumps(document)


def test_a_key_that_was_made_for_us_signs_in():
    device = Authenticator()
    key = made(device)

    assert verified(device.get(OURS.ask_for_assertion(challenge=CHALLENGE)), key) == 1


def test_a_passkey_is_asked_for_that_is_found_without_a_name_and_verifies_its_user():
    options = asked_for_key()

    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["rp"]["id"] == "localhost"
    assert options["attestation"] == "none"
    assert [entry["id"] for entry in options["excludeCredentials"]] == [unpadded(b"old")]
    assert OURS.ask_for_assertion(challenge=CHALLENGE)["userVerification"] == "required"


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "http://evil.test"},
        {"origin": "http://127.0.0.1:8000"},
        {"origin": "https://localhost:8000"},
        {"rp_id": "evil.test"},
        {"flags": USER_PRESENT},
        {"flags": USER_VERIFIED},
        {"cross_origin": True},
        {"attestation": "tpm"},
        {"attestation": "android-key"},
    ],
    ids=str,
)
def test_a_new_key_is_refused_when_its_authenticator_claims_something_else(change: dict[str, Any]):
    with pytest.raises(SignInFailed):
        made(Authenticator(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "http://evil.test"},
        {"origin": "http://localhost"},
        {"rp_id": "evil.test"},
        {"flags": USER_PRESENT},
        {"flags": USER_VERIFIED},
        {"cross_origin": True},
    ],
    ids=str,
)
def test_an_assertion_is_refused_when_its_authenticator_claims_something_else(change: dict[str, Any]):
    device = Authenticator()
    key = made(device)
    for name, value in change.items():
        setattr(device, name, value)

    with pytest.raises(SignInFailed):
        verified(device.get({"challenge": unpadded(CHALLENGE)}), key)


def test_an_assertion_to_another_challenge_is_refused():
    device = Authenticator()
    key = made(device)

    with pytest.raises(SignInFailed):
        verified(device.get({"challenge": unpadded(b"d" * 32)}), key)


def test_an_assertion_of_another_key_is_refused():
    device, other = Authenticator(), Authenticator()
    key = made(device)
    made(other)

    with pytest.raises(SignInFailed):
        verified(other.get({"challenge": unpadded(CHALLENGE)}), key)


@pytest.mark.parametrize("counted", [1, 2, 100])
def test_a_counter_that_does_not_grow_is_refused(counted: int):
    device = Authenticator()
    key = made(device)

    with pytest.raises(SignInFailed):
        verified(device.get({"challenge": unpadded(CHALLENGE)}), key, sign_count=counted)


def test_an_authenticator_that_does_not_count_signs_in():
    device = Authenticator(counts=False)
    key = made(device)

    assert verified(device.get({"challenge": unpadded(CHALLENGE)}), key) == 0


@pytest.mark.parametrize("part", ["clientDataJSON", "authenticatorData", "signature"])
def test_an_assertion_with_one_changed_byte_is_refused(part: str):
    device = Authenticator()
    key = made(device)
    answer = bent(device.get({"challenge": unpadded(CHALLENGE)}), part, lambda data: data[:-1] + bytes([data[-1] ^ 1]))

    with pytest.raises(SignInFailed):
        verified(answer, key)


@given(st.sampled_from(["clientDataJSON", "attestationObject"]), st.integers(0, 150), st.binary(max_size=6))
@settings(max_examples=150, deadline=None)
def test_a_mangled_new_key_is_refused_by_name_or_was_mangled_where_nothing_is_said(part: str, at: int, junk: bytes):
    answer = Authenticator().create(asked_for_key())
    mangled = bent(answer, part, lambda data: data[:at] + junk + data[at + len(junk) + 1 :])
    if mangled == answer:
        return

    try:
        key = OURS.verify_new_key(mangled, challenge=CHALLENGE)
    except SignInFailed:
        return
    assert len(key.credential_id) == 32  # such as the model of the device, which nobody signs and nobody here asks for


@given(
    st.text()
    | st.sampled_from(["{}", "[]", "null", "1", '{"id": 1}', '{"id":"a","rawId":"a","type":"public-key","response":{}}'])
)
@settings(max_examples=100, deadline=None)
def test_what_is_no_answer_is_refused_by_name(text: str):
    with pytest.raises(SignInFailed):
        OURS.read_assertion(text)
    with pytest.raises(SignInFailed):
        OURS.verify_new_key(text, challenge=CHALLENGE)


def test_every_challenge_is_new():
    assert len({challenge_of(new_challenge()) for _ in range(50)}) == 50
    assert len(challenge_of(new_challenge())) == 32


@pytest.mark.parametrize("kept", [{}, {"challenge": None}, {"challenge": 1}])
def test_without_a_ceremony_there_is_no_challenge(kept: Any):
    with pytest.raises(SignInFailed):
        challenge_of(kept)
