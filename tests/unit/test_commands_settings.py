"""What commands read from the environment and from their options: a wrong value is named, and a right one is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.environment import checked
from deploy.failure import Failure
from shared.messaging.topology import SERVICES
from tests.support.command_line import called, commands, required, without_settings

pytestmark = pytest.mark.timeout(20)

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
HUGE = "9" * 5000
DSN = "postgresql://serx_{0}{1}:password@127.0.0.1:1/serx_{0}"
URLS = {f"SERX_{name.upper()}_URL": f"http://127.0.0.1:{port}" for port, name in enumerate(("gateway", *SERVICES), 1)}
DSNS = {f"SERX_{each.upper()}_DATABASE_DSN": DSN.format(each, "") for each in SERVICES}
OWNERS = {f"SERX_{each.upper()}_MIGRATION_DSN": DSN.format(each, "_owner") for each in SERVICES}
ADMIN = {"SERX_ADMIN_DSN": "postgresql://postgres:password@127.0.0.1:1/postgres"}
BROKER = {"SERX_NATS_URL": "nats://operator:password@127.0.0.1:1"}
FOUND = ("org create", "--name", "Agency", "--admin-email", "a@agency.example")
NO_URLS = ("127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://a b", "http://127.0.0.1:x", "http://h:99999", "nan")
NO_DSNS = (
    "127.0.0.1",
    "mysql://h/d",
    "postgresql://",
    "postgresql://h:x/d",
    "postgresql://h:99999/d",
    "postgresql://[",
)
NO_BROKERS = ("127.0.0.1:4222", "http://h:4222", "nats://", "nats://h:x", "nats://h:99999", "nats://a:1,nonsense")
NO_NUMBERS = ("-1", "0", "nan", "inf", "1.5", "1e3", "10s", HUGE, "١")
READ: dict[str, tuple[tuple[str, ...], dict[str, str], tuple[str, ...]]] = {
    **dict.fromkeys((*URLS, "SERX_GATEWAY_METRICS_URL", "SERX_NATS_MONITOR_URL"), (("status",), URLS, NO_URLS)),
    "SERX_PUBLIC_URL": (("demo",), URLS, NO_URLS),
    "SERX_TOKEN": (("demo",), URLS, ("a\nb", "é", "a b", "x" * 501)),
    **dict.fromkeys(DSNS, (("check",), DSNS | BROKER, NO_DSNS)),
    "SERX_NATS_URL": (("check",), DSNS, NO_BROKERS),
    "SERX_SYSTEM_NATS_URL": (("brokers",), {}, NO_BROKERS),
    "SERX_DATABASE_DSN": (FOUND, {"SERX_ADMIN_PASSWORD": "a long password"}, NO_DSNS),
    "SERX_ADMIN_PASSWORD": (FOUND, {"SERX_DATABASE_DSN": DSN.format("identity", "")}, ("short",)),
    "SERX_ADMIN_DSN": (("provision",), DSNS | OWNERS, NO_DSNS),
    **{name: (("provision",), DSNS | OWNERS | ADMIN, (*NO_DSNS, DSN.format("x", ""))) for name in OWNERS},
    "SERX_MIGRATION_DSN": (("migrate", "orders"), {}, NO_DSNS),
    "SERX_ROLE_CONNECTIONS": (("provision",), DSNS | OWNERS | ADMIN, (*NO_NUMBERS, "10001")),
    "SERX_STREAM_REPLICAS": (("streams",), BROKER, (*NO_NUMBERS, "6")),
    "SERX_LISTENERS": (("listeners",), BROKER, ("billing", "billing=", "=order.*", "A B=order.*", "billing=nonsense")),
}
"""A variable: a command that reads it, with what else it needs; wrong values."""


@pytest.mark.parametrize("name", READ)
def test_a_wrong_value_is_named_and_a_right_one_is_shown(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (command, *more), others, wrong = READ[name]
    without_settings(monkeypatch)
    for other, value in others.items():
        monkeypatch.setenv(other, value)
    for value in wrong:
        monkeypatch.setenv(name, value)
        ended = called(monkeypatch, capsys, *command.split(), *more)
        assert (ended.code, ended.output) == (1, ""), (value, ended)
        (sentence,) = ended.errors.splitlines()
        if name != "SERX_ADMIN_PASSWORD":
            assert sentence.startswith(name), (value, sentence)
            assert f"{name}=" in sentence, (value, sentence)
        assert sentence.endswith("."), (value, sentence)
        assert value not in sentence.partition("right one is")[0] or len(value) < 8 or name == "SERX_LISTENERS", (
            sentence
        )


def test_every_variable_that_a_command_reads_is_tried():
    found = {name for path in DEPLOY.rglob("*.py") for name in re.findall(r'"(SERX_[A-Z_]+)"', path.read_text())}
    for_processes = {"HOST", "PORT", "INTERNAL_KEYS", "SESSION_KEYS", "METRICS_PORT", "LOG_FORMAT", "LOG_LEVEL"}
    for_processes |= {"TLS_CERTIFICATE_PATH", "RATE_LIMIT", "DATABASE_POOL_SIZE", "REPLICA", "FAILPOINTS_DIR"}
    assert found - {f"SERX_{each}" for each in for_processes} <= set(READ) | {"SERX_SECRETS_DIR"}


def test_no_command_hands_a_list_of_brokers_to_the_client_library():
    """It would take the list for one address: `shared.messaging.connection` reads it."""
    assert [path for path in DEPLOY.rglob("*.py") if "nats.connect(" in path.read_text()] == []


@pytest.mark.parametrize("name", ["SERX_DATABASE_DSN", "SERX_NATS_URL", "SERX_GATEWAY_URL"])
def test_right_ones_are_taken(name: str):
    right = {
        "SERX_DATABASE_DSN": (
            *DSNS.values(),
            "postgres://u:p%40ss@h/d?sslmode=verify-full",
            "postgresql://u:p@one:5432,two:5433,three/d?target_session_attrs=read-write",
            "postgresql:///d?host=/run/postgresql",
            "postgresql://u@[::1]:5432/d",
        ),
        "SERX_NATS_URL": ("nats://SUAB@h:4222", "nats://u:p@a:1, tls://b:2,wss://c", "nats://[::1]:4222"),
        "SERX_GATEWAY_URL": ("http://127.0.0.1:8000/", "https://api.agency.example/base", "http://[::1]:8000"),
    }
    for value in right[name]:
        assert checked(name, value) == value
    with pytest.raises(Failure) as refused:
        checked(name, "nonsense")
    shown = refused.value.sentence.partition(f"{name}=")[2].removesuffix(".")
    assert checked(name, shown) == shown


NUMBERED = [(command, each) for command, arguments in commands().items() for each in arguments if each.hint is int]
SPANS = [
    (command, each) for command, arguments in commands().items() for each in arguments if "Duration" in str(each.hint)
]


@pytest.mark.parametrize(("command", "name"), [(command, each.name) for command, each in (*NUMBERED, *SPANS)])
def test_an_option_with_a_wrong_number_is_named(
    command: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    without_settings(monkeypatch)
    for value in ("-1", "nan", "inf", "1e3", "", " ", "1,5", "10 s", "9" * 30, "99999999999d", "٣s", "five"):
        ended = called(monkeypatch, capsys, *command.split(), *required(commands()[command]), f"{name}={value}")
        assert (ended.code, ended.output) == (2, ""), (value, ended)
        assert name in ended.errors, (value, ended)
        assert "Traceback" not in ended.errors
        said = " ".join(ended.errors.replace("│", " ").split())
        assert not value.strip() or "is no whole number from" in said or "is no time span" in said, (value, said)


@pytest.mark.parametrize(("command", "name"), [(command, each.name) for command, each in SPANS])
def test_the_spellings_that_the_help_shows_are_taken(
    command: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    without_settings(monkeypatch)
    monkeypatch.setenv("COLUMNS", "200")
    shown = called(monkeypatch, capsys, *command.split(), "--help").output
    line = next(line for line in shown.splitlines() if name in line)
    spelled = set(re.findall(r"\b[0-9]+[smhd]\b", line))
    assert spelled, line
    for value in sorted(spelled):
        given = [*required(commands()[command]), f"{name}={value}", "--data-dir", str(tmp_path)]
        ended = called(monkeypatch, capsys, *command.split(), *given)
        assert (ended.code, "is no data folder" in ended.errors) == (1, True), (value, ended)


@pytest.mark.parametrize("name", ["--postgres", "--nats"])
def test_a_place_of_the_secrets_is_a_host_and_a_port(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for value in (
        "",
        "postgres",
        "postgres:",
        ":5432",
        "a b:5432",
        "postgres:0",
        "postgres:65536",
        f"h:{HUGE}",
        "h:nan",
    ):
        ended = called(monkeypatch, capsys, "secrets", str(tmp_path / "secrets"), f"{name}={value}")
        assert (ended.code, ended.output) == (1, ""), (value, ended)
        assert ended.errors == f"{name} has to be a host and a port, such as {name}=db.internal:5432.\n"
    assert not (tmp_path / "secrets").exists()
