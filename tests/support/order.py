"""Which files of tests start first: the longest, so that at the end of a run no worker waits for one of them."""

from __future__ import annotations

from typing import Final

LONGEST_FIRST: Final = (
    "process/test_schemathesis.py",
    "process/test_crashes.py",
    "process/test_operators.py",
    "process/test_serx_up.py",
    "process/test_recovery.py",
    "process/test_storm.py",
    "process/test_damaged_folders.py",
    "process/test_frozen.py",
    "process/test_door.py",
    "process/test_status.py",
    "model/test_sign_flow_model.py",
    "component/test_plans.py",
    "component/proof/test_controls.py",
    "component/test_pages.py",
    "unit/test_commands_folders.py",
)
"""Below `tests`; half a minute or more, as `pytest --durations` has it. All others keep their order."""
_PLACES: Final = {name: place for place, name in enumerate(LONGEST_FIRST)}


def place_of(name: str) -> int:
    """Where in a run a file comes, by its path below `tests`."""
    return _PLACES.get(name, len(_PLACES))
