"""Every command that takes a data folder, on every folder that it cannot use: one sentence, status 1, in seconds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import deploy.local.up
import deploy.status.looking
import deploy.status.tables  # noqa: F401  # before the user changes, who may not see where they are
from tests.support.command_line import as_somebody_else, called, commands, required, without_settings
from tests.support.damage import GARBAGE, Damage, changed, in_its_place, overwritten, removed
from tests.support.folders import killed

pytestmark = pytest.mark.timeout(20)

ON_A_FOLDER = {
    name: arguments for name, arguments in commands().items() if any(each.name == "--data-dir" for each in arguments)
}
CONTENTS = {"garbage": GARBAGE, "cut": b'{"a', "a list": b"[]", "empty": b"{}"}
NO_FOLDERS: dict[str, Damage] = {
    "no folder": shutil.rmtree,
    "a file in its place": lambda folder: (shutil.rmtree(folder), folder.touch()),
    "somebody's photographs": lambda folder: (shutil.rmtree(folder), folder.mkdir(), (folder / "a.jpg").touch()),
    "of an older version": changed("serx.json", layout=0),
    "of a newer version": changed("serx.json", layout=2),
    **{f"serx.json: {kind}": overwritten("serx.json", content) for kind, content in CONTENTS.items()},
    "serx.json: a folder": in_its_place("serx.json", a_folder=True),
}
"""What no command can use."""
NOT_SERVING: dict[str, Damage] = {
    "killed": lambda folder: folder,
    "stopped": removed("ready.json"),
    **{
        f"{name}: {kind}": overwritten(name, content)
        for name in ("secrets.json", "ports.json", "processes.json", "demo.json", "ready.json", "listeners")
        for kind, content in CONTENTS.items()
    },
    **{
        f"{name}: a folder": in_its_place(name, a_folder=True)
        for name in ("secrets.json", "ports.json", "ready.json", "listeners")
    },
}
"""What only `serx up` and `serx listeners list` may find good enough."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return killed(tmp_path_factory.mktemp("template") / "data").root


@pytest.fixture
def folder(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    without_settings(monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path))
    return Path(shutil.copytree(template, tmp_path / "data"))


def arguments(command: str, folder: Path) -> list[str]:
    return [*command.split(), *required(ON_A_FOLDER[command]), "--data-dir", str(folder)]


def test_the_commands_are_found():
    assert {"up", "status", "check", "demo", "sagas list", "parked retry", "outbox", "listeners add"} <= set(
        ON_A_FOLDER
    )


@pytest.mark.parametrize("state", [*NO_FOLDERS, *NOT_SERVING])
def test_a_folder_that_cannot_be_used_is_refused_in_a_sentence(
    folder: Path, state: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (NO_FOLDERS | NOT_SERVING)[state](folder)
    untried = {"up"} if state in NOT_SERVING or state == "no folder" else set[str]()
    untried |= {"listeners list"} if state in NOT_SERVING else set()
    for command in set(ON_A_FOLDER) - untried:
        ended = called(monkeypatch, capsys, *arguments(command, folder))
        assert (ended.code, ended.output) == (1, ""), (command, ended)
        assert_is_a_sentence(ended.errors, command, str(folder))


@pytest.mark.parametrize(
    "damage",
    [
        *(overwritten("ports.json", content) for content in CONTENTS.values()),
        changed("ports.json", nats_monitor=0),
        changed("ports.json", nats=65536),
        removed("ports.json"),
        changed("ready.json", services={}),
    ],
)
@pytest.mark.parametrize("command", ["status", "listeners add"])
def test_what_a_serving_one_lacks_is_named(
    tmp_path: Path, command: str, damage: Damage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    without_settings(monkeypatch)
    folder = killed(tmp_path / "data", pid=os.getpid()).root
    damage(folder)
    ended = called(monkeypatch, capsys, *arguments(command, folder))
    assert (ended.code, ended.output) == (1, "")
    assert_is_a_sentence(ended.errors, command, str(folder))


def test_listeners_change_nothing_when_the_secrets_are_incomplete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    without_settings(monkeypatch)
    folder = killed(tmp_path / "data", pid=os.getpid())
    overwritten("secrets.json", b"{}")(folder.root)
    ended = called(monkeypatch, capsys, *arguments("listeners add", folder.root))
    assert "lacks postgres.admin" in ended.errors
    assert folder.secrets.read_bytes() == b"{}"
    assert not (folder.root / "listeners").exists()


@pytest.mark.parametrize("command", ON_A_FOLDER)
def test_a_folder_of_somebody_else_is_refused_in_a_sentence(
    folder: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    if os.geteuid() == 0:
        with as_somebody_else():
            ended = called(monkeypatch, capsys, *arguments(command, folder))
    else:
        folder.chmod(0)
        try:
            ended = called(monkeypatch, capsys, *arguments(command, folder))
        finally:
            folder.chmod(0o700)
    assert (ended.code, ended.output) == (1, ""), ended
    assert_is_a_sentence(ended.errors, command, str(folder))


def assert_is_a_sentence(said: str, command: str, names: str) -> None:
    first, *rest = said.splitlines()
    assert names in first, (command, said)
    assert first[0].isupper() or first.startswith(("/", "serx ")), (command, said)
    assert first.endswith((".", "?")), (command, said)
    assert all(line.startswith("  ") for line in rest), (command, said)
    assert "Error" not in first.replace("(ConnectionRefusedError)", ""), (command, said)
