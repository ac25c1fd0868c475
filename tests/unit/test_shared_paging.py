"""Lists: what a page request means, and the envelope of the answer."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from enum import IntEnum
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Request

from shared.database.windows import After, Page
from shared.errors import InvalidInput
from shared.ids import new_id
from shared.web.origin import PUBLIC_URL_HEADER
from shared.web.paging import Listing, filter_id, filter_number, listing, page_query, read_after, written
from tests.support import actors

FIELDS = ("id", "name")


class Status(IntEnum):
    OPEN = 1
    CLOSED = 2


def answered(*, page: int = 1, limit: int = 20, total: int = 0, query: dict[str, Any] | None = None, **headers: str):
    """The listing of a page out of so many items."""
    request: Request[Any, Any, Any] = Request(
        {
            "type": "http",
            "scheme": "http",
            "server": ("api.example", 80),
            "path": "/api/things",
            "query_string": urlencode(query or {}).encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "state": {"actor": actors.admin()},
        }  # pyright: ignore[reportArgumentType]
    )
    asked = page_query(FIELDS, page=page, limit=limit, sort="id:asc", after=None)
    items = list(range(total))[asked.offset : asked.offset + limit]
    end = After(str(items[-1]), new_id()) if items and items[-1] < total - 1 else None
    return listing(request, asked, Page(items, total, end), lambda item: item)


def query_of(link: str | None) -> dict[str, str]:
    assert link is not None
    return dict(parse_qsl(urlsplit(link).query))


def test_links_are_absolute_and_keep_the_callers_filters_and_sort():
    told = {"status": "1", "sort": "name:desc", "client_email": "a+b@c.example", "page": "2", "limit": "10"}
    links = answered(page=2, limit=10, total=25, query=told | {"after": "there"}).links
    for link, page in ((links.first, "1"), (links.prev, "1"), (links.next, "3"), (links.last, "3")):
        query = query_of(link)
        assert (query.pop("after", "there") != "there") == (link == links.next)
        assert query == told | {"page": page}
        assert (urlsplit(link).netloc, urlsplit(link).path) == ("api.example", "/api/things")


def test_links_begin_where_the_outside_world_finds_the_api():
    answer = answered(serx_public_url="https://api.agency.example/")
    assert PUBLIC_URL_HEADER == "serx-public-url"
    assert answer.links.first == "https://api.agency.example/api/things?page=1&limit=20"
    assert answer.meta.path == "https://api.agency.example/api/things"


@pytest.mark.parametrize(
    ("page", "total", "prev", "next_page", "last"),
    [
        (1, 0, None, None, "1"),
        (1, 10, None, None, "1"),
        (1, 11, None, "2", "2"),
        (2, 11, "1", None, "2"),
        (9, 11, "2", None, "2"),
    ],
)
def test_there_is_no_link_to_a_page_that_is_not_there(
    page: int, total: int, prev: str | None, next_page: str | None, last: str
):
    links = answered(page=page, limit=10, total=total).links
    assert (links.prev and query_of(links.prev)["page"], links.next and query_of(links.next)["page"]) == (
        prev,
        next_page,
    )
    assert query_of(links.last)["page"] == last


@pytest.mark.parametrize(("page", "total"), [(1, 0), (3, 20), (10**9, 5)])
def test_from_and_to_are_0_when_the_page_is_empty_and_there_is_always_a_last_page(page: int, total: int):
    meta = answered(page=page, limit=10, total=total).meta
    assert (meta.from_, meta.to, meta.current_page) == (0, 0, page)
    assert meta.last_page == max(1, total // 10)


def test_from_and_to_count_from_one():
    meta = answered(page=3, limit=10, total=25).meta
    assert (meta.from_, meta.to, meta.last_page, meta.per_page, meta.total) == (21, 25, 3, 10, 25)


@given(total=st.integers(0, 40), limit=st.integers(1, 100))
def test_following_next_sees_every_item_once(total: int, limit: int):
    seen: list[int] = []
    page = 1
    while True:
        answer = answered(page=page, limit=limit, total=total)
        seen += answer.data
        if answer.links.next is None:
            break
        page = int(query_of(answer.links.next)["page"])
    assert seen == list(range(total))
    assert page == answer.meta.last_page


@given(value=st.none() | st.text(), id=st.uuids(), field=st.sampled_from(FIELDS), way=st.sampled_from(("asc", "desc")))
def test_the_place_where_a_page_ended_is_read_as_it_was_written(value: str | None, id: UUID, field: str, way: str):
    text = written((field, way), After(value, id))
    assert text == quote(text)
    assert read_after(text, (field, way), 2) == After(value, id)
    asked = page_query(FIELDS, page=2, limit=7, sort=f"{field}:{way}", after=text)
    assert (asked.window.after, asked.window.limit, asked.window.order) == (After(value, id), 7, (field, way))


ORDER = ("id", "asc")
THERE = After("x", UUID(int=7))
PLACE = written(ORDER, THERE)


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("", 2),
        ("x", 2),
        ("é", 2),
        ("null", 2),
        (PLACE[:-3], 2),
        (PLACE[4:], 2),
        (written(("id", "desc"), THERE), 2),
        (written(("name", "asc"), THERE), 2),
        (urlsafe_b64encode(b'[["id","asc"],5,"x"]').decode(), 2),
        (PLACE, 1),
    ],
)
def test_a_place_that_no_page_of_this_order_ended_at_is_refused_by_name(text: str, page: int):
    with pytest.raises(InvalidInput) as refused:
        read_after(text, ORDER, page)
    assert list(refused.value.errors) == ["after"]


@given(st.text())
def test_no_text_breaks_the_reading_of_a_place(text: str):
    with pytest.raises(InvalidInput):
        read_after(text, ORDER, 2)


def test_the_envelope_has_the_names_of_the_contract():
    answer = msgspec.json.decode(msgspec.json.encode(answered()))
    assert list(answer) == list(Listing.__struct_fields__) == ["data", "links", "meta"]
    assert list(answer["links"]) == ["first", "last", "prev", "next"]
    assert list(answer["meta"]) == ["current_page", "from", "to", "last_page", "per_page", "total", "path"]


@pytest.mark.parametrize("sort", ["id:asc", "name:desc"])
def test_a_sort_is_a_field_and_a_direction(sort: str):
    assert page_query(FIELDS, page=1, limit=1, sort=sort, after=None).sort == tuple(sort.split(":"))


@pytest.mark.parametrize(
    "sort", ["", ":", "id", "id:", ":asc", "id:up", "ID:asc", "secret:asc", "id:asc:asc", "id:asc "]
)
def test_another_sort_is_refused_by_name(sort: str):
    with pytest.raises(InvalidInput) as refused:
        page_query(FIELDS, page=1, limit=1, sort=sort, after=None)
    assert list(refused.value.errors) == ["sort"]


def test_a_filter_takes_the_number_of_a_status():
    assert filter_number("status", Status, 2) is Status.CLOSED
    assert filter_number("status", Status, None) is None
    with pytest.raises(InvalidInput) as refused:
        filter_number("status", Status, 3)
    assert refused.value.errors == {"status": ["Expected one of 1, 2."]}


def test_a_filter_takes_an_id():
    id = new_id()
    assert filter_id("client_id", str(id)) == id
    assert filter_id("client_id", None) is None
    for text in ("", "x", id.hex, f"{{{id}}}", f"urn:uuid:{id}"):
        with pytest.raises(InvalidInput) as refused:
            filter_id("client_id", text)
        assert list(refused.value.errors) == ["client_id"]
