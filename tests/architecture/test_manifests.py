"""The manifests say what the code does: settings, ports, probes, time to stop, walls; and they are valid, strictly."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from deploy.secret_files import make_secrets
from shared.messaging.topology import PROCESSES, SERVICES
from shared.settings import variable
from tests.architecture.settings_table import shape_of

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "deploy/kubernetes"
OVERLAYS = ("development", "production")
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
BASE = [
    document
    for path in sorted((MANIFESTS / "base").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] != "Kustomization"
]


def of(kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in BASE if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def pod(process: str) -> dict[str, Any]:
    return of("Deployment", process)["spec"]["template"]["spec"]


def container(process: str) -> dict[str, Any]:
    (found,) = pod(process)["containers"]
    return found


def settings_of(process: str) -> dict[str, str]:
    """What the process finds in its environment."""
    told: dict[str, str] = {}
    for source in container(process)["envFrom"]:
        told |= of("ConfigMap", source["configMapRef"]["name"])["data"]
    return told | {each["name"]: each["value"] for each in container(process)["env"]}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `serx secrets` makes."""
    folder = tmp_path_factory.mktemp("secrets")
    make_secrets(folder)
    return folder


def is_enough(process: str, told: set[str], secrets: Path) -> None:
    """Asserts that the process knows every setting that is told, and finds every one that it needs."""
    fields = {variable(field.name): field for field in msgspec.structs.fields(shape_of(process))}
    assert told - {"SERX_SECRETS_DIR"} <= set(fields)
    hidden = {variable(path.name) for path in (secrets / process).iterdir()}
    assert hidden <= set(fields)
    assert {name for name, field in fields.items() if field.required} <= told | hidden


@pytest.mark.parametrize("process", PROCESSES)
def test_a_deployment_tells_its_process_what_it_needs_and_nothing_that_it_does_not_know(process: str, secrets: Path):
    is_enough(process, set(settings_of(process)), secrets)
    assert container(process)["args"] == ["run", process]


@pytest.mark.parametrize("process", PROCESSES)
def test_the_compose_file_tells_a_process_what_it_needs_and_nothing_that_it_does_not_know(process: str, secrets: Path):
    service = COMPOSE["services"][process]
    is_enough(process, set(service["environment"]), secrets)
    assert service["command"] == ["run", process]
    assert service["volumes"] == [f"secrets-{process}:/run/secrets/serx:ro"]


@pytest.mark.parametrize("process", PROCESSES)
def test_ports_and_probes_are_those_of_the_process(process: str):
    told, own = settings_of(process), container(process)
    (port,) = own["ports"]
    assert str(port["containerPort"]) == told["SERX_PORT"]
    (served,) = of("Service", process)["spec"]["ports"]
    assert (served["port"], served["targetPort"]) == (port["containerPort"], port["name"])
    paths = {probe: own[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {
        "startupProbe": "/health/live",
        "livenessProbe": "/health/live",
        "readinessProbe": "/health/ready",
    }


@pytest.mark.parametrize("service", SERVICES)
def test_the_gateway_finds_every_service_where_its_service_is(service: str):
    url = f"http://{service}:{of('Service', service)['spec']['ports'][0]['port']}"
    assert settings_of("gateway")[f"SERX_{service.upper()}_URL"] == url
    assert COMPOSE["services"]["gateway"]["environment"][f"SERX_{service.upper()}_URL"] == url


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_has_the_time_to_finish_what_it_has_begun(process: str):
    waits = int(container(process)["lifecycle"]["preStop"]["exec"]["command"][1])
    drains = float(settings_of(process)["SERX_DRAIN_SECONDS"])
    assert pod(process)["terminationGracePeriodSeconds"] >= waits + 2 * drains
    grace = COMPOSE["services"][process]["stop_grace_period"]
    assert int(grace.removesuffix("s")) >= 2 * drains


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_is_confined(process: str):
    assert container(process)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod(process)["securityContext"]["runAsNonRoot"] is True
    assert pod(process)["automountServiceAccountToken"] is False
    dockerfile = (ROOT / "deploy/docker/Dockerfile").read_text()
    assert f"USER {pod(process)['securityContext']['runAsUser']}:" in dockerfile
    assert COMPOSE["services"][process]["read_only"] is True
    assert COMPOSE["services"][process]["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("service", SERVICES)
def test_only_the_gateway_reaches_a_service_and_a_service_reaches_no_other(service: str):
    policy = of("NetworkPolicy", service)["spec"]
    (way_in,) = policy["ingress"]
    assert [each["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for each in way_in["from"]] == ["gateway"]
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert ports == {5432, 4222, 8222, 53}
    assert "ports" not in COMPOSE["services"][service]
    assert COMPOSE["services"][service]["networks"] == ["inside"]


def test_every_process_has_whatever_keeps_it_available():
    for kind in ("Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy"):
        assert {each["metadata"]["name"] for each in BASE if each["kind"] == kind} >= set(PROCESSES), kind


def test_no_secret_is_in_a_manifest():
    for path in (*MANIFESTS.rglob("*.yaml"), ROOT / "docker-compose.yml"):
        assert not re.search(r"(postgresql|nats|tls)://[^\s/]*@", path.read_text()), path
    assert [each for each in BASE if each["kind"] == "Secret"] == []


@pytest.mark.parametrize("document", BASE, ids=lambda each: f"{each['kind']} {each['metadata']['name']}")
def test_a_manifest_is_valid_strictly(document: dict[str, Any]):
    is_valid(document)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_builds_and_is_valid_strictly(overlay: str):
    built = subprocess.run(
        ["kubectl", "kustomize", str(MANIFESTS / "overlays" / overlay)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    documents = list(yaml.safe_load_all(built.stdout))
    assert len(documents) >= len(BASE)
    for document in documents:
        is_valid(document)


def is_valid(document: dict[str, Any]) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="the schemas are not installed")
    validator.validate(document, validator.latest_version(), strict=True)
