"""`serx secrets` and `serx listeners` where an installation is known by its secrets: listeners come and go."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy import listening
from deploy.failure import Failure
from deploy.secret_files import make_secrets

HEARS = "proposal.signed,order.*"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The secrets of an installation with a listener, as its operator's commands find them."""
    make_secrets(tmp_path, listener=[f"billing={HEARS}"])
    monkeypatch.setenv("SERX_SECRETS_DIR", str(tmp_path / "administration"))
    return tmp_path


def test_listeners_are_listed_with_their_logins(folder: Path, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    listening.list_all()
    url = (folder / "administration/listener-billing_nats_url").read_text().strip()
    assert capsys.readouterr().out == f"billing hears proposal.signed, order.*: {url}\n"


def test_a_listeners_folder_that_was_lost_is_made_again_with_the_same_login(folder: Path):
    own = folder / "listener-billing/nats_url"
    before = own.read_text()
    own.unlink()
    own.parent.rmdir()
    make_secrets(folder)
    assert own.read_text() == before


def test_a_listener_that_is_forgotten_cannot_log_in(folder: Path):
    assert "listener-billing" in (folder / "nats/nats.conf").read_text()
    with pytest.raises(Failure, match="serx secrets --forget billing"):
        listening.remove("billing")
    make_secrets(folder, forget=["billing"])
    assert "listener-billing" not in (folder / "nats/nats.conf").read_text()
    assert not (folder / "administration/listener-billing_nats_url").exists()
    make_secrets(folder)
    assert not (folder / "listener-billing/nats_url").exists()


def test_nobody_is_forgotten_who_is_no_listener(folder: Path):
    with pytest.raises(Failure, match="There is no listener 'mail'; there are billing"):
        make_secrets(folder, forget=["mail"])
