"""Query parameters that a call does not know are an error, not silence."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from litestar import Request
from litestar.handlers import BaseRouteHandler
from litestar.params import HeaderParameter

from shared.errors import InvalidInput
from shared.web.bodies import look_for_resource

_RESERVED = frozenset({"self", "request", "data", "body", "headers", "cookies", "query", "scope", "state", "socket"})


async def refuse_unknown_parameters(request: Request[Any, Any, Any]) -> None:
    """Part of Litestar's `before_request` hook.

    Raises InvalidInput naming every parameter that the call does not have or that is given twice; beside those, every
    one that cannot be read (of these alone, Litestar tells).
    """
    if not request.scope["query_string"]:
        return
    given = request.query_params
    known = _parameters(request.route_handler) - set(request.path_params)
    errors = {name: ["There is no such parameter."] for name in given if name not in known}
    errors |= {name: ["Expected a value, not null."] for name in _nulls(request) if name not in errors}
    errors |= {name: ["This parameter may be given once."] for name in given if len(given.getall(name)) > 1}
    if errors:
        await look_for_resource(request)
        raise InvalidInput(_unreadable(request) | errors)


def _nulls(request: Request[Any, Any, Any]) -> list[str]:
    """Parameters whose value Litestar would read as none at all."""
    given = {name: value for name, value in request.query_params.items() if value.lower() == "null"}
    if not given:
        return []
    kinds = {field.name: field.type for field in msgspec.structs.fields(request.route_handler.signature_model)}
    given = {name: value for name, value in given.items() if name in kinds}
    return [name for name, value in given.items() if msgspec.convert(value, kinds[name] | None, strict=False) is None]


def _unreadable(request: Request[Any, Any, Any]) -> dict[str, list[str]]:
    errors = {}
    for field in msgspec.structs.fields(request.route_handler.signature_model):
        if field.name in request.query_params:
            try:
                msgspec.convert(request.query_params[field.name], field.type, strict=False)
            except msgspec.ValidationError as error:
                errors[field.name] = [f"{error}."]
    return errors


@lru_cache(maxsize=1024)
def _parameters(handler: BaseRouteHandler) -> frozenset[str]:
    dependencies = handler.resolve_dependencies()
    fields = handler.parsed_fn_signature.parameters
    names = {name for name, field in fields.items() if not isinstance(field.kwarg_definition, HeaderParameter)}
    for name, provider in dependencies.items():
        if name in names:
            names |= set(provider.parsed_fn_signature.parameters)
    return frozenset(names - set(dependencies) - _RESERVED)
