"""The pages of high-risk operations: the list, one request with its parts, and what may be decided about it."""

from __future__ import annotations

from fastapi import APIRouter

from trustpack.capabilities.operations.pages.asking import router as _asking
from trustpack.capabilities.operations.pages.deciding import router as _deciding
from trustpack.capabilities.operations.pages.home import home
from trustpack.capabilities.operations.pages.inbox import PLACE as _INBOX
from trustpack.capabilities.operations.pages.inbox import counts
from trustpack.capabilities.operations.pages.inbox import router as _inbox
from trustpack.capabilities.operations.pages.one_request import router as _one_request
from trustpack.capabilities.operations.pages.requests import router as _requests
from trustpack.capabilities.operations.pages.views import REQUESTS
from trustpack.kernel.actor import Role
from trustpack.platform.web.pages import Place, Workspace

_USEFUL_TO = frozenset({Role.ENGINEER, Role.TEAM_LEAD, Role.SECURITY_OFFICER, Role.AUDITOR, Role.ADMIN})
WORKSPACE = Workspace(
    "Security",
    (_INBOX, Place("security-requests", "High-risk requests", "shield-check", REQUESTS, "Requests")),
    signal="security-pages-changed",
    useful_to=_USEFUL_TO,
)

router = APIRouter()
router.include_router(_inbox)
router.include_router(_requests)
router.include_router(_asking)
router.include_router(_one_request)
router.include_router(_deciding)

__all__ = ["WORKSPACE", "counts", "home", "router"]
