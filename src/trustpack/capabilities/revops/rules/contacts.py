"""When two leads are the same: by mailbox; two companies: by domain. Guarantee: pure. Source: research/revops case 37."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from trustpack.capabilities.revops.model import InvalidContact, NewLead
from trustpack.capabilities.revops.rules.texts import HIDDEN

_LONGEST_EMAIL: Final = 254
_LOCAL: Final = re.compile(r"[a-z0-9!#$%&'*/=?^_`{|}~.-]{1,64}")
_TAG: Final = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]*")
_HIDDEN: Final = re.compile(f"[{HIDDEN}]")
_DOMAIN: Final = re.compile(r"(?=.{4,253}$)([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])")
FREE_MAIL: Final = frozenset(
    {"gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com", "icloud.com", "me.com", "gmx.de",
     "gmx.net", "web.de", "proton.me", "protonmail.com", "aol.com", "mail.com", "zoho.com", "yandex.com", "qq.com", "163.com"}
)  # fmt: skip
"""Domains that say nothing about a company."""


def normal_email(text: str) -> str:
    """Return the one spelling of a mailbox: lower case, no spaces around, no `+tag`, the domain in its ASCII form.

    Raises `InvalidContact`. Dots in the local part stay, as they make another mailbox at most providers.
    """
    candidate = unicodedata.normalize("NFKC", text).strip().lower()
    local, at, domain = candidate.rpartition("@")
    local, _, tag = local.partition("+")
    ascii_domain = _ascii_domain(domain)
    if (
        not at
        or len(candidate) > _LONGEST_EMAIL
        or _HIDDEN.search(text.strip())
        or not (_LOCAL.fullmatch(local) and _TAG.fullmatch(tag))
        or local.startswith(".")
        or local.endswith(".")
        or (".." in local or not _DOMAIN.fullmatch(ascii_domain))
    ):
        raise InvalidContact(
            "The e-mail address cannot be one.", errors=[{"field": "email", "message": "expected an address such as jo@acme.com"}]
        )
    return f"{local}@{ascii_domain}"


def company_domain(email: str) -> str | None:
    """Return the domain that stands for the lead's company, or None where everybody can have an address of it."""
    domain = email.rpartition("@")[2]
    return None if domain in FREE_MAIL else domain


def normal_company(text: str) -> str:
    """Return the spelling by which companies without a domain of their own are compared: letters and digits alone.

    Raises `InvalidContact`.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    letters = "".join(character for character in folded if character.isalnum())
    if not (letters or folded.strip()):
        raise InvalidContact("The company is missing.", errors=[{"field": "company", "message": "expected a name"}])
    return letters or folded.strip()


def normal_name(text: str) -> str:
    """Return the one spelling of a segment or a region: in lower case, so that no spelling passes by the rows of a policy."""
    return text.lower()


def new_lead(*, email: str, company: str, segment: str, employees: int | None, region: str | None, source: str | None) -> NewLead:
    """Return a lead with the spellings by which it is compared. Raises `InvalidContact`."""
    key = normal_email(email)
    return NewLead(
        email=email.strip(),
        email_key=key,
        company=company,
        account_key=company_domain(key) or normal_company(company),
        segment=normal_name(segment),
        employees=employees,
        region=None if region is None else normal_name(region),
        source=source,
    )


def _ascii_domain(domain: str) -> str:
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
