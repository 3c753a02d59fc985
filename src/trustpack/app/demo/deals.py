"""The deals of the demo as data: prices, sixteen leads, and what happened to twelve quotes. Source: research/revops section 6.

Hours count from a quote's first submission, and that from now backwards. All of it lies within the approval window, so that
no worker ends a quote before its story does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

from trustpack.app.demo.sellers import LEAVER, MANAGER_WHO_SELLS, ROUTER, STAND_IN

BEGIN = timedelta(days=13)
"""How long ago the people came and the price book was imported: before the first lead."""
LEAVER_LEFT = timedelta(hours=240)
LEAVE_BEGAN = timedelta(hours=135)
LEAVE = timedelta(days=2)
CURRENCIES = ("USD", "EUR")
PRICES_FROM = "2026-01-01"


@dataclass(frozen=True, slots=True)
class Product:
    """What stands in the price book under a SKU; the list price is the same number in every currency."""

    description: str
    price: str
    recurring: bool = True


PRODUCTS: Mapping[str, Product] = {
    "PLATFORM": Product("Platform for one year", "48000.00"),
    "SEAT": Product("Seat for one year", "600.00"),
    "ANALYTICS": Product("Analytics for a seat and year", "180.00"),
    "SUPPORT": Product("Premium support for one year", "24000.00"),
    "SANDBOX": Product("Sandbox for one year", "12000.00"),
    "IMPLEMENTATION": Product("Implementation", "35000.00", recurring=False),
}


class Verb(StrEnum):
    """What somebody does about a quote, by the action of the one receipt that it leaves."""

    CREATE = "created"
    PREVIEW = "previewed"
    SUBMIT = "submitted"
    APPROVE = "approved"
    APPROVE_IN_VAIN = "refused"
    REJECT = "rejected"
    REVISE = "revised"
    RECALL = "recalled"
    ACTIVATE = "activated"
    EXPIRE = "expired"


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a quote at its list price."""

    sku: str
    quantity: int
    discount: str


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to a quote, so many hours after its first submission; `who` is None for the quote's owner."""

    hours: float
    verb: Verb
    who: str | None = None
    text: str | None = None
    items: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class LeadData:
    """A lead as it came in."""

    email: str
    company: str
    segment: str
    employees: int
    region: str
    source: str


@dataclass(frozen=True, slots=True)
class Deal:
    """One quote with its lead. `hours_ago` is when it was first submitted; `lead_hours` how long before that the lead came."""

    name: str
    owner: str
    hours_ago: float
    lead: LeadData
    steps: tuple[Step, ...]
    currency: str = "USD"
    lead_hours: float = 2.0
    valid_days: int | None = None

    def lead_moment(self, now: datetime) -> datetime:
        """Return when the lead came in."""
        return now - timedelta(hours=self.hours_ago + self.lead_hours)

    def moment_of(self, step: Step, now: datetime) -> datetime:
        """Return when a step happened; a quote expires at the end of its last day, whenever that was."""
        if step.verb is Verb.EXPIRE:
            return datetime.combine(self.valid_until(now) + timedelta(days=1), time(), tzinfo=UTC)
        return now - timedelta(hours=self.hours_ago) + timedelta(hours=step.hours)

    def valid_until(self, now: datetime) -> datetime:
        """Return a moment of the last day on which the quote is valid."""
        return self.moment_of(self.steps[0], now) + timedelta(days=self.valid_days or 0)


def price_file() -> str:
    """Return the price book of 2026 as a file to import."""
    rows = [
        f"{sku},{currency},{product.price},{PRICES_FROM},{product.description},{str(product.recurring).lower()}"
        for currency in CURRENCIES
        for sku, product in PRODUCTS.items()
    ]
    return "\n".join(["sku,currency,list_price,valid_from,description,recurring", *rows]) + "\n"


def _all_at(discount: str, **quantities: int) -> tuple[Item, ...]:
    return tuple(Item(sku, quantity, discount) for sku, quantity in quantities.items())


def _create(items: tuple[Item, ...]) -> Step:
    return Step(-0.5, Verb.CREATE, items=items)


