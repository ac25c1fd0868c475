"""Where Docker is installed and refuses us, the tests use other servers, and leave nothing open behind them."""

from __future__ import annotations

import gc
import socket
import warnings
from pathlib import Path

import pytest

from tests.support import containers


@pytest.mark.parametrize("there", [True, False])
def test_a_socket_that_refuses_us_is_no_docker_and_leaves_no_socket_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, there: bool
):
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with socket.socket(socket.AF_UNIX) as refusing, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        if there:
            refusing.bind(str(path))  # and nobody listens
        assert containers.has.__wrapped__("postgres:18") is False
        gc.collect()
    assert not [each for each in seen if issubclass(each.category, ResourceWarning)]
