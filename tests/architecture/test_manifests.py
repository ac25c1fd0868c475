"""The manifests say what the code does: settings, ports, probes, time to stop, walls; and they are valid, strictly."""

from __future__ import annotations

import re
import shutil
import subprocess
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from deploy.operators import site
from deploy.provisioning import OWNER_CONNECTIONS, ROLE_CONNECTIONS
from deploy.secret_files import make_secrets
from deploy.status import places
from gateway.places import LOOK_SECONDS
from shared.messaging.topology import PROCESSES, SERVICES
from shared.settings import variable
from tests.architecture.settings_table import shape_of
from tests.support import nats_chart

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "deploy/kubernetes"
OVERLAYS = ("development", "production")
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def generated(folder: str) -> list[dict[str, Any]]:
    """The config maps that a kustomization makes, without the hash of their names."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": each["name"]},
            "data": dict(literal.split("=", 1) for literal in each["literals"]),
        }
        for each in yaml.safe_load((MANIFESTS / folder / "kustomization.yaml").read_text())["configMapGenerator"]
    ]


BASE = [
    document
    for path in sorted((MANIFESTS / "base").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] != "Kustomization"
] + generated("base")


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
    wanted = {"http": told["SERX_PORT"]}
    if process == "gateway":
        wanted["metrics"] = told["SERX_METRICS_PORT"]
    assert {port["name"]: str(port["containerPort"]) for port in own["ports"]} == wanted
    served = of("Service", process)["spec"]["ports"]
    assert {port["targetPort"]: str(port["port"]) for port in served} == wanted
    paths = {probe: own[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {
        "startupProbe": "/health/live",
        "livenessProbe": "/health/live",
        "readinessProbe": "/health/ready",
    }


def test_where_several_replicas_are_one_unready_is_never_all_unready():
    """What is the same for all replicas is no part of readiness; compose, which takes nobody away, asks for it."""
    assert 'CMD ["python", "-m", "deploy.health"]' in (ROOT / "deploy/docker/Dockerfile").read_text()
    assert "healthcheck" not in COMPOSE["services"]["gateway"]
    for service in SERVICES:
        test = COMPOSE["services"][service]["healthcheck"]["test"]
        assert test == ["CMD", "python", "-m", "deploy.health", "/health"]


@pytest.mark.parametrize("service", SERVICES)
def test_the_gateway_finds_every_service_where_its_service_is(service: str):
    url = f"http://{service}:{of('Service', service)['spec']['ports'][0]['port']}"
    assert settings_of("gateway")[f"SERX_{service.upper()}_URL"] == url
    assert COMPOSE["services"]["gateway"]["environment"][f"SERX_{service.upper()}_URL"] == url


@pytest.mark.parametrize("service", SERVICES)
def test_the_gateway_knows_every_replica_and_has_left_one_before_it_stops(service: str):
    """By a balancer's one address it could not leave out a silent replica, nor send a read to another."""
    assert of("Service", service)["spec"]["clusterIP"] == "None"
    waits = int(container(service)["lifecycle"]["preStop"]["exec"]["command"][1])
    assert waits >= LOOK_SECONDS + ANSWER_LIVES_SECONDS


ANSWER_LIVES_SECONDS = 5
"""Of CoreDNS about a Service, where nothing else is configured (https://coredns.io/plugins/kubernetes/, `ttl`)."""


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
def test_the_gateway_operators_and_prometheus_reach_a_service_which_reaches_no_other(service: str):
    policy = of("NetworkPolicy", service)["spec"]
    callers = {name for name, labels in PODS.items() if lets_in(service, 8000, labels)}
    assert callers == {"gateway", "operator"}
    assert lets_in(service, 8000, PROMETHEUS, "monitoring")
    assert not lets_in(service, 8000, PROMETHEUS)
    assert not lets_in(service, 8000, STRANGER, "monitoring")
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert ports == {5432, 4222, 53}
    assert "ports" not in COMPOSE["services"][service]
    assert COMPOSE["services"][service]["networks"] == [service, f"{service}-database"]


