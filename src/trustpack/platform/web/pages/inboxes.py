"""An inbox, like a list, is its URL: the page of it that is shown, on its own or beside one of the objects that wait in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from trustpack.platform.web.pagination import decode_cursor, encode_cursor

_BESIDE, _INBOX, _CURSOR = "beside", "inbox", "cursor"
_TO_STAND_BESIDE: Final = {_BESIDE: _INBOX}
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class InboxState:
    """The page of an inbox that was asked for; the first has no cursor."""

    path: str
    cursor: str

    @property
    def query(self) -> str:
        """What keeps the inbox beside an object that opens from it: to stand after the paths of the object."""
        return f"?{urlencode({**_TO_STAND_BESIDE, **self._place(self.cursor)})}"

    @property
    def here(self) -> str:
        """The address of the page of the inbox, without an object."""
        return self._address(self.cursor)

    @property
    def after_id(self) -> str | None:
        """The object after which the page begins. Raises `InvalidInput`."""
        return decode_cursor(self.cursor or None)

    def pane_of(self, rows: Sequence[R], *, goes_on_after: str | None, why_never: str = "") -> InboxPane[R]:
        """Return the page with what waits on it, the way to look further, and why nothing ever waits for this viewer."""
        next_path = self._address(encode_cursor(goes_on_after)) if goes_on_after else ""
        return InboxPane(self, tuple(rows), next_path, why_never)

    def _address(self, cursor: str) -> str:
        return f"{self.path}?{urlencode(self._place(cursor))}" if cursor else self.path

    @staticmethod
    def _place(cursor: str) -> dict[str, str]:
        return {_CURSOR: cursor} if cursor else {}


@dataclass(frozen=True, slots=True)
class InboxPane(Generic[R]):
    """A page of what waits for the viewer; an empty path leads nowhere. `why_never` is empty where something may come to wait."""

    state: InboxState
    rows: tuple[R, ...]
    next_path: str
    why_never: str

    @property
    def is_first(self) -> bool:
        return not self.state.cursor

    @property
    def query(self) -> str:
        return self.state.query

    @property
    def back_path(self) -> str:
        return self.state.here


def read_inbox(path: str, query: QueryParams) -> InboxState:
    """Read which page of an inbox is asked for."""
    return InboxState(path, query.get(_CURSOR, ""))


def stands_beside(query: QueryParams) -> bool:
    """Say whether an object was opened from the inbox of its flow, which then stays beside it."""
    return query.get(_BESIDE) == _INBOX
