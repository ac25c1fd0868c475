"""What staff write for themselves, in every place that there is, reaches no client by any call."""

from __future__ import annotations

from typing import Any

import httpx

from shared.ids import new_id
from tests.support.contract import Stage, names, sent

WORD = "for-staff-only"
STAFF_ONLY = names("note, metadata, tags")


async def write_everywhere(stage: Stage) -> None:
    """Staff write WORD in every field that is theirs, on things of the stage's client."""
    about = {"note": WORD, "custom_fields": {WORD: WORD}}
    await stage.got("admin", "PUT /api/clients/{client_id}", about)
    await stage.got("admin", "PUT /api/services/{service_id}", {"metadata": {WORD: WORD}, "public": True})
    order = {"note": WORD, "tags": [WORD]}
    await stage.got("admin", "PUT /api/orders/{order_id}", order)
    by_hand = {"user_id": stage.ids["client_id"], "service": "x", "metadata": {WORD: WORD}, **order}
    stage.ids["order_by_hand"] = (await stage.made("POST /api/orders", by_hand))["id"]
    for where in ("order_id", "order_by_hand"):
        task = {"name": WORD, "description": WORD}
        await stage.made(f"POST /api/orders/{{{where}}}/tasks", task)
    await stage.made("POST {talk}/messages", {"content": WORD, "is_internal": True})


async def every_get(stage: Stage, document: dict[str, Any], **more: str) -> dict[str, httpx.Response]:
    """The client's answers to all GETs of the document, with the stage's ids in their paths."""
    ids = stage.ids | {"token_id": str(new_id())} | more
    answers = {}
    for path, item in document["paths"].items():
        if "get" in item:
            told = path.format_map(ids)
            answers[told] = await stage.call("client", f"GET {told}")
    return answers


async def test_no_call_of_a_client_answers_with_what_staff_wrote_for_themselves(stage: Stage, document: dict[str, Any]):
    await write_everywhere(stage)
    answers = await every_get(stage, document) | await every_get(stage, document, order_id=stage.ids["order_by_hand"])
    assert sum(answer.status_code == 200 for answer in answers.values()) > 20
    assert [path for path, answer in answers.items() if WORD in answer.text] == []


async def test_staff_are_shown_it_all(stage: Stage):
    await write_everywhere(stage)
    for path in ("/api/clients/{client_id}", "/api/services/{service_id}", "/api/orders/{order_by_hand}"):
        assert WORD in (await stage.call("member", f"GET {path}")).text


async def test_an_order_is_without_staffs_fields_wherever_a_client_meets_it(stage: Stage):
    one = await stage.got("client", "GET /api/orders/{order_id}")
    listed = (await stage.got("client", "GET /api/orders?limit=100"))["data"]
    signed = (await stage.got("client", f"POST /api/proposals/{await sent(stage)}/sign"))["order"]
    for order in (one, *listed, signed):
        assert STAFF_ONLY.isdisjoint(order)
        assert "form_data" in order
    again = await stage.got("client", f"GET /api/orders/{signed['id']}")
    assert again == signed


async def test_a_signature_is_replayed_to_a_client_as_it_was_answered(stage: Stage):
    path, key = f"POST /api/proposals/{await sent(stage)}/sign", str(new_id())
    first = await stage.call("client", path, idempotency_key=key)
    again = await stage.call("client", path, idempotency_key=key)
    assert (first.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert again.content == first.content
    assert STAFF_ONLY.isdisjoint(first.json()["order"])


async def test_staff_who_sign_are_answered_with_the_whole_order(stage: Stage):
    signed = await stage.got("admin", f"POST /api/proposals/{await sent(stage)}/sign")
    assert set(signed["order"]) >= STAFF_ONLY
    assert await stage.got("admin", f"GET /api/orders/{signed['order']['id']}") == signed["order"]


async def test_the_document_says_what_is_for_staff_only(document: dict[str, Any]):
    schemas = document["components"]["schemas"]
    for schema, fields in (("OrderView", STAFF_ONLY), ("ClientView", names("note, custom_fields"))):
        for name in fields:
            assert "staff only" in schemas[schema]["properties"][name]["description"]
            assert name not in schemas[schema]["required"]
    assert "staff only" in schemas["ServiceView"]["properties"]["metadata"]["description"]
