"""The merged OpenAPI document is checked in, so that a change of the API shows in a diff."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.support.installation import Installation

PAGE = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


async def test_the_document_that_is_checked_in_is_the_one_that_is_served(installation: Installation):
    document = (await installation.call("GET", "/api/openapi.json")).json()
    document["info"]["version"] = "as installed"
    served = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("SERX_RENEW_DOCS"):
        PAGE.write_text(served)
    told = PAGE.read_text()
    assert told == served, "renew it: SERX_RENEW_DOCS=1 python -m pytest tests/process/test_openapi.py"
