import pytest

from trustpack.capabilities.revops.model import InvalidContact
from trustpack.capabilities.revops.rules.contacts import company_domain, normal_company, normal_email


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("jo@acme.com", "jo@acme.com"),
        ("  Jo@ACME.com ", "jo@acme.com"),
        ("jo+trial@acme.com", "jo@acme.com"),
        ("JO+a+b@Acme.Com", "jo@acme.com"),
        ("jo.doe@acme.com", "jo.doe@acme.com"),
        ("jo@bücher.example", "jo@xn--bcher-kva.example"),
        ("\uff4a\uff4f@acme.com", "jo@acme.com"),
    ],
)
def test_spellings_of_one_mailbox_are_one(text, normal):
    assert normal_email(text) == normal


@pytest.mark.parametrize(
    "text",
    ["", "jo", "@acme.com", "jo@", "jo@acme", "jo@@acme.com", "jo doe@acme.com", "jo@acme..com", "+tag@acme.com", ".jo@acme.com",
     "jo.@acme.com", "j..o@acme.com", "jo@-acme.com", "jo@acme.com\n.evil", "jo@1.2.3.4", f"{'j' * 65}@acme.com",
     f"jo@{'a' * 250}.com", "jo\x00@acme.com", "<script>@acme.com", "jo@a_b.com", "jo+a b@acme.com",
     "jo+\x1b[31m@acme.com", "jo+<b>@acme.com", "jo+\n@acme.com", "jo+\u202e@acme.com", "jo@ac\u200bme.com"],
)  # fmt: skip
def test_what_cannot_be_an_address_is_refused_with_its_field(text):
    with pytest.raises(InvalidContact) as caught:
        normal_email(text)

    assert caught.value.data["errors"][0]["field"] == "email"


def test_a_free_mail_domain_stands_for_no_company():
    assert company_domain("jo@acme.com") == "acme.com"
    assert company_domain("jo@gmail.com") is None


@pytest.mark.parametrize(
    "spelling", ["  Acme\u00a0 GmbH ", "ACME gmbh", "Acme, GmbH.", "Acme-GmbH", "Ac\u00adme GmbH", "\uff21cme GmbH", "AcmeGmbH"]
)
def test_spellings_of_one_company_are_one(spelling):
    assert normal_company(spelling) == normal_company("Acme GmbH")


def test_companies_of_other_letters_are_others():
    assert len({normal_company(name) for name in ("Acme GmbH", "Acme AG", "Acme 2 GmbH", "!!", "??")}) == 5
    with pytest.raises(InvalidContact):
        normal_company(" \u2003 ")
