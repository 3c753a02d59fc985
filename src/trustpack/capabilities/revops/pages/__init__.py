"""The pages of RevOps: quotes, leads and opportunities, what may be decided about them, and one's own delegations."""

from __future__ import annotations

from fastapi import APIRouter

from trustpack.capabilities.revops.pages.delegations import PLACE as _DELEGATIONS
from trustpack.capabilities.revops.pages.delegations import router as _delegations
from trustpack.capabilities.revops.pages.home import home
from trustpack.capabilities.revops.pages.inbox import PLACE as _INBOX
from trustpack.capabilities.revops.pages.inbox import counts
from trustpack.capabilities.revops.pages.inbox import router as _inbox
from trustpack.capabilities.revops.pages.leads import router as _one_lead
from trustpack.capabilities.revops.pages.lists import router as _lists
from trustpack.capabilities.revops.pages.lists_of_leads import router as _leads
from trustpack.capabilities.revops.pages.lists_of_opportunities import router as _opportunities
from trustpack.capabilities.revops.pages.one_quote import router as _one_quote
from trustpack.capabilities.revops.pages.opportunities import router as _one_opportunity
from trustpack.capabilities.revops.pages.quote_deciding import router as _quote_deciding
from trustpack.capabilities.revops.pages.views import LEADS, OPPORTUNITIES, QUOTES
from trustpack.capabilities.revops.pages.writing import router as _writing
from trustpack.kernel.actor import Role
from trustpack.platform.web.pages import Place, Workspace

_USEFUL_TO = frozenset({Role.AE, Role.MANAGER, Role.FINANCE, Role.AUDITOR, Role.ADMIN})
WORKSPACE = Workspace(
    "RevOps",
    (
        _INBOX,
        Place("revops-quotes", "Quotes", "percent", QUOTES, "Quotes"),
        Place("revops-leads", "Leads", "user-plus", LEADS, "Leads"),
        Place("revops-opportunities", "Opportunities", "briefcase", OPPORTUNITIES, "Deals"),
    ),
    signal="pages-changed",
    useful_to=_USEFUL_TO,
)
ACCOUNT_PLACES = (_DELEGATIONS,)

router = APIRouter()
router.include_router(_inbox)
router.include_router(_lists)
router.include_router(_leads)
router.include_router(_opportunities)
router.include_router(_writing)
router.include_router(_quote_deciding)
router.include_router(_one_quote)
router.include_router(_one_lead)
router.include_router(_one_opportunity)
router.include_router(_delegations)

__all__ = ["ACCOUNT_PLACES", "WORKSPACE", "counts", "home", "router"]
