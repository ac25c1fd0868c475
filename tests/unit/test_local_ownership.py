"""Whose the folders of a local installation may be, and who else may look into them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.failure import Failure
from deploy.local.folder import Marker, opened, write_private
from deploy.local.ownership import check_private

MAJOR = 18
SOMEBODY = 12345


def made(path: Path, mode: int = 0o700) -> Path:
    path.mkdir()
    write_private(path / "serx.json", Marker(1, MAJOR))
    path.chmod(mode)
    return path


def test_a_new_folder_is_its_users_alone(tmp_path: Path):
    with opened(tmp_path / "data", MAJOR) as folder:
        assert folder.root.stat().st_mode & 0o777 == 0o700


def test_an_empty_folder_that_was_there_is_closed(tmp_path: Path):
    (tmp_path / "data").mkdir(mode=0o755)
    with opened(tmp_path / "data", MAJOR) as folder:
        assert folder.root.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o711, 0o770, 0o701, 0o710, 0o1777])
def test_a_folder_that_lets_others_in_is_refused_in_a_sentence(tmp_path: Path, mode: int):
    root = made(tmp_path / "data", mode)
    with pytest.raises(Failure, match=rf"lets other users in .*chmod 700 {root}"), opened(root, MAJOR):
        pass


@pytest.mark.parametrize("target", ["data", "elsewhere", "nothing"])
def test_a_symbolic_link_is_refused(tmp_path: Path, target: str):
    made(tmp_path / "data")
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / target)
    with pytest.raises(Failure), opened(link, MAJOR):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (tmp_path / "nothing").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("is_empty", [True, False])
def test_a_folder_of_somebody_else_is_refused_and_left_as_it_is(tmp_path: Path, *, is_empty: bool):
    root = tmp_path / "data"
    _ = root.mkdir(mode=0o700) if is_empty else made(root)
    os.chown(root, SOMEBODY, SOMEBODY)
    before = sorted(root.iterdir())
    with pytest.raises(Failure, match=f"belongs to the user {SOMEBODY}, and not to root"), opened(root, MAJOR):
        pass
    assert sorted(root.iterdir()) == before


def test_what_is_no_folder_is_refused(tmp_path: Path):
    (tmp_path / "postgres").write_text("")
    with pytest.raises(Failure, match="is no folder"):
        check_private(tmp_path / "postgres", os.geteuid())


def test_a_link_to_a_database_is_refused(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "postgres").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Failure, match="symbolic link"):
        check_private(tmp_path / "postgres", os.geteuid())