def test_every_process_has_whatever_keeps_it_available():
    for kind in ("Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy"):
        assert {each["metadata"]["name"] for each in BASE if each["kind"] == kind} >= set(PROCESSES), kind


def workloads() -> list[dict[str, Any]]:
    """Everything that runs pods."""
    return [each for each in BASE if "template" in each.get("spec", {})]


def pods_of(workload: dict[str, Any]) -> dict[str, Any]:
    return workload["spec"]["template"]["spec"]


def by_name(document: dict[str, Any]) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


@pytest.mark.parametrize("workload", workloads(), ids=by_name)
def test_every_container_says_what_it_needs_and_has_a_limit_for_each_resource(workload: dict[str, Any]):
    for each in [*pods_of(workload)["containers"], *pods_of(workload).get("initContainers", [])]:
        for kind in ("requests", "limits"):
            assert set(each["resources"][kind]) == {"cpu", "memory", "ephemeral-storage"}, kind
    for volume in pods_of(workload)["volumes"]:
        assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": ""}), volume["name"]


@pytest.mark.parametrize("workload", workloads(), ids=by_name)
def test_every_workload_is_confined_and_has_a_wall(workload: dict[str, Any]):
    own = pods_of(workload)
    assert own["automountServiceAccountToken"] is False
    assert own["securityContext"]["runAsNonRoot"] is True
    for each in own["containers"]:
        assert each["securityContext"]["readOnlyRootFilesystem"] is True
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    labels = workload["spec"]["template"]["metadata"]["labels"]
    selected = [each for each in policies() if selects(each["spec"]["podSelector"], labels)]
    assert {"nothing", workload["metadata"]["name"]} <= {each["metadata"]["name"] for each in selected}


