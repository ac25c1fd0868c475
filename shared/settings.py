"""Settings: one frozen struct per process, filled from `SERX_*` in the environment when the process starts.

A field `pool_size` is read from `SERX_POOL_SIZE`; its description is its line in `docs/settings.md`. What is not in the
environment is looked for as a file of the field's name in the folder `SERX_SECRETS_DIR`: Docker and Kubernetes put
secrets there, and an environment is easier to look into.
"""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from shared import spelling

PREFIX = "SERX_"
SECRETS_DIR = "SERX_SECRETS_DIR"

S = TypeVar("S", bound=msgspec.Struct)

Secret = Annotated[str, Meta(min_length=32)]


class SettingsError(Exception):
    """The environment lacks a setting or holds an unusable one; the message names every one of them."""


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every process needs."""

    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on.")] = 8000
    nats_url: Annotated[
        str,
        Meta(
            pattern=r"^(nats|tls|ws|wss)://\S+$",
            examples=["nats://127.0.0.1:4222"],
            description="NATS servers, comma-separated, as `nats://<seed of this process's nkey>@host:port`.",
        ),
    ]
    replica: Annotated[
        str, Meta(pattern="^[A-Za-z0-9_-]{1,40}$", description="Name of this replica; random when not set.")
    ] = msgspec.field(default_factory=lambda: secrets.token_hex(6))
    log_format: Annotated[str, Meta(pattern="^(json|console)$", description="`json` or `console`.")] = "json"
    log_level: Annotated[
        str, Meta(pattern="^(debug|info|warning|error)$", description="Least level that is logged.")
    ] = "info"
    otlp_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://\S+)?$",
            examples=["http://collector:4318/v1/traces"],
            description="Where spans go by OTLP, as `http://collector:4318/v1/traces`; none are made when not set.",
        ),
    ] = ""
    trace_share: Annotated[
        float, Meta(ge=0, le=1, description="Share of the traces that begin here of which spans are sent.")
    ] = 1.0
    drain_seconds: Annotated[
        float, Meta(ge=0, le=3600, description="How long a stopping process may finish the work that it has begun.")
    ] = 10.0
    connections_most: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Most connections from callers at once; 0 = what the limit of open files allows.",
        ),
    ] = 0
    still_seconds: Annotated[
        float,
        Meta(
            gt=0, le=55, description="How long a silent connection, half a request or an unread answer may stand still."
        ),
    ] = 30.0
    transfer_seconds: Annotated[
        float,
        Meta(
            gt=0, le=86400, description="How long the body of a request, or the reading of an answer, may take in all."
        ),
    ] = 120.0
    tls_certificate_path: Annotated[
        str | None,
        Meta(
            description="Certificate chain (PEM) with which this process serves HTTPS; HTTP when not set.",
            examples=["/etc/serx/tls.crt"],
        ),
    ] = None
    tls_key_path: Annotated[
        str | None, Meta(description="The key (PEM) of that certificate.", examples=["/etc/serx/tls.key"])
    ] = None


class ServiceSettings(ProcessSettings, frozen=True, kw_only=True):
    """What every service behind the gateway needs."""

    database_dsn: Annotated[
        str,
        Meta(
            pattern=r"^postgres(ql)?://\S+$",
            examples=["postgresql://serx_orders:password@127.0.0.1:5432/serx_orders"],
            description="PostgreSQL, as the service's own role.",
        ),
    ]
    database_pool_size: Annotated[int, Meta(ge=1, le=500, description="Most connections to PostgreSQL.")] = 16
    database_wait_seconds: Annotated[
        float, Meta(gt=0, le=600, description="How long a request waits for a free connection before it answers 503.")
    ] = 5.0
    internal_keys: Annotated[
        tuple[Secret, ...],
        Meta(min_length=1, description="Accepted keys of the gateway's signed identity, comma-separated."),
    ]
    nats_monitor_url: Annotated[
        str | None,
        Meta(
            examples=["http://127.0.0.1:8222"],
            extra={"check": spelling.http_address},
            description="NATS monitoring address, to check at start that it syncs each message.",
        ),
    ] = None
    concurrent_messages: Annotated[int, Meta(ge=1, le=10_000, description="Messages handled at once.")] = 32


def load(shape: type[S], environ: Mapping[str, str] | None = None) -> S:
    """Fill `shape` from `environ` (the process's own by default).

    Raises SettingsError naming every setting that is missing or unusable, never its value.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    faults: list[str] = []
    for field in msgspec.structs.fields(shape):
        name = variable(field.name)
        try:
            if (text := told(name, environ)) is not None:
                values[field.name] = _value(text, field.type)
            elif field.required:
                faults.append(f"{name} is not set ({_description(field.type)})")
        except SettingsError as error:
            faults.append(f"{name}: {error}")
        except ValueError as error:
            faults.append(f"{name}: {error}; a right one is {name}={spelling.example(field)}")
    if faults:
        raise SettingsError("; ".join(faults))
    return shape(**values)


def told(name: str, environ: Mapping[str, str]) -> str | None:
    """What `name` is set to: in `environ`, or else in the folder of secrets that `environ` names; None if nowhere.

    Raises SettingsError for a secret that is there and cannot be read.
    """
    if name in environ:
        return environ[name]
    if not (folder := environ.get(SECRETS_DIR)):
        return None
    path = Path(folder) / name.removeprefix(PREFIX).lower()
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read ({type(error).__name__})") from error


def variable(field: str) -> str:
    """The environment variable of a field: `pool_size` → `SERX_POOL_SIZE`."""
    return PREFIX + field.upper()


def _value(text: str, kind: Any) -> Any:
    """Raises ValueError with what is wrong, in words; what was written is not among them."""
    try:
        value = msgspec.convert(_split(text, kind), kind, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"must be {spelling.wanted(kind)}") from error
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be {spelling.wanted(kind)}")
    check = spelling.check_of(kind)
    return value if check is None else check(value)


def _split(text: str, kind: Any) -> Any:
    inner = msgspec.inspect.type_info(kind)
    while isinstance(inner, msgspec.inspect.Metadata):
        inner = inner.type
    if isinstance(inner, msgspec.inspect.VarTupleType | msgspec.inspect.ListType):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _description(kind: Any) -> str:
    info = msgspec.inspect.type_info(kind)
    extra = getattr(info, "extra_json_schema", None) or {}
    return extra.get("description", "required")
