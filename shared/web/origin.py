"""Where the outside world finds the API: the base of absolute links, as the gateway says it."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request

PUBLIC_URL_HEADER: Final = "serx-public-url"


def public_url(request: Request[Any, Any, Any]) -> str:
    """`https://api.example` (no slash at the end): what the gateway passed on, else the service's own address."""
    told = request.headers.get(PUBLIC_URL_HEADER)
    return told.rstrip("/") if told else f"{request.url.scheme}://{request.url.netloc}"


CLIENT_ADDRESS_HEADER: Final = "serx-client-address"
"""The address of whoever called the gateway."""
