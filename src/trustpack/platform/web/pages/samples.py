"""What the page of components shows: invented objects in every state, at fixed distances from now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.datastructures import QueryParams

from trustpack.platform.web.pages.lists import ListShape, Paged, read_state
from trustpack.platform.web.pages.panes import Action, Choice, Column, ListPane, Tab

KINDS = ("all", "list", "board", "empty", "loading")
_PEOPLE = (
    "Priya Raman",
    "Marcus Webb",
    "Lena Fischer",
    "Tomás Ortega",
    "Aisha Bello",
    "Noor Haddad",
    "Grace Kim",
    "Jonas Lindqvist",
)
_WORK = (
    ("Attach IAM policy", "role/prod-deployer"),
    ("Production DB access", "ledger-prod/readwrite"),
    ("Unprotect branch", "payments-api:main"),
    ("Bind cluster role", "prod-eu1/cluster-admin"),
    ("Change payout account", "acct_1Nq…7Kd"),
    ("Open ingress rule", "sg-0f3a91 · 5432/tcp"),
)
_STATES = (
    "active",
    "pending",
    "pending",
    "approved",
    "pending",
    "active",
    "pending",
    "denied",
    "failed",
    *["reverted"] * 8,
    "expired",
)
_ROWS = 26


@dataclass(frozen=True, slots=True)
class Row:
    """One invented object of the list."""

    id: str
    title: str
    target: str
    person: str
    state: str
    received: str
    created_at: datetime

    @property
    def path(self) -> str:
        """Where the object is shown."""
        return f"/switchboard/components/list/{self.id}"


def sample(now: datetime) -> dict[str, Any]:
    """Return everything that the templates of the component pages show."""
    return {
        "rows": [_row(number, now) for number in range(_ROWS)],
        "nothing": _nothing(),
        "until": now + timedelta(minutes=41, seconds=12),
        "since": now - timedelta(minutes=4),
        "moments": [now - timedelta(seconds=seconds) for seconds in (5, 240, 4_000, 90_000, 300_000, 3_000_000, -3_000)],
        "minutes_ago": [now - timedelta(minutes=minutes) for minutes in range(10)],
        "columns": (
            ("key", "ID", "", ""),
            ("title", "Type", "?sort=type", ""),
            ("detail", "Target", "", ""),
            ("person", "Requester", "", ""),
            ("status", "Status", "?sort=status", ""),
            ("when", "Created", "?sort=created", "descending"),
        ),
        "lines": (
            (" ", "attached_policies:"),
            (" ", "  - ReadOnlyDeploy"),
            ("-", "  - LedgerReadOnly"),
            ("+", "  - LedgerReadWrite"),
            ("+", "condition: aws:SourceIp in vpn-eu"),
            ("+", f"expires: {now + timedelta(minutes=41):%Y-%m-%dT%H:%M:%SZ}"),
        ),
    }


def _nothing() -> ListPane[Row]:
    shape = ListShape("/switchboard/components/empty", ("show", "type"), {"created": True})
    return ListPane(
        title="High-risk requests",
        caption="Requests",
        placeholder="Find by id, target, person or ticket…",
        empty=("Nothing waits for you", "When somebody asks for access that you may approve, it stands here."),
        state=read_state(shape, QueryParams()),
        paged=Paged((), "", ""),
        columns=(Column("key", "ID"), Column("when", "Created", "created")),
        choices=(Choice("type", "Type", (("database", "Database access"), ("role", "Role"))),),
        tabs=(Tab("All", (("show", ""),)), Tab("Active now", (("show", "active"),))),
        actions=(Action("New request", "plus", "/switchboard/components"),),
    )


def _row(number: int, now: datetime) -> Row:
    title, target = _WORK[number % len(_WORK)]
    state = _STATES[number % len(_STATES)]
    return Row(
        id=f"HRR-{1048 - number}",
        title=title,
        target=target,
        person=_PEOPLE[number % len(_PEOPLE)],
        state=state,
        received="1/2" if state == "pending" else "",
        created_at=now - timedelta(minutes=4 + number * number * 5),
    )
