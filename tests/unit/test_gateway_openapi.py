"""One document out of many."""

from __future__ import annotations

from typing import Any

from gateway.openapi import merge


def operation(schema: str | None = None, **extra: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}} if schema else {}
    return {"operationId": "Op", "responses": {"200": {"description": "OK", "content": content}}, **extra}


def document(paths: dict[str, Any], schemas: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": paths, "components": {"schemas": schemas or {}}}


def merged(**documents: dict[str, Any]) -> dict[str, Any]:
    return merge(documents, version="1.2.3", server="/")


def schema_of(api: dict[str, Any], path: str, method: str = "get") -> str:
    content = api["paths"][path][method]["responses"]["200"]["content"]
    return content["application/json"]["schema"]["$ref"].rpartition("/")[2]


def test_the_document_says_what_it_is() -> None:
    api = merged(orders=document({"/api/orders": {"get": operation()}}))
    assert api["openapi"] == "3.1.0"
    assert api["info"]["title"] == "Service-Engine-X"
    assert api["info"]["version"] == "1.2.3"
    assert api["servers"] == [{"url": "/"}]
    assert api["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert api["tags"] == [{"name": "Orders"}]


def test_only_what_the_gateway_forwards_to_that_service_is_shown() -> None:
    paths = {"/internal/x": {}, "/health/live": {}, "/api/users": {"get": operation()}, "/api/orders": {}}
    assert list(merged(orders=document(paths))["paths"]) == ["/api/orders"]


def test_equal_schemas_are_one() -> None:
    page = {"type": "object", "properties": {"page": {"type": "integer"}}}
    api = merged(
        orders=document({"/api/orders": {"get": operation("Page")}}, {"Page": page}),
        proposals=document({"/api/proposals": {"get": operation("Page")}}, {"Page": dict(page)}),
    )
    assert set(api["components"]["schemas"]) == {"Page", "Problem"}
    assert schema_of(api, "/api/orders") == schema_of(api, "/api/proposals") == "Page"


def test_different_schemas_of_one_name_are_named_after_their_services() -> None:
    api = merged(
        orders=document({"/api/orders": {"get": operation("View")}}, {"View": {"type": "string"}}),
        proposals=document({"/api/proposals": {"get": operation("View")}}, {"View": {"type": "integer"}}),
    )
    assert schema_of(api, "/api/orders") == "OrdersView"
    assert schema_of(api, "/api/proposals") == "ProposalsView"
    assert api["components"]["schemas"]["OrdersView"] == {"type": "string"}
    assert api["components"]["schemas"]["ProposalsView"] == {"type": "integer"}


def test_schemas_are_different_when_what_they_refer_to_is() -> None:
    listing = {"type": "array", "items": {"$ref": "#/components/schemas/View"}}
    api = merged(
        orders=document({"/api/orders": {"get": operation("List")}}, {"List": listing, "View": {"type": "string"}}),
        proposals=document(
            {"/api/proposals": {"get": operation("List")}}, {"List": listing, "View": {"type": "integer"}}
        ),
    )
    schemas = api["components"]["schemas"]
    assert schemas["OrdersList"]["items"] == {"$ref": "#/components/schemas/OrdersView"}
    assert schemas["ProposalsList"]["items"] == {"$ref": "#/components/schemas/ProposalsView"}


def test_a_new_name_never_takes_one_that_is_there() -> None:
    api = merged(
        orders=document(
            {"/api/orders": {"get": operation("View"), "post": operation("OrdersView")}},
            {"View": {"type": "string"}, "OrdersView": {"type": "boolean"}},
        ),
        proposals=document({"/api/proposals": {"get": operation("View")}}, {"View": {"type": "integer"}}),
    )
    schemas = api["components"]["schemas"]
    assert schemas[schema_of(api, "/api/orders", "post")] == {"type": "boolean"}
    assert schemas[schema_of(api, "/api/orders")] == {"type": "string"}


def test_generic_schemas_have_names_for_people() -> None:
    name = "Listing_services.orders.views.OrderView_"
    api = merged(orders=document({"/api/orders": {"get": operation(name)}}, {name: {"type": "object"}}))
    assert schema_of(api, "/api/orders") == "OrderViewListing"
    assert set(api["components"]["schemas"]) == {"OrderViewListing", "Problem"}


def test_a_service_cannot_change_what_a_problem_is() -> None:
    api = merged(orders=document({"/api/orders": {"get": operation("Problem")}}, {"Problem": {"type": "integer"}}))
    assert api["components"]["schemas"]["Problem"]["title"] == "Problem"
    assert api["components"]["schemas"][schema_of(api, "/api/orders")] == {"type": "integer"}


def test_schemas_that_only_hidden_paths_use_stay_hidden() -> None:
    api = merged(
        orders=document({"/internal/x": {"get": operation("Secret")}, "/api/orders": {}}, {"Secret": {"type": "null"}})
    )
    assert set(api["components"]["schemas"]) == {"Problem"}


def test_every_operation_has_the_errors_that_any_call_can_get() -> None:
    post = operation(requestBody={"content": {}})
    api = merged(orders=document({"/api/orders": {"get": operation()}, "/api/orders/{id}": {"put": post}}))
    assert set(api["paths"]["/api/orders"]["get"]["responses"]) == {"200", "400", "401", "429", "503"}
    responses = api["paths"]["/api/orders/{id}"]["put"]["responses"]
    assert set(responses) == {"200", "400", "401", "404", "413", "415", "429", "503"}
    assert responses["401"]["headers"]["WWW-Authenticate"]
    assert responses["503"]["headers"]["Retry-After"]


def test_documented_errors_become_problems_and_keep_their_words() -> None:
    told = {"409": {"description": "Not signable", "content": {"application/json": {"schema": {"type": "string"}}}}}
    api = merged(orders=document({"/api/orders": {"get": operation(responses=told)}}))
    answer = api["paths"]["/api/orders"]["get"]["responses"]["409"]
    assert answer["description"] == "Not signable"
    assert list(answer["content"]) == ["application/problem+json"]
    assert answer["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert answer["content"]["application/problem+json"]["example"]["status"] == 409


def test_login_needs_no_credential_and_all_else_does() -> None:
    api = merged(
        identity=document({"/api/auth/login": {"post": operation()}, "/api/auth/me": {"get": operation()}}),
        gateway=document({"/api": {"get": operation()}}),
    )
    assert api["paths"]["/api/auth/login"]["post"]["security"] == []
    assert api["paths"]["/api"]["get"]["security"] == []
    assert api["paths"]["/api/auth/me"]["get"]["security"] == [{"bearer": []}]
    assert "401" not in api["paths"]["/api"]["get"]["responses"]


def test_operation_ids_are_unique_over_the_whole_api() -> None:
    api = merged(
        orders=document({"/api/orders": {"get": operation()}}),
        proposals=document({"/api/proposals": {"get": operation(), "post": operation()}}),
    )
    told = [op["operationId"] for item in api["paths"].values() for op in item.values()]
    assert len(set(told)) == 3


def test_conversations_of_a_project_are_told_as_conversations() -> None:
    path = "/api/projects/{project_id}/conversations"
    api = merged(
        conversations=document({path: {"get": operation()}}),
        engagements=document({"/api/projects": {"get": operation()}}),
    )
    assert api["paths"][path]["get"]["tags"] == ["Conversations"]
    assert api["paths"]["/api/projects"]["get"]["tags"] == ["Projects"]


def test_calls_tell_the_headers_of_their_kind() -> None:
    changed = operation(responses={"200": {"description": "Changed"}, "412": {"description": "Stale"}})
    api = merged(
        orders=document(
            {"/api/orders": {"post": operation()}, "/api/orders/{id}": {"get": operation(), "put": changed}},
        )
    )

    def headers(path: str, method: str) -> list[str]:
        return [told["$ref"].rpartition("/")[2] for told in api["paths"][path][method]["parameters"]]

    assert headers("/api/orders", "post") == ["IdempotencyKey"]
    assert headers("/api/orders/{id}", "get") == ["IfNoneMatch"]
    assert headers("/api/orders/{id}", "put") == ["IfMatch", "IfNoneMatch"]
    assert {"409", "422"} <= set(api["paths"]["/api/orders"]["post"]["responses"])
    assert api["paths"]["/api/orders/{id}"]["get"]["responses"]["304"]["headers"]["ETag"]


def test_a_filter_that_may_be_left_out_is_not_null_and_a_body_that_may_be_null_may_be_left_out() -> None:
    status = {
        "name": "status",
        "in": "query",
        "schema": {"oneOf": [{"type": "integer"}, {"type": "null"}], "enum": [1]},
    }
    nullable = {"oneOf": [{"type": "object"}, {"type": "null"}]}
    body = {"content": {"application/json": {"schema": nullable}}, "required": True}
    told = operation(parameters=[status], requestBody=body)
    put = merged(orders=document({"/api/orders": {"put": told}}))["paths"]["/api/orders"]["put"]
    assert put["parameters"][0]["schema"] == {"type": "integer", "enum": [1]}
    assert put["requestBody"]["required"] is False
