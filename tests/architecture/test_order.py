"""The order in which files of tests start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.order import LONGEST_FIRST, place_of

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("name", LONGEST_FIRST)
def test_each_long_file_is_there_to_start_early(name: str):
    assert (TESTS / name).is_file()


def test_long_files_start_in_their_order_and_before_all_others(request: pytest.FixtureRequest):
    files = dict.fromkeys(item.path.relative_to(TESTS).as_posix() for item in request.session.items)
    places = [place_of(name) for name in files]
    assert places == sorted(places)
    assert place_of("process/test_schemathesis.py") < place_of("process/test_crashes.py") < place_of("unit/test_any.py")
