"""The route of the price book."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel

from trustpack.capabilities.revops.api.answering import PREFIX, TAG, AtReadingDesk
from trustpack.capabilities.revops.service.price_book import read_price_book
from trustpack.kernel.json_types import JsonObject
from trustpack.platform.unit_of_work import Transaction
from trustpack.platform.web.problems import PROBLEM_RESPONSES
from trustpack.platform.web.routing import StrictRoute

router = APIRouter(prefix=PREFIX, tags=[TAG], route_class=StrictRoute, responses=PROBLEM_RESPONSES)


class ListPriceAnswer(BaseModel):
    """The list price of one unit of a SKU, from a day on."""

    sku: str
    currency: str
    list_price: str
    valid_from: str
    description: str
    recurring: bool


class PriceBookAnswer(BaseModel):
    """The prices in force today, and those that will be later, by SKU, currency and day."""

    items: list[ListPriceAnswer]


@router.get("/price-book", response_model=PriceBookAnswer, summary="Read the list prices")
async def show_price_book(desk: AtReadingDesk) -> Response:
    """Return the tenant's list prices, which everybody of the tenant may read."""

    async def work(tx: Transaction) -> JsonObject:
        return {"items": await read_price_book(tx)}

    return await desk.read(work)
