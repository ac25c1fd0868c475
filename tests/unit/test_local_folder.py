"""The data folder: what is refused, in which words, and what a reader of its files can rely on."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from deploy.failure import Failure
from deploy.local import credentials
from deploy.local.folder import LAYOUT, DataFolder, Marker, opened, write_private
from shared.messaging.topology import PROCESSES, SERVICES

MAJOR = 18


def written_by(postgres_major: int, folder: DataFolder) -> None:
    (folder.postgres / "global").mkdir(parents=True)
    (folder.postgres / "global" / "pg_control").touch()
    (folder.postgres / "PG_VERSION").write_text(f"{postgres_major}\n", encoding="ascii")
    write_private(folder.marker, Marker(LAYOUT, postgres_major))
    write_private(folder.secrets, {})


def refusal(root: Path) -> str:
    with pytest.raises(Failure) as failure, opened(root, MAJOR):
        pass
    return failure.value.sentence


def test_a_new_folder_is_closed_to_others(tmp_path: Path) -> None:
    with opened(tmp_path / "data", MAJOR) as folder:
        assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700
        assert stat.S_IMODE(folder.marker.stat().st_mode) == 0o600


def test_a_folder_can_be_opened_again(tmp_path: Path) -> None:
    for _ in range(2):
        with opened(tmp_path / "data", MAJOR):
            pass


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with opened(tmp_path, MAJOR):
        assert refusal(tmp_path).startswith("Another `serx up` (pid ")


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    assert "was not made by `serx up` (it holds holiday.jpg)" in refusal(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    assert "cannot be used: File exists" in refusal(tmp_path / "data")


def test_a_half_written_database_is_refused(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    written_by(MAJOR, folder)
    (folder.postgres / "global" / "pg_control").unlink()
    assert "is incomplete" in refusal(tmp_path)


def test_a_database_of_another_postgresql_is_refused(tmp_path: Path) -> None:
    written_by(17, DataFolder(tmp_path))
    assert "was written by PostgreSQL 17, and this is PostgreSQL 18" in refusal(tmp_path)


def test_a_database_without_its_passwords_is_refused(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    written_by(MAJOR, folder)
    folder.secrets.unlink()
    assert "The passwords of the data folder are gone" in refusal(tmp_path)


def test_a_damaged_marker_is_refused(tmp_path: Path) -> None:
    DataFolder(tmp_path).marker.write_text('{"layout":', encoding="utf-8")
    assert "is damaged" in refusal(tmp_path)


def test_an_old_ready_file_does_not_outlive_its_run(tmp_path: Path) -> None:
    with opened(tmp_path, MAJOR) as folder:
        folder.ready.touch()
    with opened(tmp_path, MAJOR) as folder:
        assert not folder.ready.exists()


def test_credentials_are_made_once_and_found_again(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    first, second = credentials.ensure(folder), credentials.ensure(folder)
    assert [first.nats(process) for process in PROCESSES] == [second.nats(process) for process in PROCESSES]
    assert stat.S_IMODE(folder.secrets.stat().st_mode) == 0o600


def test_no_credential_serves_two_purposes(tmp_path: Path) -> None:
    made = credentials.ensure(DataFolder(tmp_path))
    each = [made.postgres_admin, made.nats_operator, made.session_keys, made.demo_admin]
    each += [made.nats(process) for process in PROCESSES]
    for service in SERVICES:
        each += [made.owner(service), made.database(service), made.internal_key(service)]
    assert len(set(each)) == len(each)
    assert all(len(value) >= 32 for value in each)
