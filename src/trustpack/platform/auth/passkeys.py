"""Passkeys: what to ask an authenticator, and whether its answer holds. Source: WebAuthn Level 3, sections 7.1 and 7.2.

Verified by the `webauthn` package; this module fixes what we insist on: a discoverable key (no name is asked for), a user who was
verified by the device, our origin, and a challenge of this ceremony.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import (
    base64url_to_bytes,
    parse_attestation_object,
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from trustpack.kernel.json_types import JsonObject
from trustpack.platform.auth.origins import origin_of
from trustpack.platform.auth.ports import SignInFailed
from trustpack.platform.entropy import new_secret

_TIMEOUT_MS: Final = 120_000
_PLAIN: Final = frozenset({AttestationFormat.NONE, AttestationFormat.PACKED})
_NAME: Final = "Trust & Proof Pack"
_MALFORMED: Final = (WebAuthnException, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, struct.error)
"""What the package raises for an answer that does not verify or that is no answer at all."""


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """A key that an authenticator has just made for an account."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


@dataclass(frozen=True, slots=True)
class Assertion:
    """What an authenticator's answer claims, before it is verified."""

    text: str
    credential_id: bytes
    user_handle: bytes | None


class Authenticators:
    """Asks the authenticators of browsers that have the console open under `public_url`."""

    def __init__(self, public_url: str) -> None:
        self._origin = origin_of(public_url)
        self._rp_id = urlsplit(public_url).hostname or ""

    def ask_for_new_key(
        self, *, challenge: bytes, account_id: str, name: str, display_name: str, known: Sequence[bytes]
    ) -> JsonObject:
        """Return the options of `navigator.credentials.create`; `known` are the keys that the account has already."""
        options = webauthn.generate_registration_options(
            rp_id=self._rp_id,
            rp_name=_NAME,
            user_id=account_id.encode(),
            user_name=name,
            user_display_name=display_name,
            challenge=challenge,
            timeout=_TIMEOUT_MS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=credential) for credential in known],
        )
        return _as_json(webauthn.options_to_json(options))

    def verify_new_key(self, answer: str, *, challenge: bytes) -> NewPasskey:
        """Return the new key of an answer to `ask_for_new_key`. Raises `SignInFailed`."""
        try:
            _require_plain_attestation(answer)
            made = webauthn.verify_registration_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._rp_id,
                expected_origin=self._origin,
                require_user_verification=True,
            )
        except _MALFORMED as error:
            raise SignInFailed("The new passkey could not be verified.") from error
        return NewPasskey(credential_id=made.credential_id, public_key=made.credential_public_key, sign_count=made.sign_count)

    def ask_for_assertion(self, *, challenge: bytes, allowed: Sequence[bytes] = ()) -> JsonObject:
        """Return the options of `navigator.credentials.get`, for these keys only if there are any."""
        options = webauthn.generate_authentication_options(
            rp_id=self._rp_id,
            challenge=challenge,
            timeout=_TIMEOUT_MS,
            allow_credentials=[PublicKeyCredentialDescriptor(id=credential) for credential in allowed],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return _as_json(webauthn.options_to_json(options))

    def read_assertion(self, answer: str) -> Assertion:
        """Return what an answer to `ask_for_assertion` claims. Raises `SignInFailed`."""
        try:
            credential = parse_authentication_credential_json(answer)
            _require_own_page(credential.response.client_data_json)
        except _MALFORMED as error:
            raise SignInFailed from error
        return Assertion(text=answer, credential_id=credential.raw_id, user_handle=credential.response.user_handle)

    def verify_assertion(self, assertion: Assertion, *, challenge: bytes, public_key: bytes, sign_count: int) -> int:
        """Return the authenticator's new counter if the answer was signed with the key. Raises `SignInFailed`."""
        try:
            verified = webauthn.verify_authentication_response(
                credential=assertion.text,
                expected_challenge=challenge,
                expected_rp_id=self._rp_id,
                expected_origin=self._origin,
                credential_public_key=public_key,
                credential_current_sign_count=sign_count,
                require_user_verification=True,
            )
        except _MALFORMED as error:
            raise SignInFailed from error
        return verified.new_sign_count


def new_challenge() -> JsonObject:
    """Return what a ceremony keeps: a challenge of 256 random bits."""
    return {"challenge": new_secret()}


def challenge_of(kept: JsonObject) -> bytes:
    """Return the challenge that a ceremony kept. Raises `SignInFailed` if there is none."""
    challenge = kept.get("challenge")
    if not isinstance(challenge, str):
        raise SignInFailed
    return base64url_to_bytes(challenge)


def _require_plain_attestation(answer: str) -> None:
    # We ask for none: chains of certificates would be checked by much code to prove what nobody here asks.
    made = parse_registration_credential_json(answer)
    _require_own_page(made.response.client_data_json)
    if parse_attestation_object(made.response.attestation_object).fmt not in _PLAIN:
        raise SignInFailed("The new passkey came with an attestation that was not asked for.")


def _require_own_page(client_data: bytes) -> None:
    # The package leaves it to us: a page of ours that is shown within another site's must not answer for its user.
    if parse_client_data_json(client_data).cross_origin:
        raise SignInFailed


def _as_json(text: str) -> JsonObject:
    options: JsonObject = json.loads(text)
    return options
