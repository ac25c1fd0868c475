"""Which service owns a path, and what needs no credential."""

from __future__ import annotations

from uuid import UUID

import pytest

from gateway.routes import Service, engagement_in, is_own, is_public, owner_of, template_of

ID = "01970000-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/api/auth/login", Service.IDENTITY),
        ("/api/users", Service.IDENTITY),
        (f"/api/tokens/{ID}", Service.IDENTITY),
        ("/api/clients/", Service.IDENTITY),
        ("/api/services", Service.PROPOSALS),
        (f"/api/proposals/{ID}/sign", Service.PROPOSALS),
        (f"/api/engagements/{ID}", Service.ENGAGEMENTS),
        (f"/api/projects/{ID}/advance", Service.ENGAGEMENTS),
        (f"/api/projects/{ID}/conversations", Service.CONVERSATIONS),
        (f"/api/projects/{ID}/conversations/{ID}/messages", Service.CONVERSATIONS),
        ("/api/conversations", Service.CONVERSATIONS),
        (f"/api/orders/{ID}/tasks", Service.ORDERS),
        (f"/api/order-tasks/{ID}/complete", Service.ORDERS),
    ],
)
def test_every_resource_has_its_service(path: str, owner: Service) -> None:
    assert owner_of(path) is owner


@pytest.mark.parametrize(
    "path",
    [
        "/api/tickets",
        "/api/proposalsx",
        "/",
        "/api",
        "/internal/credentials/verify",
        "/schema/openapi.json",
        "/api/users/../../internal/credentials/verify",
        "/api/users/.",
        "/api//users",
        "//api/users",
        "/apix/users",
        "api/users",
        "/api%2fusers",
        "/api/%2fusers",
        "/api/%75sers",
        f"/api/users%2F{ID}",
        f"/api/users/{ID}%2fsign",
        "/api/orders/%2e%2e/users",
        "/api/orders/..%2fusers",
        "/api/orders/%252e%252e/users",
        "/api/./users",
        "/api/users//",
        "/api/users;x=1",
        "/api;x/users",
        "/api\\users",
        "/API/users",
    ],
)
def test_what_is_not_in_the_table_or_climbs_out_of_it_does_not_exist(path: str) -> None:
    assert owner_of(path) is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/auth/login"),
        ("GET", "/"),
        ("GET", "/api"),
        ("HEAD", "/api/health"),
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
        ("GET", "/api/openapi.json"),
        ("GET", "/api/docs"),
    ],
)
def test_the_public_calls(method: str, path: str) -> None:
    assert is_public(method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/auth/login"),
        ("POST", "/api"),
        ("DELETE", "/api/health"),
        ("GET", "/api/auth/me"),
        ("GET", "//"),
        ("POST", "/"),
        ("GET", "/nothing"),
        ("POST", "/api/auth/logout"),
        ("GET", "/health"),
        ("GET", "/health/%6cive"),
        ("GET", "/health/../api/users"),
        ("GET", "/health//live"),
        ("GET", "/api%2fhealth"),
        ("GET", "/api/docs//"),
        ("GET", "/api/docs;x"),
        ("POST", "/api/auth%2flogin"),
        ("POST", "/api/auth/login//"),
        ("POST", "/api/auth/%6cogin"),
    ],
)
def test_nothing_else_is_public(method: str, path: str) -> None:
    assert not is_public(method, path)


def test_the_gateway_answers_for_its_own_pages_only() -> None:
    assert is_own("/api/docs")
    assert is_own("/health/ready")
    assert not is_own("/api/users")


def test_only_one_engagement_is_composed() -> None:
    assert engagement_in(f"/api/engagements/{ID}") == UUID(ID)
    assert engagement_in(f"/api/engagements/{ID}/") == UUID(ID)
    assert engagement_in("/api/engagements") is None
    assert engagement_in("/api/engagements/not-an-id") is None
    assert engagement_in(f"/api/projects/{ID}") is None


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/api/proposals", "/api/proposals"),
        ("/api/proposals/", "/api/proposals"),
        ("/api/proposals/7", "/api/proposals/{id}"),
        ("/api/proposals/7/sign", "/api/proposals/{id}/sign"),
        ("/api/projects/7/conversations/8/messages", "/api/projects/{id}/conversations/{id}/messages"),
        ("/api/projects/7/conversations/8/messages/9", "/api/projects/{id}/conversations/{id}/messages/{id}"),
        ("/api/auth/login", "/api/auth/login"),
    ],
)
def test_a_route_is_told_apart_without_its_ids(path: str, template: str) -> None:
    assert template_of(path) == template


@pytest.mark.parametrize(
    "path",
    [
        "/api/auth",
        "/api/auth/anything",
        "/api/proposals/7/anything",
        "/api/projects/7/conversations/8/anything",
        "/api/projects/7/conversations/8/conversations",
        "/api/projects/7/conversations/8/messages/9/10",
    ],
)
def test_callers_cannot_make_up_routes(path: str) -> None:
    assert template_of(path) == "other"
