"""The app factory of every service: the same manners at each door."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from inspect import Parameter, signature
from typing import Any, TypeVar, get_type_hints

from litestar import Litestar, Request, Response
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.handlers import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, ControllerRouterHandler

from shared import clock, failpoints, metrics, telemetry
from shared.settings import ProcessSettings, ServiceSettings, load
from shared.web import idempotency, problems
from shared.web.actor import IDENTITY_HEADER, Actor, UntrustedIdentity
from shared.web.bodies import MAX_BODY_BYTES, JsonRequest
from shared.web.bounds import Bounds
from shared.web.health import Health, Probe, health_route, probe_routes
from shared.web.last_words import request_id_of
from shared.web.openapi import ClosedBodySchema, JsonObjectSchema, MoneySchema, NumberSchema
from shared.web.parameters import refuse_unknown_parameters
from shared.web.scrape import metrics_route
from shared.web.serving import bounds_of, serve
from shared.web.true_refusals import true_refusals
from shared.web.trust import Trust
from shared.web.watch import Watched

SCHEMA_PATH = "/schema"

T = TypeVar("T")
S = TypeVar("S", bound=ProcessSettings)

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


def service_app(
    name: str,
    settings: ServiceSettings,
    *,
    routes: Sequence[ControllerRouterHandler],
    state: Mapping[str, Any],
    dependencies: Mapping[str, Any] | None = None,
    probes: Mapping[str, Probe],
    gauges: Sequence[metrics.Gauges] = (),
    problem_kinds: Mapping[type[Exception], problems.Kind] | None = None,
    lifespan: Sequence[Lifespan],
    after_request: Callable[[Response[Any]], Awaitable[Response[Any]]] | None = None,
) -> Litestar:
    """A service behind the gateway: takes only the gateway's signed identity, answers errors as problems.

    `dependencies` are handed to handlers by name, as they are; every handler may also ask for `actor`. `gauges` are
    asked at each scrape of `/metrics`. `after_request` has each answer before it goes out, in the request's own task.
    """
    provided = _provided({**{name: _always(value) for name, value in (dependencies or {}).items()}, "actor": _actor})
    health = Health(name, probes, first="database")
    scrape = partial(metrics.rendered, name, settings.replica, [*gauges, health.gauges])
    return Litestar(
        route_handlers=[*routes, *probe_routes(health), health_route(health), metrics_route(scrape)],
        request_class=JsonRequest,
        request_max_body_size=MAX_BODY_BYTES,
        guards=[_only_from_the_gateway],
        middleware=[true_refusals],
        before_request=_before_request,
        after_request=after_request,
        dependencies=provided,
        exception_handlers={Exception: problems.answer},
        state=State({**state, "problems": dict(problem_kinds or {}), "trust": Trust(name, settings.internal_keys)}),
        lifespan=list(lifespan),
        openapi_config=OpenAPIConfig(
            title=name, version="1", path=SCHEMA_PATH, render_plugins=[JsonRenderPlugin(path="/openapi.json")]
        ),
        plugins=[MoneySchema(), JsonObjectSchema(), ClosedBodySchema(), NumberSchema()],
        logging_config=None,
    )


def run_process(
    name: str, shape: type[S], create: Callable[[S], ASGIApp], *, bounding: Callable[[S], Bounds] = bounds_of
) -> None:
    """Run a process as the environment configures it, until SIGTERM; `bounding` says what its callers may hold.

    Raises SettingsError and FailpointSpellingError for an environment that cannot be read.
    """
    failpoints.arm()
    config = load(shape)
    telemetry.set_up_logging(name, format=config.log_format, level=config.log_level)
    if config.otlp_url:
        from shared import tracing  # noqa: PLC0415  # 4 MB and 40 ms, for those who want spans

        tracing.start(name, config.replica, metrics.version(), url=config.otlp_url, share=config.trace_share)
    serve(Watched(create(config)), config, bounding)


async def _before_request(request: Request[Any, Any, Any]) -> Response[Any] | None:
    headers = request.headers  # looked up anew each time
    telemetry.request_id.set(request_id_of(headers.get("x-request-id")))
    telemetry.begin_trace(headers.get("traceparent"))
    if request.method == "OPTIONS":
        return _options(request)
    actor: Actor | None = request.state.get("actor")
    if actor is not None and idempotency.HEADER in headers:
        earlier = await idempotency.replay(request, request.app.state.database, actor)
        if earlier is not None:
            return earlier
    await refuse_unknown_parameters(request)
    return None


def _options(request: Request[Any, Any, Any]) -> Response[Any]:
    """All methods of the path, where Litestar's own answer names those of one handler."""
    template = request.scope["path_template"]
    methods = {
        method
        for route in request.app.routes
        if isinstance(route, HTTPRoute) and route.path_format == template
        for method in route.methods
    }
    return Response(b"", status_code=204, headers={"allow": ", ".join(sorted(methods))})


async def _only_from_the_gateway(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    if handler.opt.get("public") or connection.scope["path"].startswith(SCHEMA_PATH):
        return
    token = connection.headers.get(IDENTITY_HEADER)
    if token is None:
        raise UntrustedIdentity("missing")
    connection.state["actor"] = connection.app.state.trust.actor_of(token, at=clock.now())


def _provided(dependencies: Mapping[str, Callable[..., Any]]) -> dict[str, Provide]:
    """Each in need of the one before it: Litestar starts a task group for those that could be had side by side."""
    provided: dict[str, Provide] = {}
    for name, give in dependencies.items():
        before = next(reversed(provided), None)
        provided[name] = Provide(give if before is None else _after(before, give), sync_to_thread=False)
    return provided


def _after(before: str, give: Callable[..., Any]) -> Callable[..., Any]:
    """`give`, in need of one more thing that it has no use for."""

    def given(**needed: Any) -> Any:
        del needed[before]
        return give(**needed)

    own, hints = signature(give), get_type_hints(give)
    more = Parameter(before, Parameter.KEYWORD_ONLY, annotation=NamedDependency[Any])
    # Litestar reads both.
    given.__annotations__ = {**hints, before: NamedDependency[Any]}
    given.__signature__ = own.replace(parameters=[*own.parameters.values(), more])  # pyright: ignore[reportFunctionMemberAccess]
    return given


def _always(value: T) -> Callable[[], T]:
    def provide() -> Any:
        return value

    return provide


def _actor(request: Request[Any, Any, Any]) -> Actor:
    return request.state["actor"]
