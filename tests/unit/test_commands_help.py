"""Every variable that a command of `serx` reads is named by its help, and in `docs/settings.md`.

What is read is seen at `os.environ` itself, while the commands run: first with nothing set, then with all that they
asked for, until they ask for nothing more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.messaging.topology import SERVICES
from tests.support.command_line import called, commands, required, without_settings

pytestmark = pytest.mark.timeout(60)

PREFIX = "SERX_"
FOLDER = "SERX_SECRETS_DIR"
"""Where every variable may be a file: `serx --help` names it, for all commands."""
STARTS_PROCESSES = {"run", "prove exactly-once", "prove recovery", "prove cluster"}
"""`run` names its settings as a whole, the others read none."""
MORE = {"demo": ["--wait-seconds", "0"]}
ALONE: dict[str, tuple[list[str], ...]] = {"migrate": (["orders"], ["--wait", "orders"])}
"""What else to call a command with, while nothing is set."""
STOPPED = {"up": {"SERX_ROLE_CONNECTIONS": "none"}}
"""A wrong value, which ends a command that would go on."""
DOCUMENTED = (
    (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8").partition("## Commands")[2]
)
OF_A_SERVICE = re.compile("|".join(each.upper() for each in SERVICES))
VALUES = {
    "SERX_ADMIN_PASSWORD": "a long password",
    "SERX_LISTENERS": "billing=order.*",
    "SERX_STREAM_REPLICAS": "1",
    "SERX_ROLE_CONNECTIONS": "100",
    "SERX_TOKEN": "serx_token",
}


def value_of(name: str) -> str:
    """One that is right, of servers that nobody reaches."""
    if name.endswith("NATS_URL"):
        return "nats://operator:password@127.0.0.1:1"
    if name.endswith("DSN"):
        service = name.removeprefix(PREFIX).partition("_")[0].lower()
        owner = "_owner" if "MIGRATION" in name else ""
        return f"postgresql://serx_{service}{owner}:password@127.0.0.1:1/serx_{service}"
    return VALUES.get(name, "http://127.0.0.1:1")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The variables that were asked for so far."""
    asked: set[str] = set()
    environ = type(os.environ)
    get = environ.__getitem__

    def noted(self: Mapping[str, str], name: str) -> str:
        if name.startswith(PREFIX):
            asked.add(name)
        return get(self, name)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(environ, "__getitem__", noted)
    return asked


def in_words(names: set[str]) -> set[str]:
    """Of what is there for each service, as SERX_ORDERS_URL, one stands for all."""
    families: dict[str, set[str]] = {}
    for name in names:
        families.setdefault(OF_A_SERVICE.sub("…", name), set()).add(name)
    return {kind if len(each) > 1 else min(each) for kind, each in families.items()}


def named_in(text: str) -> set[str]:
    names = set(re.findall(r"SERX_[A-Z_-]*[A-Z]", text))
    return names | {OF_A_SERVICE.sub("…", name) for name in names}


def documented(command: str) -> set[str]:
    """What the table says that the command reads."""
    first, _, _ = command.partition(" ")
    names = set()
    for variables, readers, _ in re.findall(r"^\| (.*?) \| (.*?) \| (.*?) \|$", DOCUMENTED, re.MULTILINE):
        if re.search(rf"`(serx )?({command}|{first})\b", readers):
            names |= named_in(variables.replace("<SERVICE>", "ORDERS").replace("<NAME>", "BILLING"))
    return names


@pytest.mark.parametrize("command", sorted(commands().keys() - STARTS_PROCESSES))
def test_the_help_of_a_command_names_the_variables_that_it_reads(
    command: str, reads: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    without_settings(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    shown = called(monkeypatch, capsys, *command.split(), "--help").output
    reads.clear()
    for given in ALONE.get(command, ()):
        called(monkeypatch, capsys, *command.split(), *given)
    for name, value in STOPPED.get(command, {}).items():
        monkeypatch.setenv(name, value)
    given, tried = [*required(commands()[command]), *MORE.get(command, [])], {""}
    while tried != reads:
        tried = set(reads)
        for name in tried - {FOLDER} - STOPPED.get(command, {}).keys():
            monkeypatch.setenv(name, value_of(name))
        assert called(monkeypatch, capsys, *command.split(), *given).code in (0, 1)
    read = in_words(reads - {FOLDER})
    assert read <= named_in(shown), shown
    assert read <= documented(command)


def test_the_help_of_all_names_the_folder_of_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert FOLDER in called(monkeypatch, capsys, "--help").output
