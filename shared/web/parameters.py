"""Query parameters that a call does not know are an error, not silence."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from litestar import Request
from litestar.handlers import BaseRouteHandler

from shared.errors import InvalidInput
from shared.web.bodies import look_for_resource

_RESERVED = frozenset({"self", "request", "data", "body", "headers", "cookies", "query", "scope", "state", "socket"})


async def refuse_unknown_parameters(request: Request[Any, Any, Any]) -> None:
    """Litestar's `before_request` hook. Raises InvalidInput naming every parameter that the call does not have."""
    if not request.scope["query_string"]:
        return
    known = _parameters(request.route_handler)
    unknown = {name: ["There is no such parameter."] for name in request.query_params if name not in known}
    repeated = {
        name: ["This parameter may be given once."]
        for name in request.query_params
        if name in known and len(request.query_params.getall(name)) > 1
    }
    if unknown or repeated:
        await look_for_resource(request)
        raise InvalidInput(unknown | repeated)


@lru_cache(maxsize=1024)
def _parameters(handler: BaseRouteHandler) -> frozenset[str]:
    dependencies = handler.resolve_dependencies()
    names = set(handler.parsed_fn_signature.parameters)
    for name, provider in dependencies.items():
        if name in names:
            names |= set(provider.parsed_fn_signature.parameters)
    return frozenset(names - set(dependencies) - _RESERVED)
