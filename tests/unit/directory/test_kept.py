"""What a kept form would send, said in words: the deed, where to read about it, and what was entered but for secrets."""

from __future__ import annotations

import pytest

from trustpack.capabilities.directory.pages.kept import Sending, sending_of
from trustpack.platform.auth.kept_forms import KeptForm

ROOT = "/switchboard"
REQUEST = f"{ROOT}/security/requests/hro_0000000012345678"
QUOTE = f"{ROOT}/revops/quotes/quo_0000000012345678"
TOKENS, SIGNING_IN, DELEGATIONS = (f"{ROOT}/profile/{page}" for page in ("tokens", "passkeys", "delegations"))


def sending(path: str, **fields: str) -> Sending:
    return sending_of(KeptForm(path=path, fields=fields))


@pytest.mark.parametrize(
    ("path", "deed", "page", "object_id"),
    [
        (f"{QUOTE}/approve", "Approve quote", QUOTE, "quo_0000000012345678"),
        (f"{QUOTE}/activate", "Activate quote", QUOTE, "quo_0000000012345678"),
        (f"{REQUEST}/reject", "Reject request", REQUEST, "hro_0000000012345678"),
        (f"{REQUEST}/credentials", "Get the credentials of request", REQUEST, "hro_0000000012345678"),
        (f"{SIGNING_IN}/key_12345678/remove", "Remove passkey", SIGNING_IN, "key_12345678"),
        (f"{DELEGATIONS}/dlg_12345678/withdraw", "Withdraw delegation", DELEGATIONS, "dlg_12345678"),
        (DELEGATIONS, "Lend a role", DELEGATIONS, ""),
        (TOKENS, "Create an API token", TOKENS, ""),
        (f"{ROOT}/profile/password/remove", "Remove the password", SIGNING_IN, ""),
        (f"{ROOT}/decide", "Send a form to /switchboard/decide", ROOT, ""),
        (f"{QUOTE}/approve/<b>", f"Send a form to {QUOTE}/approve/<b>", ROOT, ""),
    ],
)
def test_the_path_of_a_form_says_what_it_does_and_where_that_is_read_about(path: str, deed: str, page: str, object_id: str):
    said = sending(path)

    assert (said.deed, said.page, said.object_id, said.about) == (deed, page, object_id, None)


def test_the_page_that_a_form_is_read_about_on_keeps_the_list_that_it_was_sent_from():
    said = sending(f"{QUOTE}/approve?status=pending_approval&q=acme")

    assert (said.deed, said.page) == ("Approve quote", f"{QUOTE}?status=pending_approval&q=acme")
    assert said.object_id == "quo_0000000012345678"


def test_what_was_entered_is_said_in_words_and_a_digest_in_short():
    said = sending(f"{QUOTE}/approve", digest="sha256:" + "0123456789abcdef" * 4, text="Fine\nby <me>", role="", typed_id="x1")

    assert said.entered == (("Digest", "0123456789ab"), ("What you wrote", "Fine\nby <me>"), ("Typed id", "x1"))


@pytest.mark.parametrize("name", ["form_token", "password", "credential", "key", "version"])
def test_secrets_and_what_no_page_shows_are_not_said(name: str):
    assert sending(TOKENS, **{name: "hidden", "label": "laptop"}).entered == (("Label", "laptop"),)