def policies() -> list[dict[str, Any]]:
    return [each for each in BASE if each["kind"] == "NetworkPolicy"]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a pod with these labels is meant, as Kubernetes has it."""
    matches = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return matches and all(
        {"In": labels.get(each["key"]) in each.get("values", ())}[each["operator"]]
        for each in selector.get("matchExpressions", ())
    )


@pytest.mark.parametrize("policy", policies(), ids=by_name)
def test_no_wall_lets_anybody_in_from_everywhere_or_to_every_port(policy: dict[str, Any]):
    for rule in policy["spec"].get("ingress", ()):
        assert rule.get("from")
        assert rule.get("ports")
        for peer in rule["from"]:
            assert peer.get("podSelector") or peer["namespaceSelector"]["matchLabels"]
    for rule in policy["spec"].get("egress", ()):
        assert rule.get("to")
        assert rule.get("ports")


def lets_in(policy: str, port: int, labels: dict[str, str], namespace: str | None = None) -> bool:
    """Whether a pod of the same (or another) namespace reaches that port past this policy."""
    for rule in of("NetworkPolicy", policy)["spec"].get("ingress", ()):
        if port not in {each["port"] for each in rule["ports"]}:
            continue
        for peer in rule["from"]:
            wanted = peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name")
            if wanted == namespace and selects(peer.get("podSelector", {}), labels):
                return True
    return False


def documents_of(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((MANIFESTS / "examples" / name).read_text()))


OPERATOR, OPERATOR_POLICY = documents_of("operator.yaml")
PODS = {each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"] for each in workloads()}
PODS |= {"operator": OPERATOR["metadata"]["labels"]}
STRANGER = {"app.kubernetes.io/name": "stranger"}
BROKER_POD = {"app.kubernetes.io/name": "nats"}
DATABASE_POD = {"cnpg.io/cluster": "serx"}
PROMETHEUS = {"app.kubernetes.io/name": "prometheus"}


def test_the_broker_is_reached_by_our_pods_alone_and_its_routes_and_monitoring_by_fewer():
    for name, labels in PODS.items():
        assert lets_in("nats", 4222, labels) == (name in {*PROCESSES, "streams", "operator"}), name
        assert not lets_in("nats", 6222, labels)
        assert not lets_in("nats", 8222, labels)
    assert lets_in("nats", 6222, BROKER_POD)
    assert lets_in("nats", 8222, PROMETHEUS, "monitoring")
    for port in (4222, 6222, 8222):
        assert not lets_in("nats", port, STRANGER)
        assert not lets_in("nats", port, STRANGER, "monitoring")
        assert not lets_in("nats", port, DATABASE_POD)


def test_the_database_is_reached_by_services_the_migration_and_operators_alone():
    for name, labels in PODS.items():
        assert lets_in("postgres", 5432, labels) == (name in {*SERVICES, "migration", "operator"}), name
        assert not lets_in("postgres", 8000, labels)
    for port in (5432, 8000, 9187):
        assert not lets_in("postgres", port, STRANGER)
        assert not lets_in("postgres", port, BROKER_POD)


def test_the_gateway_is_reached_by_the_ingress_controller_and_operators_alone():
    ingress = {"app.kubernetes.io/name": "ingress-nginx"}
    assert lets_in("gateway", 8000, ingress, "ingress-nginx")
    assert not lets_in("gateway", 8000, ingress)
    assert not lets_in("gateway", 8000, STRANGER, "ingress-nginx")
    assert not lets_in("gateway", 8000, PROMETHEUS, "monitoring")
    assert {name for name, labels in PODS.items() if lets_in("gateway", 8000, labels)} == {"operator"}


def test_the_metrics_of_the_gateway_are_for_prometheus_and_operators_alone():
    port = int(settings_of("gateway")["SERX_METRICS_PORT"])
    assert lets_in("gateway", port, PROMETHEUS, "monitoring")
    assert not lets_in("gateway", port, PROMETHEUS)
    assert not lets_in("gateway", port, STRANGER, "monitoring")
    assert not lets_in("gateway", port, {"app.kubernetes.io/name": "ingress-nginx"}, "ingress-nginx")
    assert {name for name, labels in PODS.items() if lets_in("gateway", port, labels)} == {"operator"}


def test_prometheus_scrapes_each_process_once_where_its_metrics_are():
    (job,) = example("prometheus.yaml")["scrape_configs"]
    keep, *named = job["relabel_configs"]
    scraped = {
        (workload["metadata"]["name"], port["name"])
        for workload in workloads()
        for init in (False, True)
        for each in pods_of(workload).get("initContainers" if init else "containers", [])
        for port in each.get("ports", [{"name": "", "containerPort": 0}])
        if re.fullmatch(
            keep["regex"], ";".join(discovered(workload, port, init=init)[x] for x in keep["source_labels"])
        )
    }
    assert scraped == {("gateway", "metrics"), *((service, "http") for service in SERVICES)}
    assert {each["target_label"]: each["source_labels"] for each in named}["job"] == [f"{POD_LABEL}_name"]


POD_LABEL = "__meta_kubernetes_pod_label_app_kubernetes_io"


def discovered(workload: dict[str, Any], port: dict[str, Any], *, init: bool) -> dict[str, str]:
    """What Prometheus knows of a container's port, by its discovery of pods."""
    labels = workload["spec"]["template"]["metadata"]["labels"]
    found = {"__meta_kubernetes_pod_label_" + re.sub(r"[^a-zA-Z0-9]", "_", key): value for key, value in labels.items()}
    known = {
        "__meta_kubernetes_pod_container_init": str(init).lower(),
        "__meta_kubernetes_pod_container_port_name": port["name"],
        "__meta_kubernetes_pod_label_serx_dev_kind": "",
    }
    return known | found


@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_of_a_new_release_waits_for_the_migration_as_the_service(service: str):
    (wait,) = pod(service)["initContainers"]
    assert wait["args"] == ["migrate", "--wait", service]
    assert wait["image"] == container(service)["image"] == pods_of(of("Job", "migration"))["containers"][0]["image"]
    assert wait["volumeMounts"] == container(service)["volumeMounts"], "its own secrets, no owner's"
    assert wait["securityContext"] == container(service)["securityContext"]
    assert container(service)["volumeMounts"][0]["name"] == "secrets"
    assert of("Job", "migration")["spec"]["ttlSecondsAfterFinished"] <= 600, "the next one cannot be applied before"


