"""What the Helm chart of NATS (github.com/nats-io/k8s, 2.14.2) makes of its values: just the rules that ours use.

`files/config/*.yaml` are the documents, `nats.loadMergePatch` changes them, `nats.formatConfig` writes them. Of our
values the chart's own templates make the same text, to the letter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import PurePosixPath
from typing import Any, Final

VERSION: Final = "2.14.2"
RELEASE: Final = "nats"
CONFIG_FOLDER: Final = PurePosixPath("/etc/nats-config")
_KNOWN: Final = {"config", "container", "reloader", "podTemplate", "podDisruptionBudget", "natsBox"}
_KNOWN_CONFIG: Final = {"cluster", "jetstream", "monitor", "merge", "patch"}
_CLIENTS, _ROUTES, _MONITOR = 4222, 6222, 8222


def config_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The document of `nats.conf`, which every server has; `$SERVER_NAME` is the name of its pod."""
    told = values["config"]
    assert set(values) <= _KNOWN, "the rules for this are not written here"
    assert set(told) <= _KNOWN_CONFIG, "the rules for this are not written here"
    config: dict[str, Any] = {
        "server_name": "<< $SERVER_NAME >>",
        "lame_duck_grace_period": "10s",
        "lame_duck_duration": "30s",
        "pid_file": "/var/run/nats/nats.pid",
        "port": _CLIENTS,
    }
    if told["cluster"]["enabled"]:
        own = {"name": RELEASE, "port": _ROUTES, "no_advertise": True, "routes": routes_of(values)}
        config["cluster"] = _changed(own, told["cluster"])
    if told["monitor"]["enabled"]:
        config["http_port"] = _MONITOR
    if told["jetstream"]["enabled"]:
        size = told["jetstream"]["fileStore"]["pvc"]["size"]
        own = {"max_memory_store": 0, "store_dir": "/data", "max_file_store": f"<< {size} >>"}
        config["jetstream"] = _changed(own, told["jetstream"])
    return _changed(config, told)


def routes_of(values: Mapping[str, Any]) -> list[str]:
    """Where the chart has the servers look for each other: each pod, by the name that the headless service gives it."""
    return [f"nats://{name}.{RELEASE}-headless:{_ROUTES}" for name in pods_of(values)]


def pods_of(values: Mapping[str, Any]) -> list[str]:
    return [f"{RELEASE}-{number}" for number in range(values["config"]["cluster"]["replicas"])]


def formatted(config: Mapping[str, Any]) -> str:
    """As `nats.conf`: sorted JSON, in which a key `$include` becomes a directive and `<< … >>` loses its quotes."""
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
    text = re.sub(r'".*\$include": "(.*)",?', r"include \1;", text)
    return re.sub(r'"<<\s+(.*?)\s+>>"', r"\1", text)


def container_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The container `nats`, as far as values change it."""
    mounts = [("config", str(CONFIG_FOLDER)), ("pid", "/var/run/nats"), (f"{RELEASE}-js", "/data")]
    own = {"volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts], "resources": {}}
    return _changed(own, values.get("container", {}))


def pod_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The pod's template, as far as values change it."""
    told = values.get("podTemplate", {})
    spec: dict[str, Any] = {"containers": [container_of(values)], "volumes": [{"name": "config"}, {"name": "pid"}]}
    selector = {"matchLabels": {"app.kubernetes.io/name": "nats", "app.kubernetes.io/instance": RELEASE}}
    spec["topologySpreadConstraints"] = [
        {"topologyKey": key, "labelSelector": selector} | constraint
        for key, constraint in told.get("topologySpreadConstraints", {}).items()
    ]
    return _changed({"metadata": {"labels": selector["matchLabels"]}, "spec": spec}, told)


def _changed(document: dict[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    return _patched(_merged(document, told.get("merge", {})), told.get("patch", ()))


def _merged(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """As Helm's `mergeOverwrite`: maps are merged, anything else is replaced, and what is empty replaces nothing."""
    merged = dict(document)
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merged(merged[key], value)
        elif value or key not in merged:
            merged[key] = value
    return merged


def _patched(document: dict[str, Any], patch: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """RFC 6902: `add` and `remove`, in maps and at the end of a list."""
    patched = deepcopy(document)
    for change in patch:
        *way, last = change["path"].split("/")[1:]
        place: Any = patched
        for step in way:
            place = place[step]
        match change["op"], last:
            case "add", "-":
                place.append(change["value"])
            case "add", key:
                place[key] = change["value"]
            case "remove", key:
                del place[key]
            case other:
                raise AssertionError(f"the rules for {other} are not written here")
    return patched
