"""The HTTP routes of RevOps and their wire shapes (api.md)."""

from fastapi import APIRouter

from trustpack.capabilities.revops.api.delegations import router as _delegations
from trustpack.capabilities.revops.api.leads import router as _leads
from trustpack.capabilities.revops.api.price_book import router as _price_book
from trustpack.capabilities.revops.api.quote_commands import router as _commands
from trustpack.capabilities.revops.api.quote_queries import router as _queries

router = APIRouter()
router.include_router(_leads)
router.include_router(_price_book)
router.include_router(_queries)
router.include_router(_commands)
router.include_router(_delegations)

__all__ = ["router"]