def _submit(hours: float = 0) -> Step:
    return Step(hours, Verb.SUBMIT)


def _approve(hours: float, who: str | None = None, text: str | None = None) -> Step:
    return Step(hours, Verb.APPROVE, who, text)


def _activate(hours: float) -> Step:
    return Step(hours, Verb.ACTIVATE)


DEALS: tuple[Deal, ...] = (
    Deal(
        "Q-1001",
        owner="user-ae",
        hours_ago=290,
        lead=LeadData("it@larkspur.example", "Larkspur Foods", "mid_market", 320, "americas", "webinar"),
        steps=(_create(_all_at("10", PLATFORM=1, SEAT=50)), _submit(), _approve(0.1), _activate(0.5)),
    ),
    Deal(
        "Q-1002",
        owner="ana-ruiz",
        hours_ago=270,
        lead=LeadData("cio@tidewater.example", "Tidewater Logistics", "enterprise", 2400, "americas", "referral"),
        steps=(_create(_all_at("20", PLATFORM=1, SEAT=200, SUPPORT=1)), _submit(), _approve(0.1), _activate(1)),
    ),
    # The approver in finance leaves between the vote and the activation: the vote stands with the role of its time.
    Deal(
        "Q-1003",
        owner="ben-okafor",
        hours_ago=250,
        lead=LeadData("cto@halden.example", "Halden Robotics", "enterprise", 1800, "emea", "trade fair"),
        steps=(
            _create(_all_at("20.004", PLATFORM=1, SEAT=300, SUPPORT=1)),
            _submit(),
            _approve(1.5, "user-manager"),
            _approve(4.0, LEAVER),
            _activate(20),
        ),
    ),
    Deal(
        "Q-1004",
        owner="chloe-martin",
        hours_ago=225,
        lead=LeadData("procurement@corvid.example", "Corvid Analytics", "enterprise", 5200, "emea", "referral"),
        steps=(
            _create(_all_at("25", PLATFORM=1, SEAT=400, ANALYTICS=400, SUPPORT=1)),
            _submit(),
            _approve(0.8, "user-manager"),
            _approve(6.2, "user-finance"),
            _activate(8),
        ),
    ),
    Deal(
        "Q-1005",
        owner="dev-patel",
        hours_ago=205,
        lead=LeadData("ops@juniper-clinics.example", "Juniper Clinics", "mid_market", 640, "americas", "webinar"),
        steps=(
            _create(_all_at("32", PLATFORM=1, SEAT=250, SANDBOX=1)),
            _submit(),
            _approve(2.0, "mara-klein"),
            Step(5.0, Verb.REJECT, "felix-wong", "32 % for a first year sets the price of every renewal."),
            Step(20, Verb.REVISE, items=_all_at("24", PLATFORM=1, SEAT=250, SANDBOX=1)),
            _submit(21),
            _approve(22, "mara-klein"),
            _approve(24, "felix-wong"),
            _activate(26),
        ),
    ),
    Deal(
        "Q-1006",
        owner="eva-lindqvist",
        hours_ago=190,
        lead=LeadData("cfo@meridian-freight.example", "Meridian Freight", "enterprise", 9100, "emea", "outbound"),
        steps=(
            _create(_all_at("28", PLATFORM=1, SEAT=500, SUPPORT=1)),
            _submit(),
            _approve(2.5, "mara-klein"),
            _approve(9.0, "felix-wong"),
            Step(12, Verb.REVISE, items=_all_at("35", PLATFORM=1, SEAT=500, SUPPORT=1)),
            _submit(13),
            _approve(14.2, "user-manager"),
            _approve(39, "user-finance"),
            _activate(41),
        ),
    ),
    Deal(
        "Q-1007",
        owner="user-ae",
        hours_ago=170,
        lead=LeadData("hello@osprey-media.example", "Osprey Media", "mid_market", 410, "americas", "webinar"),
        steps=(
            _create(_all_at("22", PLATFORM=1, SEAT=120)),
            _submit(),
            _approve(3.0, "user-manager"),
            Step(4, Verb.RECALL, text="The customer signs this week at 18 %."),
            Step(5, Verb.REVISE, items=_all_at("18", PLATFORM=1, SEAT=120)),
            _submit(5.5),
            _approve(5.6),
            _activate(6),
        ),
    ),
    # 18.33 % over all, but 45 % on the seats: asked what it would need, and held back.
    Deal(
        "Q-1008",
        owner="ana-ruiz",
        hours_ago=140,
        lead=LeadData("it@pallas-insurance.example", "Pallas Insurance", "enterprise", 3300, "americas", "outbound"),
        steps=(
            _create(
                (
                    Item("PLATFORM", 1, "0"),
                    Item("SEAT", 150, "45"),
                    Item("SUPPORT", 1, "0"),
                    Item("SANDBOX", 2, "0"),
                    Item("IMPLEMENTATION", 1, "0"),
                )
            ),
            Step(0, Verb.PREVIEW),
        ),
    ),
    Deal(
        "Q-1009",
        owner="chloe-martin",
        hours_ago=130,
        lead=LeadData("einkauf@rheintal-werke.example", "Rheintal Werke", "enterprise", 2700, "emea", "trade fair"),
        currency="EUR",
        steps=(
            _create(_all_at("27", PLATFORM=1, SEAT=220)),
            _submit(),
            _approve(7.5, STAND_IN),
            _approve(12.0, "felix-wong"),
            _activate(14),
        ),
    ),
    Deal(
        "Q-1010",
        owner="ben-okafor",
        hours_ago=92,
        lead=LeadData("cpo@solano-energy.example", "Solano Energy", "enterprise", 14_000, "americas", "outbound"),
        steps=(
            _create(
                (
                    Item("PLATFORM", 1, "0"),
                    Item("SEAT", 1000, "42.2"),
                    Item("ANALYTICS", 1000, "40"),
                    Item("SUPPORT", 1, "0"),
                    Item("IMPLEMENTATION", 1, "100"),
                )
            ),
            _submit(),
            _approve(5.0, "user-manager", "A reference account. Escalated to Victor: finance has to see this one this week."),
        ),
    ),
    Deal(
        "Q-1011",
        owner=MANAGER_WHO_SELLS,
        hours_ago=160,
        lead=LeadData("treasury@quarry-bank.example", "Quarry Bank", "enterprise", 1500, "emea", "referral"),
        valid_days=2,
        steps=(
            _create(_all_at("30", PLATFORM=1, SEAT=180)),
            _submit(),
            Step(0.2, Verb.APPROVE_IN_VAIN),
            _approve(2.2, "mara-klein"),
            _approve(8.8, "felix-wong"),
            Step(80, Verb.EXPIRE),
        ),
    ),
    # The only first touch that came too late: the lead had waited for 7.5 hours.
    Deal(
        "Q-1012",
        owner="dev-patel",
        hours_ago=50,
        lead=LeadData("lab@fennel-labs.example", "Fennel Labs", "mid_market", 230, "americas", "webinar"),
        lead_hours=8.0,
        steps=(
            _create(_all_at("100", PLATFORM=1, SEAT=25)),
            _submit(),
            _approve(1.0, "mara-klein", "A pilot of one month."),
            Step(2.0, Verb.REJECT, "user-finance", "Use the trial SKU."),
        ),
    ),
)
OTHER_LEADS: tuple[tuple[float, str, LeadData], ...] = (
    (
        3.0,
        ROUTER,
        LeadData("ops@tidewater.example", "Tidewater Logistics Inc.", "enterprise", 2400, "americas", "second contact"),
    ),
    (2.5, ROUTER, LeadData("studio@vesper.example", "Vesper Studio", "small_business", 80, "emea", "website")),
    (2.0, ROUTER, LeadData("owner@bramble-books.example", "Bramble Books", "small_business", 12, "americas", "nurture")),
    (1.5, ROUTER, LeadData("research@parallax-cpq.example", "Parallax CPQ", "small_business", 150, "emea", "blocked competitor")),
)
"""Leads without a quote: hours ago, by whom, what. Nobody has touched them, and it is not too late yet."""