@pytest.mark.parametrize("process", PROCESSES)
def test_replicas_are_on_different_nodes_where_there_are_two(process: str):
    (spread,) = pod(process)["topologySpreadConstraints"]
    assert spread["labelSelector"] == of("Deployment", process)["spec"]["selector"]
    assert {key: value for key, value in spread.items() if key != "labelSelector"} == {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "nodeTaintsPolicy": "Honor",
        "matchLabelKeys": ["pod-template-hash"],
    }


def scaling(process: str) -> dict[str, Any]:
    return of("HorizontalPodAutoscaler", process)["spec"]


@pytest.mark.parametrize("process", PROCESSES)
def test_replicas_are_added_before_a_process_has_used_up_its_core(process: str):
    (metric,) = scaling(process)["metrics"]
    target = metric["resource"]["target"]
    assert target["type"] == "AverageValue", "not a share of what is asked for, which is what an idle process takes"
    assert 500 <= int(target["averageValue"].removesuffix("m")) <= 800
    assert int(container(process)["resources"]["limits"]["cpu"]) >= 1
    assert scaling(process)["minReplicas"] == 2
    assert "replicas" not in of("Deployment", process)["spec"], "an upgrade would take away what was added"


def test_as_many_replicas_as_there_may_be_have_their_connections():
    pool = int(settings_of("orders")["SERX_DATABASE_POOL_SIZE"])
    most = 0
    for service in SERVICES:
        surge = of("Deployment", service)["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
        replicas = scaling(service)["maxReplicas"] + surge + STOPPING
        assert pool * replicas <= ROLE_CONNECTIONS, service
        most += pool * replicas + OWNER_CONNECTIONS
    parameters = example("postgres.cloudnative-pg.yaml")["spec"]["postgresql"]["parameters"]
    assert most + OTHERS <= int(parameters["max_connections"])


STOPPING = 1
"""Replicas that finish what they have begun while a rollout goes on to the next."""
OTHERS = 20
"""Connections of superusers, CloudNativePG, operators' commands and pods that wait for a migration."""


def test_what_was_answered_is_on_two_of_three_instances_of_the_database():
    spec = example("postgres.cloudnative-pg.yaml")["spec"]
    assert spec["instances"] == 3
    assert spec["affinity"]["podAntiAffinityType"] == "required"
    assert spec["postgresql"]["synchronous"] == {
        "method": "any",
        "number": 1,
        "dataDurability": "required",
        "failoverQuorum": True,
    }


def test_the_superusers_password_is_the_one_that_provision_logs_in_with(secrets: Path):
    """A Secret made of the file has it as it is: to its last byte."""
    text = (MANIFESTS / "examples/postgres.cloudnative-pg.yaml").read_text()
    (key, file), *_ = re.findall(r"--from-file=(\w+)=DIR/(\S+)", text)
    assert key == "password"
    admin = (secrets / "administration/admin_dsn").read_text()
    assert f"//postgres:{(secrets / file).read_text()}@" in admin
    (named,) = re.findall(r"create secret generic (\S+) --type=kubernetes.io/basic-auth", text)
    assert yaml.safe_load(text)["spec"]["superuserSecret"] == {"name": named}
    assert re.findall(r"--postgres (\S+):5432", text) == [f"{yaml.safe_load(text)['metadata']['name']}-rw"]


def test_the_operators_pod_knows_where_everything_is_and_reaches_it(secrets: Path):
    (own,) = OPERATOR["spec"]["containers"]
    environ = {each["name"]: each["value"] for each in own["env"]} | {
        "SERX_SECRETS_DIR": str(secrets / "administration")
    }
    found = places.found(None, environ)
    for name, (address,) in {**found.processes, "gateway metrics": found.metrics["gateway"]}.items():
        host, _, port = address.removeprefix("http://").partition(":")
        assert host == name.partition(" ")[0]
        assert int(port) in {each["port"] for each in of("Service", host)["spec"]["ports"]}
    reached = {port["port"] for rule in OPERATOR_POLICY["spec"]["egress"] for port in rule["ports"]}
    assert reached == {8000, int(settings_of("gateway")["SERX_METRICS_PORT"]), 5432, 4222, 53}
    assert found.broker_login == site.found(None, environ).broker
    assert OPERATOR["spec"]["volumes"] == pods_of(of("Job", "migration"))["volumes"]
    assert selects(OPERATOR_POLICY["spec"]["podSelector"], OPERATOR["metadata"]["labels"])


def test_no_manifest_trusts_a_network_that_nobody_has_named():
    (told,) = [each["data"] for each in generated("overlays/production") if "SERX_PUBLIC_URL" in each["data"]]
    with pytest.raises(ValueError, match="network"):
        ip_network(told["SERX_TRUSTED_PROXIES"])
    assert "SERX_TRUSTED_PROXIES" not in settings_of("gateway")
    assert COMPOSE["services"]["gateway"]["environment"]["SERX_TRUSTED_PROXIES"] == "${SERX_TRUSTED_PROXIES:-}"


def test_the_stream_keeper_runs_once_in_each_installation_with_its_own_secret(secrets: Path):
    (own,) = pods_of(of("Deployment", "streams"))["containers"]
    assert own["args"] == COMPOSE["services"]["streams"]["command"] == ["streams", "--watch"]
    (volume,) = [each for each in pods_of(of("Deployment", "streams"))["volumes"] if each["name"] == "secrets"]
    assert volume["secret"]["secretName"] == "serx-streams"
    assert COMPOSE["services"]["streams"]["volumes"] == ["secrets-streams:/run/secrets/serx:ro"]
    assert [path.name for path in (secrets / "streams").iterdir()] == ["nats_url"]
    assert set(of("ConfigMap", "serx-streams")["data"]) == {"SERX_STREAM_REPLICAS"}


def test_compose_publishes_the_gateway_alone_and_on_this_host_alone():
    published = {name: each["ports"] for name, each in COMPOSE["services"].items() if "ports" in each}
    assert published == {"gateway": ["${SERX_PUBLISH:-127.0.0.1:8000}:8000"]}
    assert on_network("edge") == {"gateway"}
    assert {name for name, network in COMPOSE["networks"].items() if not network.get("internal")} == {"edge"}


def on_network(network: str) -> set[str]:
    return {name for name, each in COMPOSE["services"].items() if network in each.get("networks", ())}


def test_compose_has_a_network_for_each_who_needs_another_and_no_wider_one():
    wanted = {"edge": {"gateway"}, "administration": {"postgres", "migration", "serx"}}
    wanted |= {"streams": {"nats", "streams"}, "listeners": {"nats", "listener"}}
    for service in SERVICES:
        wanted |= {service: {service, "gateway", "nats", "serx"}, f"{service}-database": {service, "postgres"}}
    assert {network: on_network(network) for network in COMPOSE["networks"]} == wanted
    for name, each in COMPOSE["services"].items():
        assert each.get("networks") or each["network_mode"] == "none", name


CAPABILITIES = {"postgres": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}}
"""It begins as root, gives its volume to the user `postgres`, and becomes that one."""


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_compose_bounds_and_confines_every_container(name: str):
    service = COMPOSE["services"][name]
    assert {"mem_limit", "cpus", "pids_limit", "logging"} <= set(service)
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert set(service.get("cap_add", ())) <= CAPABILITIES.get(name, set())
    assert all("size=" in each for each in service["tmpfs"])


