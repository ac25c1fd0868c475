"""The contract's conventions: ids, times, money, the order of refusals, keys, versions, public pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.ids import new_id
from tests.support.builders import proposal_body
from tests.support.contract import Stage, sent

UUID_LOWER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME_IN_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
MONEY = re.compile(r"\d{1,10}\.\d\d")
TOO_LONG = {"note": "x" * (1024 * 1024)}
RESOURCES = {  # what can be PUT: the resource, a change that is good and one that is not
    "/api/clients/{client_id}": ({"phone": "1"}, {"phone": 1}),
    "/api/users/{user_id}": ({"name_f": "Mia"}, {"name_f": 1}),
    "/api/services/{service_id}": ({"sort_order": 7}, {"sort_order": "7"}),
    "/api/proposals/{draft}": ({"notes": "x"}, {"notes": 1}),
    "/api/engagements/{engagement_id}": ({"name": "New"}, {"name": 1}),
    "/api/projects/{project_id}": ({"name": "New"}, {"name": 1}),
    "{talk}": ({"subject": "New"}, {"subject": 1}),
    "/api/conversations/{conversation_id}": ({"subject": "Newer"}, {"subject": 1}),
    "/api/orders/{order_id}": ({"note": "x"}, {"note": 1}),
}

NOBODY = "0197ffff-ffff-7fff-bfff-ffffffffffff"
REFUSED: list[tuple[str, Any, int, dict[str, str]]] = [
    ("POST /api/services", {"name": ""}, 400, {}),
    ("POST /api/services?surprise=1", {"name": "x"}, 400, {}),
    ("POST /api/services", None, 400, {}),
    ("POST /api/proposals/{proposal_id}/sign", {"signature": "x"}, 400, {}),
    ("POST /api/tokens", {"name": "x", "role": "client"}, 400, {}),
    ("POST /api/services", {"name": "x"}, 415, {"content_type": "text/plain"}),
    (f"POST /api/projects/{NOBODY}/advance", None, 404, {}),
    (f"POST /api/projects/{NOBODY}/conversations", {}, 404, {}),
    ("POST /api/engagements", {"client_id": NOBODY}, 422, {}),
    ("POST /api/conversations", {"project_id": NOBODY}, 422, {}),
    ("POST /api/proposals/{proposal_id}/send", None, 409, {}),
    ("POST /api/proposals/{proposal_id}/sign", {}, 409, {}),
]
"""Refusals of every kind."""


async def draft(stage: Stage) -> None:
    stage.ids["draft"] = (await stage.made("POST /api/proposals", proposal_body()))["id"]


def leaves(answer: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    match answer:
        case dict():
            for key, value in answer.items():
                yield from leaves(value, key)
        case list():
            for value in answer:
                yield from leaves(value, name)
        case _:
            yield name, answer


async def test_ids_times_and_money_are_spelled_as_the_contract_has_them(stage: Stage):
    paths = ["proposals", "engagements", "projects", "orders", "conversations", "services", "clients", "users"]
    seen = dict.fromkeys(("id", "time", "money"), 0)
    for path in paths:
        for name, value in leaves((await stage.got("admin", f"GET /api/{path}?limit=100"))["data"]):
            if value is None:
                continue
            if (name == "id" or name.endswith("_id")) and isinstance(value, str) and name != "tax_id":
                assert UUID_LOWER.fullmatch(value), (path, name, value)
                seen["id"] += 1
            if name.endswith("_at") or name.startswith(("date_", "valid_")):
                assert TIME_IN_UTC.fullmatch(value), (path, name, value)
                seen["time"] += 1
            if name in ("price", "total", "balance"):
                assert MONEY.fullmatch(value), (path, name, value)
                seen["money"] += 1
    assert min(seen.values()) > 5


async def test_a_time_in_another_zone_is_told_in_utc(stage: Stage):
    body = proposal_body(valid_until="2099-02-08T14:00:00.5+02:00")
    told = datetime.fromisoformat((await stage.made("POST /api/proposals", body))["valid_until"])
    assert told == datetime(2099, 2, 8, 12, 0, 0, 500_000, UTC)


@pytest.mark.parametrize(
    ("spelled", "told"),
    [("8500", "8500.00"), ("8500.5", "8500.50"), (0, "0.00"), (0.1, "0.10"), (1234567890.12, "1234567890.12")],
)
async def test_money_may_be_a_number_or_a_string(stage: Stage, spelled: Any, told: str):
    for call in ("POST /api/services", "PUT /api/services/{service_id}"):
        made = await stage.got("admin", call, {"name": "x", "price": spelled}, 201 if "POST" in call else 200)
        assert made["price"] == told


async def test_absent_foreign_and_malformed_ids_are_told_the_same(stage: Stage):
    for path in RESOURCES:
        start = path.replace("{talk}", "/api/projects/{project_id}/conversations/x").rpartition("/")[0]
        told = []
        for id in (str(new_id()), "7", "nonsense", str(new_id()).upper()):
            problem = await stage.got("admin", f"GET {start}/{id}", status=404)
            told.append({key: value for key, value in problem.items() if key != "instance"})
        assert all(each == told[0] for each in told), path


async def test_refusals_come_in_the_contracts_order(stage: Stage):
    await draft(stage)
    order, unknown = "/api/orders/{order_id}", f"/api/orders/{new_id()}"
    bad, stale = {"price": "x"}, '"0.0"'
    stage.tokens["nobody"] = "serx_nobody"

    async def status(who: str, call: str, body: Any = None, **headers: str) -> int:
        return (await stage.call(who, call, body, **headers)).status_code

    assert await status("nobody", f"PUT {order}", TOO_LONG) == 401
    assert await status("client", f"PUT {order}", TOO_LONG) == 413
    assert await status("client", f"PUT {unknown}", bad) == 403
    assert await status("admin", f"PUT {unknown}", bad, content_type="text/plain") == 404
    assert await status("admin", f"PUT {unknown}", bad, if_match=stale) == 404
    assert await status("admin", f"PUT {order}", bad, content_type="text/plain", if_match=stale) == 415
    assert await status("admin", f"PUT {order}", bad, if_match=stale) == 400
    assert await status("admin", f"PUT {order}?x=1", {"service_id": str(new_id())}, if_match=stale) == 400
    assert await status("admin", f"PUT {order}", {"service_id": str(new_id())}, if_match=stale) == 412
    assert await status("admin", f"PUT {order}", {"service_id": str(new_id()), "price": "1"}) == 422
    assert await status("admin", f"PUT {order}", {"price": "1"}) == 409
    items = [{"name": "n", "description": "", "price": 1, "service_id": str(new_id())}]
    sent_one = await sent(stage)
    assert await status("admin", f"PUT /api/proposals/{sent_one}", {"items": items}) == 422
    assert await status("admin", f"PUT /api/proposals/{sent_one}", {"notes": "x"}, if_match=stale) == 412
    assert await status("admin", f"PUT /api/proposals/{sent_one}", {"notes": "x"}) == 409


async def test_a_bad_request_names_all_that_is_bad(stage: Stage):
    items = [{"name": "", "price": "x"}, {"name": "n", "description": 1, "price": 1, "more": 2}]
    body = {"client_email": "x", "client_name_f": None, "items": items, "extra": 1}
    assert await stage.errors("POST /api/proposals", body) == {
        *("client_email", "client_name_f", "extra"),
        *("items.0.name", "items.0.price", "items.0.description", "items.1.description", "items.1.more"),
    }
    assert await stage.errors("GET /api/orders?status=9&x=1&limit=0", None) >= {"x", "limit"}


@pytest.mark.parametrize("path", RESOURCES)
async def test_what_can_be_put_has_a_version_that_is_asked_for(stage: Stage, path: str):
    await draft(stage)
    good, bad = RESOURCES[path]
    read = await stage.call("admin", f"GET {path}")
    tag = read.headers["etag"]
    again = await stage.call("admin", f"GET {path}", if_none_match=tag)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await stage.call("admin", f"GET {path}", if_none_match=f'"other", W/{tag}')).status_code == 304
    changed = await stage.call("admin", f"PUT {path}", good, if_match=tag)
    assert (changed.status_code, changed.headers["etag"] != tag) == (200, True)
    for method, body in (("PUT", good), ("PUT", {}), ("DELETE", None)):
        stale = await stage.call("admin", f"{method} {path}", body, if_match=tag)
        assert stale.status_code == 412, (method, path)
    assert (await stage.call("admin", f"PUT {path}", bad, if_match=tag)).status_code == 400
    assert (await stage.call("admin", f"PUT {path}", good, if_match=changed.headers["etag"])).status_code == 200
    assert (await stage.call("admin", f"PUT {path}", good, if_match="*")).status_code == 200
    assert (await stage.call("admin", f"GET {path}", if_none_match=tag)).status_code == 200


async def test_what_hangs_on_a_resource_changes_what_is_seen_and_not_its_version(stage: Stage):
    engagement, talk = "/api/engagements/{engagement_id}", "{talk}"
    tags = {path: (await stage.call("admin", f"GET {path}")).headers["etag"] for path in (engagement, talk)}
    await stage.made("POST {talk}/messages", {"content": "Another"})
    await stage.made("POST /api/projects", {"engagement_id": stage.ids["engagement_id"], "name": "Another"})
    for path, tag in tags.items():
        assert (await stage.call("admin", f"GET {path}", if_none_match=tag)).status_code == 200
        assert (await stage.call("admin", f"PUT {path}", {}, if_match=tag)).status_code == 200


async def test_every_post_is_safe_to_repeat_under_a_key(stage: Stage):
    posts = {  # a good body of each create, and each move
        "/api/clients": {"name_f": "J", "name_l": "R", "email": f"{new_id()}@keys.example"},
        "/api/users": {"name_f": "J", "name_l": "R", "email": f"{new_id()}@keys.example", "role": "member"},
        "/api/services": {"name": "x"},
        "/api/proposals": proposal_body(client_email=stage.ids["client_email"]),
        "/api/engagements": {"client_id": stage.ids["client_id"]},
        "/api/projects": {"engagement_id": stage.ids["engagement_id"], "name": "x"},
        "/api/projects/{project_id}/advance": None,
        "/api/projects/{project_id}/conversations": {"subject": "x"},
        "/api/conversations": {"project_id": stage.ids["project_id"]},
        "{talk}/messages": {"content": "x"},
        "/api/conversations/{conversation_id}/messages": {"content": "x"},
        "/api/orders": {"user_id": stage.ids["client_id"], "service": "x"},
        "/api/orders/{order_id}/tasks": {"name": "x"},
        "/api/order-tasks/{task_id}/complete": None,
        f"/api/proposals/{await sent(stage)}/reject": {"reason": "x"},
        f"/api/proposals/{await sent(stage)}/sign": {},
    }
    for path, body in posts.items():
        key = f'"{new_id()}"'
        first = await stage.call("admin", f"POST {path}", body, idempotency_key=key)
        again = await stage.call("admin", f"POST {path}", body, idempotency_key=key.strip('"'))
        assert first.status_code in (200, 201), (path, first.text)
        assert "idempotent-replayed" not in first.headers
        assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (
            first.status_code,
            first.content,
            "true",
        ), path
        assert first.headers.get("etag") == again.headers.get("etag")
        other = await stage.call("admin", f"POST {path}", {"surprise": 1}, idempotency_key=key)
        assert other.status_code == 422, path
    for wrong in ("k" * 256, '""', "a\tb"):
        told = await stage.call("admin", "POST /api/services", {"name": "x"}, idempotency_key=wrong)
        assert told.status_code == 400, wrong


async def test_a_refused_call_burns_no_key(stage: Stage):
    key = str(new_id())
    for call, body, status, headers in REFUSED:
        for _ in range(2):
            refused = await stage.call("admin", call, body, idempotency_key=key, **headers)
            assert (refused.status_code, "idempotent-replayed" in refused.headers) == (status, False), call
    for who, status in (("client", 403), ("admin", 201)):
        answer = await stage.call(who, "POST /api/services", {"name": "x"}, idempotency_key=key)
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (status, False)


async def test_public_pages_need_no_credential_and_nothing_else_is_there(stage: Stage):
    stage.tokens["nobody"] = ""
    index = await stage.got("admin", "GET /api")
    assert set(index) == {"name", "version", "endpoints"}
    for name in ("clients", "services", "proposals", "engagements", "projects", "conversations", "orders"):
        assert index["endpoints"][name] == f"/api/{name}"
    health = await stage.got("admin", "GET /api/health")
    assert (set(health), health["status"]) == ({"status", "version", "timestamp"}, "healthy")
    assert TIME_IN_UTC.fullmatch(health["timestamp"])
    for path in ("/", "/api", "/api/health", "/health/live", "/health/ready", "/api/openapi.json", "/api/docs"):
        assert (await stage.installation.call_as(None, "GET", path)).status_code == 200, path
    for path in ("/api/tickets", "/api/order-messages", "/api/orders/{order_id}/messages", "/metrics", "/internal/x"):
        assert (await stage.installation.call_as(None, "GET", path.format_map(stage.ids))).status_code == 401, path
        await stage.got("admin", f"GET {path}", status=404)
    assert (await stage.got("admin", "GET /api/openapi.json"))["openapi"].startswith("3.1")


async def test_every_answer_has_a_request_id(stage: Stage):
    for who, call in (("admin", "GET /api/orders"), ("client", "GET /api/clients"), ("admin", "GET /api/nothing")):
        assert (await stage.call(who, call, x_request_id="mine.1")).headers["x-request-id"] == "mine.1"
        assert (await stage.call(who, call)).headers["x-request-id"]
