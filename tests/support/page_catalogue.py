"""Every page of Switchboard: who gets what from it, how it is asked for, and which form leads to it. A new one needs its row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NOBODY, OUTSIDER, OWNER = "nobody", "outsider", "user-engineer"

# Columns: the requester; a member of the requester's and of the seller's team; an engineer of another team; an approver of each
# flow; the seller; the auditor; the administrator; somebody without a role; an administrator of another tenant; nobody signed in.
STATUSES = """
                                                    own  mate engi lead ae   mana audi admi none outs nobo
GET  /switchboard                                   200  200  200  200  200  200  200  200  200  200  303
POST /switchboard/first-steps/hide                  303  303  303  303  303  303  303  303  303  303  401
GET  /switchboard/views                             200  200  200  200  200  200  200  200  200  200  303
POST /switchboard/views                             303  303  303  303  303  303  303  303  303  303  401
POST /switchboard/views/{view_id}/rename            303  404  404  404  404  404  404  404  404  404  401
POST /switchboard/views/{view_id}/delete            303  404  404  404  404  404  404  404  404  404  401
GET  /switchboard/security/inbox                    200  200  200  200  200  200  200  200  200  200  303
GET  /switchboard/security/requests/export/{kind}   200  200  200  200  200  200  200  200  200  200  303
GET  /switchboard/revops/inbox                      200  200  200  200  200  200  200  200  200  200  303
GET  /switchboard/revops/leads                      200  200  200  200  200  200  200  200  200  200  303
GET  /switchboard/revops/leads/export/{kind}        200  200  200  200  200  200  200  200  200  200  303
GET  /switchboard/revops/leads/new                  403  403  403  403  200  200  403  200  403  200  303
POST /switchboard/revops/leads/new                  403  403  403  403  303  303  403  303  403  303  401
GET  /switchboard/revops/leads/{lead_id}            404  200  404  404  200  200  200  200  404  404  303
GET  /switchboard/revops/opportunities/{opportunity_id}
                                                    404  200  404  404  200  200  200  200  404  404  303
GET  /switchboard/revops/opportunities              200  200  200  200  200  200  200  200  200  200  303
GET  /switchboard/revops/opportunities/export/{kind}
                                                    200  200  200  200  200  200  200  200  200  200  303
GET  /switchboard/revops/quotes/export/{kind}       200  200  200  200  200  200  200  200  200  200  303
GET  /switchboard/revops/quotes/new                 403  403  403  403  200  200  403  200  403  422  303
POST /switchboard/revops/quotes/new                 403  403  403  403  303  303  403  303  403  422  401
POST /switchboard/revops/quotes/new/preview         403  403  403  403  200  200  403  200  403  422  401
GET  /switchboard/revops/quotes/{quote_id}/edit     404  403  404  404  200  200  403  200  404  404  303
POST /switchboard/revops/quotes/{quote_id}/edit     404  403  404  404  303  303  403  303  404  404  401
POST /switchboard/revops/quotes/{quote_id}/edit/preview
                                                    404  403  404  404  200  200  403  200  404  404  401
GET  /switchboard/find                              200  200  200  200  200  200  200  200  200  200  303
GET  /switchboard/find/list                         200  200  200  200  200  200  200  200  200  200  303
GET  /switchboard/sign-in                           200  200  200  200  200  200  200  200  200  200  200
POST /switchboard/sign-in/{method}                  303  303  303  303  303  303  303  303  303  303  303
POST /switchboard/sign-in/{method}/begin            200  200  200  200  200  200  200  200  200  200  200
GET  /switchboard/confirm                           200  200  200  200  200  200  200  200  200  200  303
POST /switchboard/confirm/{method}                  303  401  401  401  401  401  401  401  401  401  401
POST /switchboard/confirm/{method}/begin            200  200  200  200  200  200  200  200  200  200  401
POST /switchboard/sign-out                          303  303  303  303  303  303  303  303  303  303  401
GET  /switchboard/tenant                            200  200  200  200  200  200  200  200  200  200  303
POST /switchboard/tenant                            303  404  404  404  404  404  404  404  404  303  401
GET  /switchboard/invitation/{text}                 200  200  200  200  200  200  200  200  200  200  200
POST /switchboard/invitation/{text}/passkey/begin   200  200  200  200  200  200  200  200  200  200  200
POST /switchboard/invitation/{text}/passkey         401  401  401  401  401  401  401  401  401  401  401
POST /switchboard/invitation/{text}/password        303  303  303  303  303  303  303  303  303  303  303
GET  /switchboard/profile/sessions                  200  200  200  200  200  200  200  200  200  200  303
POST /switchboard/profile/sessions/end-others       303  303  303  303  303  303  303  303  303  303  401
POST /switchboard/profile/sessions/{session_id}/end
                                                    303  404  404  404  404  404  404  404  404  404  401