def test_the_operators_container_knows_where_everything_is(secrets: Path):
    service = COMPOSE["services"]["serx"]
    environ = {**service["environment"], "SERX_SECRETS_DIR": str(secrets / "administration")}
    found = places.found(None, environ)
    gateway = COMPOSE["services"]["gateway"]["environment"]
    assert found.processes == {
        "gateway": ("http://gateway:8000",),
        **{each: (gateway[f"SERX_{each.upper()}_URL"],) for each in SERVICES},
    }
    assert found.broker_login == site.found(None, environ).broker
    assert set(site.found(None, environ).dsns()) == set(SERVICES)


def test_a_listeners_own_folder_can_be_made_in_compose_and_its_login_stays():
    service = COMPOSE["services"]["secrets"]
    assert "/secrets" in [each.partition(":")[0] for each in service["tmpfs"]]
    assert "secrets-administration:/secrets/administration" in service["volumes"]


def test_the_monitoring_of_a_broker_that_we_configure_is_for_its_own_host_alone(secrets: Path):
    assert 'http: "127.0.0.1:8222"' in (secrets / "nats/nats.conf").read_text()


def test_the_servers_of_the_examples_have_a_limit_for_each_resource():
    nats, postgres = example("nats.values.yaml"), example("postgres.cloudnative-pg.yaml")
    containers = [nats["container"]["merge"], nats["reloader"]["merge"], postgres["spec"]]
    for each in containers:
        for kind in ("requests", "limits"):
            assert set(each["resources"][kind]) == {"cpu", "memory", "ephemeral-storage"}
    limit = int(nats["container"]["merge"]["resources"]["limits"]["memory"].removesuffix("Gi")) * 1024
    assert 0.8 * limit <= int(nats["container"]["env"]["GOMEMLIMIT"].removesuffix("MiB")) < limit


