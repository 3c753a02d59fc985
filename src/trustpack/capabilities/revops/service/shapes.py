"""What people write about leads, quotes and delegations, read strictly, whether the API or a form brings it."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator
from pydantic.config import JsonDict

from trustpack.capabilities.revops.model import NewLead, WrittenDelegation, WrittenLine, WrittenTerms
from trustpack.capabilities.revops.rules.contacts import new_lead
from trustpack.capabilities.revops.rules.texts import (
    LONGEST_EMAIL,
    LONGEST_LINE,
    LONGEST_NAME,
    LONGEST_PAYMENT_DAYS,
    LONGEST_TERM_MONTHS,
    MOST_EMPLOYEES,
    MOST_LINES,
    MOST_UNITS,
    NAME,
    ONE_VISIBLE_LINE,
)
from trustpack.kernel.actor import Role
from trustpack.platform.web.routing import Body

_DAY: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_AMOUNT: Final = r"^(0|[1-9][0-9]{0,15})(\.[0-9]{1,3})?$"
_PERCENT: Final = r"^(100(\.0{1,6})?|(0|[1-9][0-9]?)(\.[0-9]{1,6})?)$"
_WITHOUT_CONTROLS: Final = r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*"
_TEXT_BYTES: Final = 4096


def _day(value: object) -> date:
    # A day alone: what also names a time of day would be another day in another zone.
    if not isinstance(value, str) or len(value) != len("2026-01-31"):
        raise ValueError("expected a day such as 2026-01-31")
    return date.fromisoformat(value)


def _amount_text(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(_AMOUNT, value):
        raise ValueError('expected an amount as text, such as "1250.00"')
    return value


def _percent_text(value: object) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(_PERCENT, text):
        raise ValueError('expected a percentage from 0 to 100, with at most 6 digits after the point as text, such as "12.5"')
    return text


def _within_bytes(text: str) -> str:
    if len(text.encode()) > _TEXT_BYTES:
        raise ValueError(f"longer than {_TEXT_BYTES} bytes")
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME, pattern=NAME)]
Line = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_LINE, strip_whitespace=True, pattern=ONE_VISIBLE_LINE),
]
Text = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=_TEXT_BYTES,
        strip_whitespace=True,
        pattern=rf"^{_WITHOUT_CONTROLS}[^\s\x00-\x1f\x7f]{_WITHOUT_CONTROLS}$",
    ),
    AfterValidator(_within_bytes),
]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date", "pattern": _DAY})]
Amount = Annotated[str, BeforeValidator(_amount_text), WithJsonSchema({"type": "string", "pattern": _AMOUNT})]
Percent = Annotated[
    str,
    BeforeValidator(_percent_text),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _PERCENT}, {"type": "integer", "minimum": 0, "maximum": 100}]}),
]
"""An exact text or an integer, never a float."""
PersonName = Annotated[str, StringConstraints(pattern=r"^(usr_[0-9a-f]{32}|[a-z][a-z0-9-]{1,39})$")]
"""A person's id or handle."""


_LINES_OR_AMOUNT: JsonDict = {
    "oneOf": [
        {"required": ["lines"], "properties": {"lines": {"type": "array"}, "amount": {"type": "null"}}},
        {"required": ["amount"], "properties": {"amount": {"type": "string"}, "lines": {"type": "null"}}},
    ]
}


class LineBody(Body):
    """One line of a quote."""

    sku: Name | None = None
    description: Line
    quantity: Annotated[int, Field(ge=1, le=MOST_UNITS)]
    unit_price: Amount
    discount_percent: Percent = "0"
    recurring: bool = False

    def to_written(self) -> WrittenLine:
        """Return the line as the rules read it."""
        return WrittenLine(
            sku=self.sku,
            description=self.description,
            quantity=self.quantity,
            unit_price=self.unit_price,
            discount_percent=self.discount_percent,
            recurring=self.recurring,
        )


class TermsBody(Body):
    """The commercial part of a quote: lines, or one amount with its discount."""

    model_config = ConfigDict(json_schema_extra=_LINES_OR_AMOUNT)

    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    lines: Annotated[list[LineBody], Field(min_length=1, max_length=MOST_LINES)] | None = None
    amount: Amount | None = None
    discount_percent: Percent | None = None
    valid_until: Day | None = None
    term_months: Annotated[int, Field(ge=1, le=LONGEST_TERM_MONTHS)] | None = None
    payment_days: Annotated[int, Field(ge=0, le=LONGEST_PAYMENT_DAYS)] | None = None
    start_date: Day | None = None

    @model_validator(mode="after")
    def _check_whole(self) -> TermsBody:
        if (self.amount is None) == (self.lines is None):
            raise ValueError("give either lines, or an amount with its discount_percent")
        return self

    def to_written(self) -> WrittenTerms:
        """Return the terms as the rules read them."""
        return WrittenTerms(
            currency=self.currency,
            lines=tuple(line.to_written() for line in self.lines or ()),
            amount=self.amount,
            discount_percent=self.discount_percent,
            valid_until=self.valid_until,
            term_months=self.term_months,
            payment_days=self.payment_days,
            start_date=self.start_date,
        )


class QuoteChangeBody(Body):
    """Other terms, as a whole, or another title, or both."""

    terms: TermsBody | None = None
    title: Line | None = None


class LeadBody(Body):
    """A lead as it comes in."""

    email: Annotated[str, StringConstraints(min_length=3, max_length=LONGEST_EMAIL)]
    company: Line
    segment: Name
    employees: Annotated[int, Field(ge=0, le=MOST_EMPLOYEES)] | None = None
    region: Name | None = None
    source: Line | None = None

    def to_new_lead(self) -> NewLead:
        """Return the lead with the spellings by which it is compared. Raises `InvalidContact`."""
        return new_lead(
            email=self.email,
            company=self.company,
            segment=self.segment,
            employees=self.employees,
            region=self.region,
            source=self.source,
        )


class DelegationBody(Body):
    """A role to lend; administrators may name in `from` whose it is."""

    role: Literal["manager", "finance"]
    delegator: Annotated[PersonName | None, Field(alias="from")] = None
    delegate: Annotated[PersonName, Field(alias="to")]
    from_date: Day
    until_date: Day
    reason: Text

    def to_written(self) -> WrittenDelegation:
        """Return the delegation as the rules read it."""
        return WrittenDelegation(
            role=Role(self.role),
            delegator=self.delegator,
            delegate=self.delegate,
            from_date=self.from_date,
            until_date=self.until_date,
            reason=self.reason,
        )
