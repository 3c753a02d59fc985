"""The HTTP routes of high-risk operations and their wire shapes (api.md)."""

from fastapi import APIRouter

from trustpack.capabilities.operations.api.commands import router as _commands
from trustpack.capabilities.operations.api.queries import router as _queries

router = APIRouter()
router.include_router(_queries)
router.include_router(_commands)

__all__ = ["router"]
