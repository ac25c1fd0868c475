"""The proposal service's OpenAPI document: every call says what it is, what it takes, and how it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support import actors
from tests.support.databases import Databases
from tests.support.servers import Broker
from tests.support.services import Service, running

REFUSALS = {
    ("/api/services", "get"): {403},
    ("/api/services", "post"): {403, 409, 422},
    ("/api/services/{service_id}", "get"): {403, 404},
    ("/api/services/{service_id}", "put"): {403, 404, 412},
    ("/api/services/{service_id}", "delete"): {403, 404, 412},
    ("/api/proposals", "get"): set(),
    ("/api/proposals", "post"): {403, 409, 422},
    ("/api/proposals/{proposal_id}", "get"): {404},
    ("/api/proposals/{proposal_id}", "put"): {403, 404, 409, 412, 422},
    ("/api/proposals/{proposal_id}", "delete"): {403, 404, 409, 412},
    ("/api/proposals/{proposal_id}/send", "post"): {403, 404, 409, 412, 422},
    ("/api/proposals/{proposal_id}/reject", "post"): {404, 409, 412, 422},
    ("/api/proposals/{proposal_id}/sign", "post"): {404, 409, 412, 422},
    ("/api/proposals/{proposal_id}/sign", "get"): {404},
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def document(databases: Databases, shared_broker: Broker) -> AsyncIterator[dict[str, Any]]:
    async with databases.fresh("proposals") as dsn, running("proposals", dsn, shared_broker) as service:
        yield await _fetched(service)


async def _fetched(service: Service) -> dict[str, Any]:
    answer = await service.call(actors.admin(), "GET", "/schema/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def test_every_call_documents_its_refusals_as_problems(document: dict[str, Any]):
    found: dict[tuple[str, str], set[int]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (path, method)
            refused = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
            found[path, method] = {int(status) for status in refused} - {400}
            assert "400" in refused
            for answer in refused.values():
                assert list(answer["content"]) == ["application/problem+json"], (path, method)
    assert {call: statuses for call, statuses in found.items() if call[0].startswith("/api/")} == REFUSALS


@pytest.mark.parametrize("name", ["ServiceBody", "ProposalBody", "ItemBody", "RejectBody", "SignBody"])
def test_bodies_have_examples(document: dict[str, Any], name: str):
    fields = document["components"]["schemas"][name]["properties"]
    without = {field for field, schema in fields.items() if "examples" not in str(schema)}
    assert without <= {"items", "currency", "service_id"}


def test_a_change_requires_nothing_and_allows_null_only_where_it_clears(document: dict[str, Any]):
    for name, nullable in (
        ("ServiceChanges", {"description", "deadline"}),
        ("ProposalChangesBody", {"client_company", "notes", "valid_until"}),
    ):
        schema = document["components"]["schemas"][name]
        assert not schema.get("required")
        takes_null = {
            field for field, spec in schema["properties"].items() if {"type": "null"} in spec.get("oneOf", [])
        }
        assert takes_null == nullable
