"""Query parameters: what a call does not know is an error, and a value has one spelling."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_plus, unquote_to_bytes

import msgspec
from litestar import Request
from litestar.handlers import BaseRouteHandler
from litestar.params import HeaderParameter

from shared.errors import InvalidInput
from shared.web.bodies import before_refusing
from shared.web.faults import sentence
from shared.web.shapes import members

_RESERVED = frozenset({"self", "request", "data", "body", "headers", "cookies", "query", "scope", "state", "socket"})
_SPELLINGS: Final[Mapping[Any, tuple[re.Pattern[str], str]]] = {
    int: (re.compile(r"0|-?[1-9][0-9]*"), "Expected an integer in decimal digits."),
    bool: (re.compile(r"true|false|1|0"), "Expected true or false."),
}
"""Litestar reads more: `1e3`, `2.0` and `TRUE`."""

Errors = dict[str, list[str]]


async def refuse_unknown_parameters(request: Request[Any, Any, Any]) -> None:
    """Part of Litestar's `before_request` hook.

    Raises InvalidInput naming every parameter that the call does not have, that is given twice, or that cannot be read.
    """
    if not request.scope["query_string"]:
        return
    errors = _errors(request)
    if errors:
        await before_refusing(request)
        raise InvalidInput(_unreadable(request) | errors)


def _errors(request: Request[Any, Any, Any]) -> Errors:
    given, kinds = request.query_params, _kinds(request.route_handler)
    known = _parameters(request.route_handler) - set(request.path_params)
    errors = not_text(request.scope["query_string"])
    for name in given:
        values = given.getall(name)
        if fault := _fault(name, values, is_known=name in known, kind=kinds.get(name)):
            errors.setdefault(name, [fault])
    return errors


def not_text(query: bytes) -> Errors:
    """Every parameter of a query that is not UTF-8, by its name: Litestar puts U+FFFD in its place."""
    errors: Errors = {}
    for pair in query.split(b"&") if b"%" in query or not query.isascii() else ():
        try:
            unquote_to_bytes(pair).decode()
        except UnicodeDecodeError:
            name = unquote_plus(pair.partition(b"=")[0].decode(errors="replace"))
            errors[name] = ["Expected text in UTF-8."]
    return errors


def _fault(name: str, values: list[str], *, is_known: bool, kind: Any) -> str | None:
    """What is wrong with a parameter, before its value is read as what it is."""
    if any("\0" in text for text in (name, *values)):
        return "Text cannot hold the null character."
    if not is_known:
        return "There is no such parameter."
    if len(values) > 1:
        return "This parameter may be given once."
    options = members(kind)
    if type(None) in options and values[0].lower() == "null" and str not in options:
        return "Expected a value, not null."
    for option in options:
        spelling, sentence_of_it = _SPELLINGS.get(option, (None, ""))
        if spelling is not None and not spelling.fullmatch(values[0]):
            return sentence_of_it
    return None


def _unreadable(request: Request[Any, Any, Any]) -> Errors:
    errors = {}
    for name, kind in _kinds(request.route_handler).items():
        if name in request.query_params:
            try:
                msgspec.convert(request.query_params[name], kind, strict=False)
            except msgspec.ValidationError as error:
                errors[name] = [sentence(str(error), kind)]
    return errors


@lru_cache(maxsize=1024)
def _kinds(handler: BaseRouteHandler) -> dict[str, Any]:
    """The types of the handler's parameters."""
    return {field.name: field.type for field in msgspec.structs.fields(handler.signature_model)}


@lru_cache(maxsize=1024)
def _parameters(handler: BaseRouteHandler) -> frozenset[str]:
    dependencies = handler.resolve_dependencies()
    fields = handler.parsed_fn_signature.parameters
    names = {name for name, field in fields.items() if not isinstance(field.kwarg_definition, HeaderParameter)}
    for name, provider in dependencies.items():
        if name in names:
            names |= set(provider.parsed_fn_signature.parameters)
    return frozenset(names - set(dependencies) - _RESERVED)
