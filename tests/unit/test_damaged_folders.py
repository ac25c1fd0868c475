"""`serx up` on a folder whose files are damaged: one sentence, status 1, and nothing is launched."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deploy import cli
from tests.support.damage import GARBAGE, Damage, all_of, changed, in_its_place, overwritten, removed, running
from tests.support.folders import stopped

NUMBERS = (0, -1, 65536, 10**12)
CONTENTS = {"empty": b"", "cut": b'{"postgres', "garbage": GARBAGE, "a list": b"[]", "another shape": b'{"a": {}}'}
JSON_FILES = ("serx.json", "secrets.json", "ports.json", "processes.json", "demo.json")
CASES: dict[str, tuple[Damage, str]] = {
    **{
        f"{name}: {kind}": (overwritten(name, content), f"{name} is damaged")
        for name in JSON_FILES
        for kind, content in CONTENTS.items()
    },
    **{f"ports.json: {number}": (changed("ports.json", nats=number), f"the number {number}") for number in NUMBERS},
    **{f"{name}: a folder": (in_its_place(name, a_folder=True), name) for name in ("lock", "ready.json", *JSON_FILES)},
    **{f"{name}: a file": (in_its_place(name, a_folder=False), name) for name in ("logs", "nats", "postgres")},
    "secrets.json: no password": (changed("secrets.json", postgres__admin=None), "lacks postgres.admin"),
    "secrets.json: a password that is none": (
        changed("secrets.json", database__orders="p@ss"),
        "database.orders is no secret of ours",
    ),
    "secrets.json: a key that is none": (
        changed("secrets.json", nkey__orders="S" * 58),
        "nkey.orders is no secret of ours",
    ),
    "secrets.json: gone": (removed("secrets.json"), "The passwords of the data folder are"),
    "postgres: gone": (removed("postgres"), "The database of the data folder is gone"),
    "postgres and demo.json: gone": (removed("postgres", "demo.json"), "The database of the data folder is gone"),
    "postgres: gone, of an older version": (
        all_of(removed("postgres"), changed("serx.json", has_database=None)),
        "The database of the data folder is gone",
    ),
    "PG_VERSION: garbage": (overwritten("postgres/PG_VERSION", GARBAGE), "PG_VERSION holds no version"),
    "PG_VERSION: gone": (removed("postgres/PG_VERSION"), "is incomplete"),
    "pg_control: gone": (removed("postgres/global/pg_control"), "is incomplete"),
    "serx.json: another version": (changed("serx.json", layout=2), "another version of serx"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_damaged_folder_is_refused_in_one_sentence(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    folder = stopped(tmp_path / "data").root
    damage, words = CASES[case]
    damage(folder)
    monkeypatch.setattr(sys, "argv", ["serx", "up", "--data-dir", str(folder), "--port", "0"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (1, "")
    assert words in printed.err.splitlines()[0]
    assert len(printed.err.splitlines()) == 1
    assert not running(folder)
