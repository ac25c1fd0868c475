"""Schemathesis against a running gateway: requests made of the OpenAPI document, answers held to it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import msgspec

EXAMPLES = os.environ.get("SERX_TEST_FUZZ_EXAMPLES", "3")
"""How many examples a route; 1000 for a full run."""
FULL_RUN = 100
"""From so many examples on a run leaves nothing out."""
REFUSALS = ("2xx", "304", "401", "403", "404", "409", "412", "422", "429")
"""What a request that the document allows may be told: whether things are there, whose, and how they stand."""
REJECTIONS = ("400", "401", "403", "404", "405", "409", "412", "413", "415", "422", "429")
"""What a request that the document does not allow may be told."""
RULES_BEYOND = {
    "POST /api/tokens": "`expires_at` is in the future; `client_id` goes with the role client",
    "POST /api/proposals": "the sum of the items has a bound too",
    "PUT /api/proposals/{proposal_id}": "the sum of the items has a bound too",
    "POST /api/proposals/{proposal_id}/sign": "the data URL holds an image",
}
"""What the document has only words for: there a good request may be told 400 too."""
LONG = 1_000
"""A text's bound above this is left out: a text of a pattern that is longer is minutes' work to make up.

These bounds are tried by tests/process/test_long_texts.py, and tests/architecture/test_bounds.py asks for them.
"""


@dataclass(frozen=True)
class Caller:
    """Who asks: a credential, ids that it may meet by the name of their path parameter, and ids that must stay."""

    token: str
    ids: Mapping[str, str]
    kept: tuple[str, ...] = ()
    is_client: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    code: int
    output: str


async def fuzzed(gateway_url: str, caller: Caller, folder: Path) -> Outcome:
    """Every route, in all phases: the document's examples, its boundaries, chance, and chains of calls.

    What Schemathesis says goes into `folder`, as `output`: a run of an hour can be followed there.
    """
    (folder / "openapi.json").write_bytes(await _document(gateway_url))
    config = folder / "schemathesis.toml"
    config.write_text(_config(caller))
    (folder / "kept-ids").write_text(" ".join(caller.kept))
    output = folder / "output"
    with output.open("wb") as said:
        code = await _run(gateway_url, config, folder, said)
    return Outcome(code, output.read_text(errors="replace"))


async def _run(gateway_url: str, config: Path, folder: Path, said: BinaryIO) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
        *("run", "openapi.json", "--url", gateway_url, "--max-examples", EXAMPLES, "--checks", "all"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure", "--seed", "1"),
        cwd=folder,
        stdout=said,
        stderr=asyncio.subprocess.STDOUT,
    )
    return await process.wait()


async def _document(gateway_url: str) -> bytes:
    """The document that is served, less its long bounds."""
    async with httpx.AsyncClient() as http:
        answer = (await http.get(f"{gateway_url}/api/openapi.json")).raise_for_status()
    return msgspec.json.encode(_without_long_bounds(answer.json()))


def _without_long_bounds(node: Any) -> Any:
    match node:
        case dict():
            copy = {key: _without_long_bounds(value) for key, value in node.items()}
            if isinstance(bound := copy.get("maxLength"), int) and bound > LONG:
                del copy["maxLength"]
            return copy
        case list():
            return [_without_long_bounds(value) for value in node]
        case _:
            return node


def _config(caller: Caller) -> str:
    lines = [
        f"hooks = {_text(str(Path(__file__).with_name('fuzz_hooks.py')))}",
        "color = false",
        'suppress-health-check = ["too_slow"]',  # the machine may be busy: no fault of the document's
        "[generation]",
        'database = "none"',  # what it kept it would search for the best, for hours, and send nothing meanwhile
        "allow-x00 = false",  # PostgreSQL keeps no U+0000 in text; JSON Schema has no word for that
        "[headers]",
        f"Authorization = {_text(f'Bearer {caller.token}')}",
        "[checks.negative_data_rejection]",
        f"expected-statuses = {_text(REJECTIONS)}",
        "[checks.positive_data_acceptance]",
        f"expected-statuses = {_text(REFUSALS)}",
        *(_beyond(route) for route in RULES_BEYOND),
        *_phases(caller),
        *(f"[dictionaries.{name}]\nvalues = {_text([value])}" for name, value in caller.ids.items()),
        "[parameters]",
        *(f'"path.{name}" = {{ dictionary = "{name}", probability = 0.5 }}' for name in caller.ids),
    ]
    return "\n".join(lines) + "\n"


def _beyond(route: str) -> str:
    expected = f"checks.positive_data_acceptance.expected-statuses = {_text((*REFUSALS, '400'))}"
    return f"[[operations]]\ninclude-name = {_text(route)}\n{expected}"


def _phases(caller: Caller) -> tuple[str, ...]:
    """All of them in a full run; in `make test` the boundaries are for staff alone: they meet the same validation."""
    return ("[phases.coverage]", "enabled = false") if caller.is_client and int(EXAMPLES) < FULL_RUN else ()


def _text(value: Any) -> str:
    """As TOML spells it, which for text and lists of text is as JSON does."""
    return msgspec.json.encode(value).decode()