GET  /switchboard/profile/delegations               200  200  200  200  200  200  200  200  200  200  303
POST /switchboard/profile/delegations               403  403  403  403  403  303  403  403  403  403  401
POST /switchboard/profile/delegations/{delegation_id}/withdraw
                                                    404  403  404  404  404  303  403  303  404  404  401
GET  /switchboard/profile/tokens                    200  200  200  200  200  200  200  200  200  200  303
POST /switchboard/profile/tokens                    200  200  200  200  200  200  200  200  200  200  401
POST /switchboard/profile/tokens/{token_id}/revoke  303  404  404  404  404  404  404  404  404  404  401
GET  /switchboard/profile/passkeys                  200  200  200  200  200  200  200  200  200  200  303
POST /switchboard/profile/passkeys                  401  401  401  401  401  401  401  401  401  401  401
POST /switchboard/profile/passkeys/begin            200  200  200  200  200  200  200  200  200  200  401
POST /switchboard/profile/passkeys/{passkey_id}/remove
                                                    303  404  404  404  404  404  404  404  404  404  401
POST /switchboard/profile/name                      303  303  303  303  303  303  303  303  303  303  401
POST /switchboard/profile/password                  303  303  303  303  303  303  303  303  303  303  401
POST /switchboard/profile/password/remove           303  409  409  409  409  409  409  409  409  409  401
GET  /switchboard/security/requests                 200  200  200  200  200  200  200  200  200  200  303
GET  /switchboard/security/requests/{request_id}    200  200  404  200  404  404  200  200  404  404  303
GET  /switchboard/security/requests/{request_id}/{part}
                                                    200  200  404  200  404  404  200  200  404  404  303
GET  /switchboard/security/requests/new             200  200  200  200  200  200  200  200  200  200  303
POST /switchboard/security/requests/new             303  303  303  303  303  303  303  303  303  303  401
POST /switchboard/security/requests/new/preview     200  200  200  200  200  200  200  200  200  200  401
POST /switchboard/security/requests/{request_id}/approve
                                                    403  403  404  303  404  404  403  403  404  404  401
POST /switchboard/security/requests/{request_id}/reject
                                                    403  403  404  303  404  404  403  403  404  404  401
POST /switchboard/security/requests/{request_id}/cancel
                                                    303  403  404  403  404  404  403  403  404  404  401
POST /switchboard/security/requests/{request_id}/execute
                                                    303  403  404  403  404  404  403  403  404  404  401
POST /switchboard/security/requests/{request_id}/credentials
                                                    200  403  404  403  404  404  403  403  404  404  401
POST /switchboard/security/requests/{request_id}/revert
                                                    303  403  404  303  404  404  403  303  404  404  401
GET  /switchboard/evidence/high-risk-ops/{request_id}
                                                    200  200  404  200  404  404  200  200  404  404  303
