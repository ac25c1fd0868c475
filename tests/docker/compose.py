"""The compose file, run under a project name of its own, on whatever Docker engine answers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "serx-verified"
LABEL = f"label=com.docker.compose.project={PROJECT}"


class Compose:
    """`docker compose` or the older `docker-compose`, with this environment."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = os.environ | {"COMPOSE_PROJECT_NAME": PROJECT} | environment
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
        self._command = ["docker", "compose"] if plugin else [shutil.which("docker-compose") or "docker-compose"]

    def __call__(self, *arguments: str) -> str:
        """Run it and return what it said. Raises CalledProcessError, after showing why."""
        done = subprocess.run(
            [*self._command, *arguments], cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(done.stdout, done.stderr)
            done.check_returncode()
        return done.stdout

    def containers(self) -> dict[str, str]:
        """The container of each replica that serves, by its name such as `orders_1`."""
        told = docker("ps", "--filter", LABEL, "--format", "{{.Names}}")
        return {name.removeprefix(PROJECT).strip("_-"): name for name in sorted(told.split())}


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def logs(container: str) -> str:
    """What a container has printed, on both channels."""
    done = subprocess.run(
        ["docker", "logs", container], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    return done.stdout


def is_healthy(container: str) -> bool:
    """Whether it runs, and says that it is ready, if it says anything: the stream keeper does not."""
    state = json.loads(docker("inspect", "--format", "{{json .State}}", container))
    return state["Running"] and ("Health" not in state or state["Health"]["Status"] == "healthy")


def starts(container: str) -> str:
    """When it was started last: another moment says that it was started again."""
    return docker("inspect", "--format", "{{.State.StartedAt}}", container)


def kill(container: str) -> None:
    """SIGKILL to its main process, as a crash would; `docker kill` would keep it from being started again."""
    os.kill(int(docker("inspect", "--format", "{{.State.Pid}}", container)), signal.SIGKILL)


def rows(container: str, service: str, query: str) -> list[list[str]]:
    """What an administrator reads in a service's database."""
    psql = f'psql -h 127.0.0.1 -U postgres -d serx_{service} -AtF "|" -c "{query}"'
    shell = f"PGPASSWORD=$(cat /run/secrets/serx/password) {psql}"
    told = docker("exec", container, "sh", "-c", shell)
    return [line.split("|") for line in told.splitlines()]
