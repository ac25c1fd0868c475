"""The list of migrations. `python -m tests.architecture.migrations` adds those that it does not have yet."""

from __future__ import annotations

import hashlib
from pathlib import Path

from shared.database.migrate import SHARED

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("migrations.sha256")


def found() -> dict[str, str]:
    """The SHA-256 of every migration, by its path in the repository."""
    folders = [*(ROOT / folder for folder in SHARED), *sorted((ROOT / "services").glob("*/store/migrations"))]
    files = [path for folder in folders for path in sorted(folder.glob("*.sql"))]
    return {str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def listed() -> dict[str, str]:
    """What the list says, as `sha256sum -c` reads it."""
    lines = LIST.read_text().splitlines() if LIST.exists() else []
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


if __name__ == "__main__":
    LIST.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted((found() | listed()).items())))
