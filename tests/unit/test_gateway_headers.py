"""What passes through the gateway, and what does not."""

from __future__ import annotations

import pytest

from gateway.headers import client_address, forwarded_answer, forwarded_request, networks, public_url


def test_what_a_caller_says_about_the_content_reaches_the_service() -> None:
    told = [
        (b"content-type", b"application/json"),
        (b"idempotency-key", b'"a"'),
        (b"if-match", b'"v1"'),
        (b"prefer", b"wait=5"),
        (b"user-agent", b"curl"),
        (b"x-custom", b"1"),
        (b"x-custom", b"2"),
    ]
    assert forwarded_request(told) == told


@pytest.mark.parametrize(
    "name",
    [
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"content-length",
        b"host",
        b"expect",
        b"authorization",
        b"cookie",
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-real-ip",
        b"x-request-id",
        b"traceparent",
        b"serx-identity",
        b"serx-public-url",
        b"serx-client-address",
    ],
)
def test_what_belongs_to_the_hop_or_to_the_gateway_stops_here(name: bytes) -> None:
    assert forwarded_request([(name, b"x"), (b"accept", b"*/*")]) == [(b"accept", b"*/*")]


def test_what_connection_names_belongs_to_the_hop() -> None:
    told = [(b"connection", b"close, X-Secret"), (b"x-secret", b"1"), (b"connection", b"x-other"), (b"x-other", b"2")]
    assert forwarded_request(told) == []


def test_an_answer_keeps_what_is_about_the_content() -> None:
    told = [
        (b"content-type", b"application/json"),
        (b"content-length", b"2"),
        (b"etag", b'"v1"'),
        (b"location", b"/api/proposals/1/sign"),
        (b"deprecation", b"@1"),
        (b"link", b"</x>; rel=successor-version"),
        (b"retry-after", b"1"),
        (b"set-cookie", b"a"),
        (b"set-cookie", b"b"),
    ]
    assert forwarded_answer(told, status=200) == told


def test_an_answer_loses_what_is_about_the_hop() -> None:
    told = [
        (b"connection", b"x-hop"),
        (b"x-hop", b"1"),
        (b"transfer-encoding", b"chunked"),
        (b"server", b"secret/1.0"),
        (b"x-request-id", b"theirs"),
        (b"serx-inside", b"1"),
    ]
    assert forwarded_answer(told, status=200) == []


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_no_length(status: int) -> None:
    assert forwarded_answer([(b"content-length", b"0"), (b"etag", b"x")], status=status) == [(b"etag", b"x")]


@pytest.mark.parametrize(
    ("host", "proto", "expected"),
    [
        (b"api.example", b"", b"http://api.example"),
        (b"api.example:8000", b"https", b"https://api.example:8000"),
        (b"[::1]:8000", b"", b"http://[::1]:8000"),
        (b"api.example", b"javascript", b"http://api.example"),
        (b"evil/path", b"", b"http://127.0.0.1:80"),
        (b"a b", b"", b"http://127.0.0.1:80"),
        (b"", b"", b"http://127.0.0.1:80"),
    ],
)
def test_links_are_made_of_the_request_as_far_as_it_is_sane(host: bytes, proto: bytes, expected: bytes) -> None:
    assert public_url(host, proto, scheme="http", server=("127.0.0.1", 80)) == expected


def _scope(peer: str, *forwarded: bytes) -> dict[str, object]:
    return {"client": (peer, 1), "headers": [(b"x-forwarded-for", value) for value in forwarded]}


def test_the_address_is_that_of_the_connection() -> None:
    assert client_address(_scope("203.0.113.9", b"198.51.100.1"), ()) == "203.0.113.9"


def test_a_trusted_proxy_is_believed_as_far_as_it_reaches() -> None:
    trusted = networks(["10.0.0.0/8"])
    assert client_address(_scope("10.0.0.1", b"6.6.6.6, 198.51.100.1", b"10.0.0.7"), trusted) == "198.51.100.1"
    assert client_address(_scope("203.0.113.9", b"198.51.100.1"), trusted) == "203.0.113.9"
    assert client_address(_scope("10.0.0.1", b"nonsense"), trusted) == "10.0.0.1"
    assert client_address(_scope("10.0.0.1", b"fe80::1%" + b"x" * 3000), trusted) == "10.0.0.1"
    assert client_address(_scope("10.0.0.1", b"fe80::1%1, 10.0.0.7"), trusted) == "10.0.0.7"
    assert client_address(_scope("10.0.0.1"), trusted) == "10.0.0.1"
