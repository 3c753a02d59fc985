"""An authenticator in software: makes passkeys and signs with them as a phone or a security key does (WebAuthn Level 3)."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

USER_PRESENT, USER_VERIFIED, ATTESTED = 0x01, 0x04, 0x40
ORIGIN = "http://localhost:8000"


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def padded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(slots=True)
class HeldKey:
    """A passkey as its authenticator holds it."""

    credential_id: bytes
    private_key: ec.EllipticCurvePrivateKey
    rp_id: str
    user_handle: bytes


@dataclass(slots=True)
class Authenticator:
    """Answers what a page asks. What it claims can be bent, as an attacker would: origin, flags, counter, site."""

    origin: str = ORIGIN
    flags: int = USER_PRESENT | USER_VERIFIED
    counts: bool = True
    rp_id: str | None = None
    cross_origin: bool = False
    attestation: str = "none"
    keys: list[HeldKey] = field(default_factory=list)
    counter: int = 0

    def create(self, options: Mapping[str, Any], *, again: HeldKey | None = None) -> str:
        """Answer `navigator.credentials.create` and keep the new key; or offer one again, which no honest device does."""
        rp_id = self.rp_id or options["rp"]["id"]
        private_key = again.private_key if again is not None else ec.generate_private_key(ec.SECP256R1())
        credential_id = hashlib.sha256(
            unpadded(private_key.private_numbers().private_value.to_bytes(32, "big")).encode()
        ).digest()
        self.keys.append(HeldKey(credential_id, private_key, rp_id, padded(options["user"]["id"])))
        attested = bytes(16) + len(credential_id).to_bytes(2, "big") + credential_id + _cose(private_key)
        data = self._data(rp_id, self.flags | ATTESTED) + attested
        return _answer(
            credential_id,
            clientDataJSON=self._client_data("webauthn.create", options["challenge"]),
            attestationObject=cbor2.dumps({"fmt": self.attestation, "attStmt": {}, "authData": data}),
        )

    def get(self, options: Mapping[str, Any], *, key: int = -1) -> str:
        """Answer `navigator.credentials.get` with one of the keys."""
        held = self.keys[key]
        self.counter += self.counts
        data = self._data(self.rp_id or held.rp_id, self.flags)
        client_data = self._client_data("webauthn.get", options["challenge"])
        signature = held.private_key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        return _answer(
            held.credential_id,
            clientDataJSON=client_data,
            authenticatorData=data,
            signature=signature,
            userHandle=held.user_handle,
        )

    def _data(self, rp_id: str, flags: int) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps(
            {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": self.cross_origin}
        ).encode()


def _cose(private_key: ec.EllipticCurvePrivateKey) -> bytes:
    numbers = private_key.public_key().public_numbers()
    return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})


def _answer(credential_id: bytes, **response: bytes) -> str:
    name = unpadded(credential_id)
    return json.dumps(
        {
            "id": name,
            "rawId": name,
            "type": "public-key",
            "response": {key: unpadded(value) for key, value in response.items()},
            "clientExtensionResults": {},
        }
    )