GET  /switchboard/evidence/revops/deals/{deal_id}   404  200  404  404  200  200  200  200  404  404  303
GET  /switchboard/revops/quotes                     200  200  200  200  200  200  200  200  200  200  303
GET  /switchboard/revops/quotes/{quote_id}          404  200  404  404  200  200  200  200  404  404  303
GET  /switchboard/revops/quotes/{quote_id}/{part}   404  200  404  404  200  200  200  200  404  404  303
POST /switchboard/revops/quotes/{quote_id}/submit   404  403  404  404  303  403  403  403  404  404  401
POST /switchboard/revops/quotes/{quote_id}/approve  404  403  404  404  403  303  403  403  404  404  401
POST /switchboard/revops/quotes/{quote_id}/reject   404  403  404  404  403  303  403  403  404  404  401
POST /switchboard/revops/quotes/{quote_id}/recall   404  403  404  404  303  303  403  303  404  404  401
POST /switchboard/revops/quotes/{quote_id}/activate
                                                    404  403  404  404  303  403  403  403  404  404  401
POST /switchboard/revops/quotes/{quote_id}/clone    404  403  404  404  303  303  403  303  404  404  401
"""
COLUMNS: Mapping[str, str] = {
    "own": OWNER,
    "mate": "user-team-mate",
    "engi": "user-engineer-2",
    "lead": "user-team-lead",
    "ae": "user-ae",
    "mana": "user-manager",
    "audi": "user-auditor",
    "admi": "user-admin",
    "none": "user-without-role",
    "outs": OUTSIDER,
    "nobo": NOBODY,
}
EVERYBODY = tuple(COLUMNS.values())
NO_PAGES = {"GET /switchboard/static/{name:path}", "GET /switchboard/events"}
"""Files, which `tests/unit/platform/pages/test_answers.py` asks for, and a stream without end."""


@dataclass(frozen=True, slots=True)
class Look:
    """One state of one page, and somebody to whom it shows all that it has."""

    url: str
    by: str = OWNER
    about: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """How a route is asked for. `url` has a place for the id of what it is `about`, in a state; it shows most to `by`.

    What is posted comes from the form that the page at `form_on` shows, with `fill` in the fields of these names; no page has a
    form for what a script asks by itself. The form may lead to another address, `form_to`. `more` are other looks of the page.
    """

    url: str
    about: str = ""
    state: str = ""
    by: str = OWNER
    form_on: str = ""
    form_to: str = ""
    fill: Mapping[str, str] = field(default_factory=dict)
    more: tuple[Look, ...] = ()
    needs_session: bool = True
    is_download: bool = False

    @property
    def looks(self) -> tuple[Look, ...]:
        """Every look of the page."""
        return (Look(self.url, self.by, self.about, self.state), *self.more)


_ROOT = "/switchboard"
_PROFILE, _VIEWS = f"{_ROOT}/profile", f"{_ROOT}/views"
_REQUESTS = f"{_ROOT}/security/requests"
_REQUEST = f"{_REQUESTS}/{{request}}"
_QUOTES, _LEADS = f"{_ROOT}/revops/quotes", f"{_ROOT}/revops/leads"
_QUOTE = f"{_QUOTES}/{{quote}}"
_LEAD, _SELLER = "user-team-lead", "user-ae"
_NEW_QUOTE = f"{_QUOTES}/new?opportunity={{opportunity}}"
_TERMS = {"line-1-description": "Seats for a year", "line-1-unit_price": "600.00", "line-1-quantity": "3"}
_LEAD_FORM = {"email": "kim.{number}@acme.com", "company": "Acme", "segment": "enterprise", "employees": "1200", "region": "emea"}
_DEMO = {"tenant": "{tenant}", "handle": OWNER}
_PASSWORD = "correct horse battery staple"
_DELEGATIONS, _LENDER = f"{_PROFILE}/delegations", "user-manager"
_LOAN = {"to": "user-team-mate", "from_date": "{later}", "until_date": "{later}"}
"""It begins later: whoever has borrowed a role today sees and does more than the columns say."""


def _request_looks(*parts: str) -> tuple[Look, ...]:
    return tuple(Look(f"{_REQUEST}/{part}", "user-auditor", "request", "active") for part in parts)


_SIGN_IN: Mapping[str, Entry] = {
    f"GET {_ROOT}": Entry(url=_ROOT, more=tuple(Look(_ROOT, by) for by in (_LEAD, _SELLER, "user-without-role"))),
    # Its form is gone once it was sent.
    f"POST {_ROOT}/first-steps/hide": Entry(url=f"{_ROOT}/first-steps/hide"),
    f"GET {_VIEWS}": Entry(url=f"{_VIEWS}?list={_REQUESTS}", about="view"),
    f"POST {_VIEWS}": Entry(url=_VIEWS, form_on=f"{_REQUESTS}?status=active", fill={"name": "Mine {number}"}),
    f"POST {_VIEWS}/{{view_id}}/rename": Entry(
        url=f"{_VIEWS}/{{view}}/rename", about="view", form_on=f"{_VIEWS}?list={_REQUESTS}", fill={"name": "Ours {number}"}
    ),
    f"POST {_VIEWS}/{{view_id}}/delete": Entry(
        url=f"{_VIEWS}/{{view}}/delete", about="view", form_on=f"{_VIEWS}?list={_REQUESTS}"
    ),
    f"GET {_ROOT}/find": Entry(url=f"{_ROOT}/find?q=orders", more=(Look(f"{_ROOT}/find"),)),
    f"GET {_ROOT}/find/list": Entry(url=f"{_ROOT}/find/list?q=orders", is_download=True),
    f"GET {_ROOT}/sign-in": Entry(url=f"{_ROOT}/sign-in", by=NOBODY, needs_session=False),
    f"POST {_ROOT}/sign-in/{{method}}": Entry(
        url=f"{_ROOT}/sign-in/demo", form_on=f"{_ROOT}/sign-in", fill=_DEMO, needs_session=False, by=NOBODY
    ),
    f"POST {_ROOT}/sign-in/{{method}}/begin": Entry(url=f"{_ROOT}/sign-in/passkey/begin", needs_session=False),
    f"GET {_ROOT}/confirm": Entry(url=f"{_ROOT}/confirm"),
    f"POST {_ROOT}/confirm/{{method}}": Entry(url=f"{_ROOT}/confirm/demo", form_on=f"{_ROOT}/confirm"),
    f"POST {_ROOT}/confirm/{{method}}/begin": Entry(url=f"{_ROOT}/confirm/passkey/begin"),
    f"POST {_ROOT}/sign-out": Entry(url=f"{_ROOT}/sign-out", form_on=f"{_PROFILE}/sessions"),
    f"GET {_ROOT}/tenant": Entry(url=f"{_ROOT}/tenant", more=(Look(f"{_ROOT}/tenant", _LEAD),)),
    f"POST {_ROOT}/tenant": Entry(url=f"{_ROOT}/tenant", form_on=f"{_ROOT}/tenant", fill={"tenant": "{other_tenant}"}),
    f"GET {_ROOT}/invitation/{{text}}": Entry(
        url=f"{_ROOT}/invitation/{{invitation}}", about="invitation", by=NOBODY, needs_session=False
    ),
    f"POST {_ROOT}/invitation/{{text}}/passkey/begin": Entry(
        url=f"{_ROOT}/invitation/{{invitation}}/passkey/begin", about="invitation", needs_session=False
    ),
    # No passkey is made without an authenticator: `tests/integration/directory/test_sign_in_pages.py` has one.
    f"POST {_ROOT}/invitation/{{text}}/passkey": Entry(
        url=f"{_ROOT}/invitation/{{invitation}}/passkey",
        about="invitation",
        by=NOBODY,
        form_on=f"{_ROOT}/invitation/{{invitation}}",
        needs_session=False,
    ),
    f"POST {_ROOT}/invitation/{{text}}/password": Entry(
        url=f"{_ROOT}/invitation/{{invitation}}/password",
        about="invitation",
        by=NOBODY,
        form_on=f"{_ROOT}/invitation/{{invitation}}",
        fill={"name": "somebody.{number}@example.com"},
        needs_session=False,
    ),
}
_OWN: Mapping[str, Entry] = {
    f"GET {_PROFILE}/sessions": Entry(url=f"{_PROFILE}/sessions", about="session"),
    f"POST {_PROFILE}/sessions/end-others": Entry(
        url=f"{_PROFILE}/sessions/end-others", about="session", form_on=f"{_PROFILE}/sessions"
    ),
    f"POST {_PROFILE}/sessions/{{session_id}}/end": Entry(
        url=f"{_PROFILE}/sessions/{{session}}/end", about="session", form_on=f"{_PROFILE}/sessions"
    ),
    f"GET {_DELEGATIONS}": Entry(
        url=_DELEGATIONS,
        about="delegation",
        by=_LENDER,
        more=(
            *(Look(_DELEGATIONS, _LENDER, "delegation", state) for state in ("in_force", "over", "withdrawn")),
            *(Look(_DELEGATIONS, by, "delegation") for by in ("user-team-mate", "user-without-role")),
        ),
    ),
    f"POST {_DELEGATIONS}": Entry(url=_DELEGATIONS, about="delegation", by=_LENDER, form_on=_DELEGATIONS, fill=_LOAN),
    f"POST {_DELEGATIONS}/{{delegation_id}}/withdraw": Entry(
        url=f"{_DELEGATIONS}/{{delegation}}/withdraw", about="delegation", by=_LENDER, form_on=_DELEGATIONS
    ),
    f"GET {_PROFILE}/tokens": Entry(
        url=f"{_PROFILE}/tokens", about="token", more=(Look(f"{_PROFILE}/tokens", "user-without-role"),)
    ),
    f"POST {_PROFILE}/tokens": Entry(url=f"{_PROFILE}/tokens", form_on=f"{_PROFILE}/tokens"),
    f"POST {_PROFILE}/tokens/{{token_id}}/revoke": Entry(
        url=f"{_PROFILE}/tokens/{{token}}/revoke", about="token", form_on=f"{_PROFILE}/tokens"
    ),
    f"GET {_PROFILE}/passkeys": Entry(
        url=f"{_PROFILE}/passkeys", about="passkey", more=(Look(f"{_PROFILE}/passkeys", "user-without-role"),)
    ),
    f"POST {_PROFILE}/passkeys": Entry(url=f"{_PROFILE}/passkeys", form_on=f"{_PROFILE}/passkeys"),
    f"POST {_PROFILE}/passkeys/begin": Entry(url=f"{_PROFILE}/passkeys/begin"),
    f"POST {_PROFILE}/passkeys/{{passkey_id}}/remove": Entry(
        url=f"{_PROFILE}/passkeys/{{passkey}}/remove", about="passkey", form_on=f"{_PROFILE}/passkeys"
    ),
    f"POST {_PROFILE}/name": Entry(
        url=f"{_PROFILE}/name", form_on=f"{_PROFILE}/passkeys", fill={"name": "kim.{number}@example.com"}
    ),
    f"POST {_PROFILE}/password": Entry(url=f"{_PROFILE}/password", form_on=f"{_PROFILE}/passkeys", fill={"password": _PASSWORD}),
    f"POST {_PROFILE}/password/remove": Entry(
        url=f"{_PROFILE}/password/remove", about="password", form_on=f"{_PROFILE}/passkeys"
    ),
}
_COMMANDS = {
    "approve": (_LEAD, "pending_approval"),
    "reject": (_LEAD, "pending_approval"),
    "cancel": (OWNER, "pending_approval"),
    "execute": (OWNER, "approved"),
    "credentials": (OWNER, "active"),
    "revert": (OWNER, "active"),
}
_SECURITY: Mapping[str, Entry] = {
    f"GET {_REQUESTS}": Entry(
        url=_REQUESTS,
        by="user-auditor",
        more=(
            Look(f"{_REQUESTS}?status=active&q=user-engineer", "user-auditor"),
            Look(f"{_REQUESTS}?status=executing", "user-auditor"),
            Look(_REQUESTS, "user-without-role"),
        ),
    ),
    f"GET {_ROOT}/security/inbox": Entry(
        url=f"{_ROOT}/security/inbox", by=_LEAD, more=(Look(f"{_ROOT}/security/inbox", "user-without-role"),)
    ),
    f"GET {_REQUESTS}/export/{{kind}}": Entry(url=f"{_REQUESTS}/export/csv", is_download=True),
    f"GET {_REQUESTS}/new": Entry(url=f"{_REQUESTS}/new", more=(Look(f"{_REQUESTS}/new?like={{request}}", OWNER, "request"),)),
    f"POST {_REQUESTS}/new": Entry(url=f"{_REQUESTS}/new", form_on=f"{_REQUESTS}/new", fill={"scope": "acme"}),
    f"POST {_REQUESTS}/new/preview": Entry(
        url=f"{_REQUESTS}/new/preview", form_on=f"{_REQUESTS}/new", form_to=f"{_REQUESTS}/new", fill={"scope": "acme"}
    ),
    f"GET {_REQUESTS}/{{request_id}}": Entry(
        url=_REQUEST,
        about="request",
        by=_LEAD,
        more=(
            *(
                Look(_REQUEST, OWNER, "request", state)
                for state in ("pending_approval", "approved", "active", "denied", "rejected", "failed", "expired", "reverted")
            ),
            Look(_REQUEST, "user-auditor", "request", "revert_failed"),
            Look(f"{_REQUEST}?beside=inbox", _LEAD, "request", "pending_approval"),
        ),
    ),
    f"GET {_REQUESTS}/{{request_id}}/{{part}}": Entry(
        url=f"{_REQUEST}/change",
        about="request",
        by=_LEAD,
        more=(
            *_request_looks("overview", "approvals", "access", "evidence", "related"),
            *(Look(f"{_REQUEST}?ask={command}", by, "request", state) for command, (by, state) in _COMMANDS.items()),
        ),
    ),
    **{
        f"POST {_REQUESTS}/{{request_id}}/{command}": Entry(
            url=f"{_REQUEST}/{command}",
            about="request",
            state=state,
            by=by,
            form_on=_REQUEST,
            fill={"text": "Checked by hand", "typed_id": "{request}"},
        )
        for command, (by, state) in _COMMANDS.items()
    },
    f"GET {_ROOT}/evidence/high-risk-ops/{{request_id}}": Entry(
        url=f"{_ROOT}/evidence/high-risk-ops/{{request}}", about="request", is_download=True
    ),
}
_QUOTE_STATES = ("pending_approval", "approved", "rejected", "recalled", "expired", "activated")
_QUOTE_COMMANDS = {
    "submit": (_SELLER, "draft"),
    "approve": ("user-manager", "pending_approval"),
    "reject": ("user-manager", "pending_approval"),
    "recall": (_SELLER, "pending_approval"),
    "activate": (_SELLER, "approved"),
    "clone": (_SELLER, "activated"),
}
_REVOPS: Mapping[str, Entry] = {
    f"GET {_ROOT}/evidence/revops/deals/{{deal_id}}": Entry(
        url=f"{_ROOT}/evidence/revops/deals/{{quote}}", about="quote", by="user-ae", is_download=True
    ),
    f"GET {_QUOTES}": Entry(
        url=_QUOTES,
        by="user-auditor",
        more=(Look(f"{_QUOTES}?status=expired", "user-ae"), Look(_QUOTES, "user-without-role")),
    ),
    f"GET {_QUOTES}/{{quote_id}}": Entry(
        url=_QUOTE,
        about="quote",
        by=_SELLER,
        more=(
            *(Look(_QUOTE, _SELLER, "quote", state) for state in _QUOTE_STATES),
            *(Look(f"{_QUOTE}?ask={command}", by, "quote", state) for command, (by, state) in _QUOTE_COMMANDS.items()),
            Look(f"{_QUOTE}?beside=inbox", "user-manager", "quote", "pending_approval"),
        ),
    ),
    f"GET {_QUOTES}/{{quote_id}}/{{part}}": Entry(
        url=f"{_QUOTE}/approvals",
        about="quote",
        state="approved",
        by=_SELLER,
        more=tuple(
            Look(f"{_QUOTE}/{part}", _SELLER, "quote", "activated") for part in ("versions", "contract", "evidence", "related")
        ),
    ),
    **{
        f"POST {_QUOTES}/{{quote_id}}/{command}": Entry(
            url=f"{_QUOTE}/{command}", about="quote", state=state, by=by, form_on=_QUOTE
        )
        for command, (by, state) in _QUOTE_COMMANDS.items()
    },
}
_WRITING: Mapping[str, Entry] = {
    f"GET {_ROOT}/revops/inbox": Entry(
        url=f"{_ROOT}/revops/inbox", by="user-manager", more=(Look(f"{_ROOT}/revops/inbox", "user-without-role"),)
    ),
    **{
        f"GET {_ROOT}/revops/{name}": Entry(
            url=f"{_ROOT}/revops/{name}",
            by="user-auditor",
            more=(Look(f"{_ROOT}/revops/{name}", "user-without-role"), Look(f"{_ROOT}/revops/{name}?q=acme", _SELLER)),
        )
        for name in ("leads", "opportunities")
    },
    **{
        f"GET {_ROOT}/revops/{name}/export/{{kind}}": Entry(url=f"{_ROOT}/revops/{name}/export/json", is_download=True)
        for name in ("leads", "opportunities", "quotes")
    },
    f"GET {_LEADS}/new": Entry(url=f"{_LEADS}/new", by=_SELLER),
    f"POST {_LEADS}/new": Entry(url=f"{_LEADS}/new", by=_SELLER, form_on=f"{_LEADS}/new", fill=_LEAD_FORM),
    f"GET {_LEADS}/{{lead_id}}": Entry(url=f"{_LEADS}/{{lead}}", about="lead", by=_SELLER),
    f"GET {_ROOT}/revops/opportunities/{{opportunity_id}}": Entry(
        url=f"{_ROOT}/revops/opportunities/{{opportunity}}", about="opportunity", by=_SELLER
    ),
    f"GET {_QUOTES}/new": Entry(url=_NEW_QUOTE, about="opportunity", by=_SELLER),
    f"POST {_QUOTES}/new": Entry(url=_NEW_QUOTE, about="opportunity", by=_SELLER, form_on=_NEW_QUOTE, fill=_TERMS),
    f"POST {_QUOTES}/new/preview": Entry(
        url=f"{_QUOTES}/new/preview?opportunity={{opportunity}}",
        about="opportunity",
        by=_SELLER,
        form_on=_NEW_QUOTE,
        form_to=_NEW_QUOTE,
        fill=_TERMS,
    ),
    f"GET {_QUOTES}/{{quote_id}}/edit": Entry(url=f"{_QUOTE}/edit", about="quote", by=_SELLER),
    f"POST {_QUOTES}/{{quote_id}}/edit": Entry(
        url=f"{_QUOTE}/edit", about="quote", by=_SELLER, form_on=f"{_QUOTE}/edit", fill=_TERMS
    ),
    f"POST {_QUOTES}/{{quote_id}}/edit/preview": Entry(
        url=f"{_QUOTE}/edit/preview",
        about="quote",
        by=_SELLER,
        form_on=f"{_QUOTE}/edit",
        form_to=f"{_QUOTE}/edit",
        fill=_TERMS,
    ),
}
CATALOGUE: Mapping[str, Entry] = {**_SIGN_IN, **_OWN, **_SECURITY, **_REVOPS, **_WRITING}


def _read(table: str) -> dict[str, dict[str, int]]:
    header, *_ = (line for line in table.splitlines() if line)
    columns = [COLUMNS[column] for column in header.split()]
    words, rows = table.split()[len(columns) :], {}
    while words:
        method, path, *_ = words
        statuses = map(int, words[2 : 2 + len(columns)])
        rows[f"{method} {path}"], words = dict(zip(columns, statuses, strict=True)), words[2 + len(columns) :]
    return rows


EXPECTED: Mapping[str, Mapping[str, int]] = _read(STATUSES)
GETS = [route for route in CATALOGUE if route.startswith("GET")]
POSTS = [route for route in CATALOGUE if route.startswith("POST")]
FORMS = [route for route in POSTS if CATALOGUE[route].form_on and not CATALOGUE[route].form_to]
LOOKS = [look for route in GETS if not CATALOGUE[route].is_download for look in CATALOGUE[route].looks]
