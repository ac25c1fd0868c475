"""One OpenAPI 3.1 document out of the services' own: pure, from documents to a document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.manners import HEADERS, PARAMETERS, with_manners
from gateway.problem_answers import COMPONENTS, document_errors
from gateway.routes import is_public, owner_of

Document = dict[str, Any]
Names = dict[str, str]
"""What the schemas of one document are called in the merged one."""

TITLE: Final = "Service-Engine-X"
DESCRIPTION: Final = (
    "One signature turns a proposal into an engagement, its projects and an order. "
    "Authenticate with an API token or a session token from `POST /api/auth/login`. "
    "`HEAD` answers wherever `GET` does, with the same headers and no body. A request line is at most 16 KiB (414), "
    "a head 64 KiB and 100 fields (431), a body 1 MiB (413), without a `Content-Encoding` (415). A request that stands "
    "still for half a minute is given up (408). More than 100 unknown credentials a minute from one address are 429."
)
GATEWAY: Final = "gateway"
_SCHEMAS: Final = "#/components/schemas/"
_GENERIC: Final = re.compile(r"^(\w+?)_(?:\w+\.)+(\w+)_$")
_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_TAGS: Final = {
    "health": "API",
    "openapi.json": "API",
    "docs": "API",
    "auth": "Authentication",
    "tokens": "API tokens",
    "services": "Service templates",
    "order-tasks": "Orders",
}
_ORDER: Final = (
    "API",
    "Authentication",
    "API tokens",
    "Users",
    "Clients",
    "Service templates",
    "Proposals",
    "Engagements",
    "Projects",
    "Conversations",
    "Orders",
)


def merge(documents: Mapping[str, Document], *, version: str, server: str) -> Document:
    """The API as its callers see it: `documents` by name of their service, `gateway` for the gateway's own pages.

    Only paths that the gateway would forward to that very service are in it. Schemas of the same name are one when they
    are equal, with all that they refer to; else each is named after its service.
    """
    documents = {service: _with_short_names(document) for service, document in documents.items()}
    names = _names({service: _schemas(document) for service, document in documents.items()})
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for service, document in documents.items():
        renamed = names[service]
        for path, item in document.get("paths", {}).items():
            if _is_owned(path, service):
                paths[path] = _described(path, _referring(item, renamed))
        schemas |= {renamed[name]: _referring(schema, renamed) for name, schema in _schemas(document).items()}
    _tell_operations_apart(paths)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": version, "description": DESCRIPTION},
        "servers": [{"url": server}],
        "tags": _tags(paths),
        "security": [{"bearer": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            **COMPONENTS,
            "schemas": _reachable(paths, schemas) | COMPONENTS["schemas"],
            "headers": COMPONENTS["headers"] | HEADERS,
            "parameters": PARAMETERS,
        },
    }


def _with_short_names(document: Document) -> Document:
    """`Listing_services.orders.views.OrderView_`, as Litestar calls a generic, is `OrderViewListing`."""
    schemas = _schemas(document)
    short = {name: _GENERIC.sub(r"\2\1", name) for name in schemas}
    names = {name: short[name] for name in schemas if short[name] not in schemas}
    renamed = {names.get(name, name): schema for name, schema in schemas.items()}
    return _referring({**document, "components": {"schemas": renamed}}, names)


def _schemas(document: Document) -> dict[str, Any]:
    return document.get("components", {}).get("schemas", {})


def _is_owned(path: str, service: str) -> bool:
    return is_public("GET", path) if service == GATEWAY else owner_of(path) == service


def _names(schemas: Mapping[str, Mapping[str, Any]]) -> dict[str, Names]:
    """For each service, what its schemas are called in the merged document."""
    apart = _ambiguous(schemas)
    taken = {name for of_service in schemas.values() for name in of_service} | set(COMPONENTS["schemas"])
    names: dict[str, Names] = {}
    for service, of_service in schemas.items():
        names[service] = {}
        for name in of_service:
            spelled = name
            while name in apart and spelled in taken:
                spelled = f"{service.capitalize()}{'' if spelled == name else '_'}{spelled}"
            taken.add(spelled)
            names[service][name] = spelled
    return names


def _ambiguous(schemas: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Names that stand for different things, themselves or by what they refer to."""
    apart = {name for of_service in schemas.values() for name in of_service if name in COMPONENTS["schemas"]}
    seen: dict[str, Any] = {}
    for of_service in schemas.values():
        for name, schema in of_service.items():
            if seen.setdefault(name, schema) != schema:
                apart.add(name)
    shared = {name for name in seen if sum(name in of_service for of_service in schemas.values()) > 1}
    while True:
        tainted = {
            name
            for of_service in schemas.values()
            for name, schema in of_service.items()
            if name in shared and name not in apart and not apart.isdisjoint(_references(schema))
        }
        if not tainted:
            return apart
        apart |= tainted


def _references(node: Any) -> Iterator[str]:
    """The names of all schemas that `node` mentions."""
    match node:
        case str() if node.startswith(_SCHEMAS):
            yield node.removeprefix(_SCHEMAS)
        case dict():
            for value in node.values():
                yield from _references(value)
        case list():
            for value in node:
                yield from _references(value)
        case _:
            return


def _referring(node: Any, names: Names) -> Any:
    """`node` with every mention of a schema under its new name."""
    match node:
        case str() if node.startswith(_SCHEMAS):
            name = node.removeprefix(_SCHEMAS)
            return _SCHEMAS + names.get(name, name)
        case dict():
            return {key: _referring(value, names) for key, value in node.items()}
        case list():
            return [_referring(value, names) for value in node]
        case _:
            return node


def _described(path: str, item: Document) -> Document:
    """A path with tags, security and error answers on each of its operations."""
    described = dict(item)
    for method in _METHODS:
        if method in item:
            public = is_public(method.upper(), path)
            operation = with_manners(item[method], method, is_public=public, can_change="put" in item)
            operation["tags"] = [_tag(path)]
            operation["security"] = [] if public else [{"bearer": []}]
            operation["responses"] = document_errors(operation, path=path, is_public=public)
            described[method] = operation
    return described


def _tag(path: str) -> str:
    segments = path.split("/")
    if segments[2:3] == ["projects"] and segments[4:5] == ["conversations"]:
        return "Conversations"
    name = segments[2] if len(segments) > 2 else ""
    return _TAGS.get(name, name.capitalize() or "API")


def _tags(paths: Document) -> list[Document]:
    used = {tag for item in paths.values() for method in _METHODS if method in item for tag in item[method]["tags"]}
    known = [tag for tag in _ORDER if tag in used]
    return [{"name": tag} for tag in [*known, *sorted(used - set(known))]]


def _tell_operations_apart(paths: Document) -> None:
    """Operation ids are unique over the whole API."""
    taken: set[str] = set()
    for path, item in sorted(paths.items()):
        for method in _METHODS:
            told = item.get(method, {}).get("operationId")
            if told is None:
                continue
            name, number = told, 2
            while name in taken:
                name, number = f"{told}_{number}", number + 1
            taken.add(name)
            paths[path][method]["operationId"] = name


def _reachable(paths: Document, schemas: Document) -> Document:
    """The schemas that some operation needs, directly or not."""
    found: set[str] = set()
    open_ends = [name for name in _references(paths) if name in schemas]
    while open_ends:
        name = open_ends.pop()
        if name not in found:
            found.add(name)
            open_ends += [inner for inner in _references(schemas[name]) if inner in schemas]
    return {name: schemas[name] for name in sorted(found)}
