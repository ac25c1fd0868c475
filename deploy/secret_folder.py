"""A folder of secrets, a file for each: what is there stays as it is."""

from __future__ import annotations

from pathlib import Path


class SecretFolder:
    """Writes files that only their owner reads, or everybody if `mode` says so. Every method raises OSError."""

    def __init__(self, root: Path, *, mode: int) -> None:
        self.root = root
        self.made = 0
        self.changed = 0
        self._mode = mode

    def ensure(self, name: str, fresh: str) -> str:
        """What the file says; `fresh`, once it says nothing yet."""
        found = self.read(name)
        if found is not None:
            return found
        self.write(name, fresh + "\n")
        self.made += 1
        return fresh

    def change(self, name: str, text: str) -> str:
        """Have the file say `text`."""
        if self.read(name) != text:
            self.write(name, text + "\n")
            self.changed += 1
        return text

    def read(self, name: str) -> str | None:
        """What the file says; None if there is none."""
        path = self.root / name
        return path.read_text(encoding="utf-8").strip() if path.exists() else None

    def remove(self, name: str) -> None:
        """Nothing if there is none."""
        (self.root / name).unlink(missing_ok=True)

    def write(self, name: str, text: str) -> None:
        """Whole or not at all: a start that is killed leaves no half of a secret."""
        path = self.root / name
        path.parent.mkdir(mode=0o755 if self._mode & 0o004 else 0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600, exist_ok=False)
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(self._mode)
        fresh.replace(path)
