"""Failpoints: inert unless armed; each fires once, over restarts and over processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared import clock
from shared.failpoints import FailpointError, FailpointSpellingError, arm, failpoint, hits, set_clock_error, set_trap

POINT = "orders.after_commit"


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    """Whatever a test arms is disarmed after it."""
    yield
    arm({})


def armed(folder: Path, points: str = "") -> None:
    """As a process would be that was started with this in its environment."""
    arm({"SERX_FAILPOINTS_DIR": str(folder), "SERX_FAILPOINTS": points})


def test_a_point_does_nothing_unless_the_environment_names_a_folder(tmp_path: Path):
    set_trap(tmp_path, POINT, "raise")
    arm({})
    failpoint(POINT)
    assert hits(tmp_path, POINT) == 0


def test_a_point_that_is_not_armed_does_nothing(tmp_path: Path):
    armed(tmp_path, f"{POINT}=raise")
    failpoint("orders.before_commit")
    assert hits(tmp_path, "orders.before_commit") == 0


def test_an_armed_point_fires_once_and_leaves_a_hit(tmp_path: Path):
    armed(tmp_path, f"{POINT}=raise")
    with pytest.raises(FailpointError, match=POINT):
        failpoint(POINT)
    failpoint(POINT)
    assert hits(tmp_path, POINT) == 1


def test_a_restart_does_not_fire_a_point_again(tmp_path: Path):
    armed(tmp_path, f"{POINT}=raise")
    with pytest.raises(FailpointError):
        failpoint(POINT)
    armed(tmp_path, f"{POINT}=raise")
    failpoint(POINT)
    assert hits(tmp_path, POINT) == 1


def test_a_point_can_be_armed_while_the_process_runs_and_again_after_a_hit(tmp_path: Path):
    armed(tmp_path)
    for count in (1, 2):
        set_trap(tmp_path, POINT, "raise")
        with pytest.raises(FailpointError):
            failpoint(POINT)
        assert hits(tmp_path, POINT) == count


def test_several_points_are_armed_at_once(tmp_path: Path):
    armed(tmp_path, "orders.before_t3=raise, orders.after_send.engagement=freeze:0.001 ,")
    with pytest.raises(FailpointError):
        failpoint("orders.before_t3")
    failpoint("orders.after_send.engagement")
    assert hits(tmp_path, "orders.after_send.engagement") == 1


def test_kill_kills_the_process_at_once(tmp_path: Path):
    script = "from shared.failpoints import arm, failpoint; arm(); failpoint('orders.x'); print('still here')"
    environ = os.environ | {"SERX_FAILPOINTS": "orders.x=kill", "SERX_FAILPOINTS_DIR": str(tmp_path)}
    first, second = (
        subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, check=False) for _ in range(2)
    )
    assert (first.returncode, first.stdout) == (-9, b"")
    assert (second.returncode, second.stdout.strip()) == (0, b"still here")
    assert hits(tmp_path, "orders.x") == 1


@pytest.mark.parametrize(
    "points", ["orders.x", "orders.x=", "orders.x=explode", "=kill", "orders x=kill", "x=freeze", "x=kill*"]
)
def test_what_cannot_be_read_stops_the_process_from_starting(tmp_path: Path, points: str):
    with pytest.raises(FailpointSpellingError, match="cannot read"):
        armed(tmp_path, points)


def test_a_clock_is_wrong_by_what_is_set_for_its_process_and_right_again(tmp_path: Path):
    armed(tmp_path)
    set_clock_error(tmp_path, os.getpid(), 3600)
    set_clock_error(tmp_path, os.getpid() + 1, -3600)
    assert clock.now() - datetime.now(UTC) > timedelta(minutes=59)
    set_clock_error(tmp_path, os.getpid(), 0)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=59)


def test_points_need_a_folder_to_count_in():
    with pytest.raises(FailpointSpellingError, match="SERX_FAILPOINTS_DIR"):
        arm({"SERX_FAILPOINTS": "orders.x=kill"})