def test_the_brokers_of_the_example_are_on_three_nodes():
    pod = nats_chart.pod_of(example("nats.values.yaml"))
    (spread,) = pod["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert {key: spread[key] for key in ("topologyKey", "maxSkew", "minDomains", "whenUnsatisfiable")} == {
        "topologyKey": "kubernetes.io/hostname",
        "maxSkew": 1,
        "minDomains": 3,
        "whenUnsatisfiable": "DoNotSchedule",
    }


def example(name: str) -> dict[str, Any]:
    return yaml.safe_load((MANIFESTS / "examples" / name).read_text())


def test_no_secret_is_in_a_manifest():
    for path in (*MANIFESTS.rglob("*.yaml"), ROOT / "docker-compose.yml"):
        assert not re.search(r"(postgresql|nats|tls)://[^\s/]*@", path.read_text()), path
    assert [each for each in BASE if each["kind"] == "Secret"] == []


@pytest.mark.parametrize("document", [*BASE, OPERATOR, OPERATOR_POLICY], ids=by_name)
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
    if overlay == "production":
        images = re.findall(r"image: (.*)", built.stdout)
        assert images
        assert all(re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", image) for image in images)
    assert len(documents) >= len(BASE)
    for document in documents:
        is_valid(document)
    a_changed_setting_replaces_pods(documents)
    # Policies select pods of their own namespace, which is there before and stays when what is in it is deleted.
    namespace = yaml.safe_load((MANIFESTS / "overlays" / overlay / "namespace.yaml").read_text())
    is_valid(namespace)
    assert {each["metadata"]["namespace"] for each in documents} == {namespace["metadata"]["name"]}


def a_changed_setting_replaces_pods(documents: list[dict[str, Any]]) -> None:
    """A pod's template names its settings by a hash of what they say."""
    made = {each["metadata"]["name"]: each["data"] for each in documents if each["kind"] == "ConfigMap"}
    read = {
        source["configMapRef"]["name"]
        for document in documents
        if document["kind"] == "Deployment"
        for source in pods_of(document)["containers"][0]["envFrom"]
    }
    assert read == set(made)
    assert {name.rpartition("-")[0] for name in made} == {each["metadata"]["name"] for each in generated("base")}


def is_valid(document: dict[str, Any]) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="the schemas are not installed")
    validator.validate(document, validator.latest_version(), strict=True)
