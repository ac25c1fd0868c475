"""One question by HTTP, which may go unanswered."""

from __future__ import annotations

import aiohttp


async def get(http: aiohttp.ClientSession, url: str) -> tuple[int, bytes]:
    """Status and body; 0 and nothing when there is no answer."""
    try:
        async with http.get(url) as answer:
            return answer.status, await answer.read()
    except (aiohttp.ClientError, TimeoutError, OSError):
        return 0, b""
