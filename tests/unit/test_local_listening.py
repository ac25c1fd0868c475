"""Who listens on a port, as an ordinary user sees it: the open files of a process that has ended are root's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from deploy.local.listening import listener, listens

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="who has a port is seen in Linux's /proc")
AS_AN_ORDINARY_USER = """
import os, sys
from deploy.local.listening import listens
pid, port = int(sys.argv[1]), int(sys.argv[2])
listens(pid, port)  # what is imported on the way is read while it may be
if os.geteuid() == 0:
    os.setuid(65534)
print(listens(pid, port))
"""


@pytest.fixture
def port() -> Iterator[int]:
    """One on which this very process listens."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        yield door.getsockname()[1]


@pytest.fixture
def idle() -> Iterator[int]:
    """A process that listens nowhere, until its input ends."""
    process = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate()


def seen_by_an_ordinary_user(pid: int, port: int) -> bool:
    command = [sys.executable, "-c", AS_AN_ORDINARY_USER, str(pid), str(port)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout == "True\n"


def test_a_process_that_has_ended_listens_nowhere(port: int):
    with subprocess.Popen(["/bin/true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # and its parent has not yet asked how
        assert not seen_by_an_ordinary_user(ended.pid, port)
    assert not seen_by_an_ordinary_user(ended.pid, port)


def test_a_process_listens_where_it_does_and_nowhere_else(port: int, idle: int):
    assert listens(os.getpid(), port)
    assert listener(port) == os.getpid()
    assert not listens(idle, port)


def test_what_another_user_may_not_see_of_a_living_process_is_believed(port: int, idle: int):
    others = idle if os.geteuid() == 0 else 1
    assert seen_by_an_ordinary_user(others, port)
