"""Lists: what a page request means, and the envelope of the answer."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Annotated, Any, Generic, TypeVar
from unicodedata import normalize
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Request
from litestar.params import QueryParameter

from shared.database.windows import MOST_ROWS, After, Order, Page, Window, not_of_this_list
from shared.errors import InvalidInput
from shared.ids import parse_id
from shared.labels import spelled_out
from shared.web.actor import Actor
from shared.web.origin import public_url
from shared.web.patterns import BLANKS
from shared.web.readers import shown_to

T = TypeVar("T")
E = TypeVar("E", bound=IntEnum)
MAX_PAGE = 10**9
LONG = 20
MAX_ID_LENGTH = 36

PageNumber = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE, description="Which page, from 1.")]
PageLimit = Annotated[int, QueryParameter(ge=1, le=MOST_ROWS, description="How many items a page holds.")]
PageAfter = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=4000,
        description="Where the page before ended, as `links.next` says it. The page begins there, whatever has come or "
        "gone before it; without it, it begins after as many rows as the pages before it hold. It is good for the list "
        "and the order that it comes from.",
    ),
]
IdFilter = Annotated[str | None, QueryParameter(max_length=MAX_ID_LENGTH, schema_extra={"format": "uuid"})]


def sorts(fields: Sequence[str]) -> QueryParameter:
    """For the `sort` of a list that can be sorted by `fields`."""
    orders = [f"{field}:{direction}" for field in fields for direction in ("asc", "desc")]
    return QueryParameter(
        description="`field:asc` or `field:desc`; nulls come last either way.", schema_extra={"enum": orders}
    )


def numbers_of(members: type[IntEnum], more: str = "") -> QueryParameter:
    """For a filter by the number of a status or phase; `more` is what else there is to say of it."""
    numbers = {"enum": [member.value for member in members]}
    return QueryParameter(description=f"{spelled_out(members)}.{more}", schema_extra=numbers)


_Place = tuple[Order, str | None, UUID]


class PageQuery(msgspec.Struct, frozen=True):
    """One page of a list, of `limit` items, in the order named `sort`; `after` is where the page before it ended."""

    page: int
    limit: int
    sort: Order
    after: After | None = None

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit

    @property
    def is_long(self) -> bool:
        """Whether it may take some MiB: its items have texts of 64 KiB."""
        return self.limit > LONG

    @property
    def window(self) -> Window:
        return Window(self.sort, self.limit, self.offset, self.after)


class Links(msgspec.Struct, frozen=True):
    first: str
    last: str
    prev: str | None
    next: str | None


class Meta(msgspec.Struct, frozen=True):
    current_page: int
    from_: int = msgspec.field(name="from")
    to: int
    last_page: int
    per_page: int
    total: int
    path: str


class Listing(msgspec.Struct, Generic[T], frozen=True):
    """The answer of every list."""

    data: Annotated[list[T], msgspec.Meta(max_length=MOST_ROWS)]
    links: Links
    meta: Meta


def page_query(fields: Sequence[str], *, page: int, limit: int, sort: str, after: str | None) -> PageQuery:
    """Read `sort` against the fields that this list can be sorted by, and `after` against the order.

    Raises InvalidInput naming `sort` or `after`.
    """
    field, _, direction = sort.partition(":")
    if field not in fields or direction not in ("asc", "desc"):
        raise InvalidInput({"sort": [f"Expected one of {', '.join(fields)}, followed by :asc or :desc."]})
    order = (field, direction)
    return PageQuery(page, limit, order, None if after is None else read_after(after, order, page))


def written(order: Order, end: After) -> str:
    """The `after` of the page that follows one that ended there."""
    return urlsafe_b64encode(msgspec.json.encode((order, end.value, end.id))).decode().rstrip("=")


def read_after(text: str, order: Order, page: int) -> After:
    """The place that `written` wrote down. Raises InvalidInput naming `after`: of another order, or of no list."""
    try:
        said, value, id = msgspec.json.decode(_unpadded(text), type=_Place)
    except (ValueError, msgspec.MsgspecError) as error:
        raise not_of_this_list() from error
    if said != order:
        raise not_of_this_list()
    if page == 1:
        raise InvalidInput({"after": ["It goes with the page number of the link that it is from."]})
    return After(value, id)


def _unpadded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def filter_number(name: str, numbers: type[E], value: int | None) -> E | None:
    """The status or phase that a filter's number stands for.

    Raises InvalidInput naming the filter when no member has that number.
    """
    try:
        return None if value is None else numbers(value)
    except ValueError as error:
        allowed = ", ".join(str(member.value) for member in numbers)
        raise InvalidInput({name: [f"Expected one of {allowed}."]}) from error


def listing(request: Request[Any, Any, Any], query: PageQuery, page: Page[Any], view: Callable[[Any], T]) -> Listing[T]:
    """The envelope of `page`, each item through `view` and as the caller may see it.

    Links are absolute and keep the caller's filters and sort.
    """
    actor: Actor = request.state["actor"]
    last = max(1, -(-page.total // query.limit))
    path = public_url(request) + request.scope["path"]
    kept = {name: value for name, value in request.query_params.items() if name != "after"}

    def link(number: int, **more: str) -> str:
        return f"{path}?{urlencode({**kept, 'page': number, 'limit': query.limit, **more})}"

    count = len(page.items)
    return Listing(
        data=[shown_to(actor, view(item)) for item in page.items],
        links=Links(
            first=link(1),
            last=link(last),
            prev=link(min(query.page - 1, last)) if query.page > 1 else None,
            next=link(query.page + 1, after=written(query.sort, page.end)) if page.end else None,
        ),
        meta=Meta(
            current_page=query.page,
            from_=query.offset + 1 if count else 0,
            to=query.offset + count if count else 0,
            last_page=last,
            per_page=query.limit,
            total=page.total,
            path=path,
        ),
    )


def filter_text(value: str | None) -> str | None:
    """The text that a filter looks for: in NFC, without blanks around it."""
    return None if value is None else normalize("NFC", value).strip(BLANKS)


def filter_id(name: str, value: str | None) -> UUID | None:
    """The id that a filter names.

    Raises InvalidInput naming the filter when it is no UUID.
    """
    if value is None:
        return None
    found = parse_id(value)
    if found is None:
        raise InvalidInput({name: ["Expected a UUID."]})
    return found
