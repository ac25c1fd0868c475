"""What the processes write down: enough to follow a request, and nothing that would let anybody in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.installation import Installation

LIKE_A_TOKEN = re.compile(r"serx_[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}|\$argon2")
PASSWORD = "correct horse battery staple"


def logs(installation: Installation) -> dict[str, str]:
    return {path.name: path.read_text(errors="replace") for path in (installation.folder / "logs").glob("*.log")}


def secrets(installation: Installation) -> dict[str, str]:
    """Every password, key and token that the installation knows, by what it is for."""
    known: dict[str, Any] = json.loads((installation.folder / "secrets.json").read_bytes())
    demo = installation.ready["demo"]
    return known | {name: demo[name] for name in ("admin_token", "client_token", "admin_password")}


def command_lines(installation: Installation) -> Iterator[tuple[str, str]]:
    for name, running in installation.ready["services"].items():
        yield name, Path(f"/proc/{running['pid']}/cmdline").read_bytes().replace(b"\0", b" ").decode()


async def make_secrets_pass_through(installation: Installation) -> list[str]:
    """Log in rightly and wrongly, make a token, sign, send what cannot be read; returns what must not be seen."""
    demo = installation.ready["demo"]
    right = {"email": demo["admin_email"], "password": demo["admin_password"]}
    login = await installation.call_as(None, "POST", "/api/auth/login", json=right)
    assert login.status_code == 200, login.text
    session = login.json()["token"]
    wrong = await installation.call_as(None, "POST", "/api/auth/login", json=right | {"password": PASSWORD})
    assert wrong.status_code == 401
    unreadable = await installation.call_as(None, "POST", "/api/auth/login", content=f'{{"password": "{PASSWORD}",')
    assert unreadable.status_code in (400, 415)
    me = await installation.call_as(session, "GET", "/api/auth/me")
    assert me.status_code == 200
    token = await installation.call("POST", "/api/tokens", json={"name": "for a test", "role": "member"})
    assert token.status_code == 201, token.text
    signed = await installation.sign(await installation.sent_proposal())
    assert signed.status_code == 200, signed.text
    assert (await installation.call_as("serx_" + "x" * 43, "GET", "/api/orders")).status_code == 401
    return [session, token.json()["token"], PASSWORD]


async def test_no_log_and_no_command_line_holds_a_secret(installation: Installation):
    passed = await make_secrets_pass_through(installation)
    known = secrets(installation)
    assert len(known) > 20
    for where, text in [*logs(installation).items(), *command_lines(installation)]:
        assert [name for name, secret in known.items() if secret in text] == [], where
        assert [secret for secret in passed if secret in text] == [], where
        assert LIKE_A_TOKEN.findall(text) == [], where


async def test_every_line_of_ours_is_json_and_says_which_process(installation: Installation):
    for name in ("gateway", "identity", "proposals", "engagements", "conversations", "orders"):
        lines = logs(installation)[f"{name}.log"].splitlines()
        told = [json.loads(line) for line in lines if not line.startswith("---")]
        assert told, name
        assert {line["process"] for line in told} == {name}
        assert all({"level", "timestamp", "event"} <= set(line) for line in told)
