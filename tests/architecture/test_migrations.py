"""Migrations: committed ones never change, versions are unique, and none locks a table that is in use."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from shared.database.migrate import migration_folders
from shared.messaging.topology import SERVICES
from tests.architecture.migrations import ROOT, found, listed


def test_a_migration_that_is_in_the_list_never_changes():
    """Databases that have run it would not run it again. Write another one instead."""
    now = found()
    assert {name: now.get(name) for name in listed()} == listed()


def test_every_migration_is_in_the_list():
    assert set(found()) - set(listed()) == set(), "add it: python -m tests.architecture.migrations"


@pytest.mark.parametrize("service", SERVICES)
def test_versions_are_unique_over_what_a_service_runs(service: str):
    versions = [path.name.partition("_")[0] for folder in migration_folders(service) for path in folder.glob("*.sql")]
    assert [version for version, count in Counter(versions).items() if count > 1] == []
    assert all(re.fullmatch(r"\d{14}", version) for version in versions)


@pytest.mark.parametrize("name", found())
def test_a_migration_gives_up_rather_than_wait_for_a_lock(name: str):
    up, _, down = (ROOT / name).read_text().partition("-- migrate:down")
    assert up.startswith("-- migrate:up\n\nset local lock_timeout = '5s';\n")
    assert down.strip()


def test_squawk_has_nothing_to_say():
    """Which of its rules are left out, and why, is in `.squawk.toml`."""
    squawk = shutil.which("squawk", path=str(Path(sys.executable).parent)) or shutil.which("squawk")
    assert squawk, "squawk-cli is not installed"
    command = [squawk, "--config", ".squawk.toml", *found()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
