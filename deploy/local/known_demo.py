"""The demo organisation as `demo.json` holds it; `deploy.local.demo` makes it, and brings an HTTP client along."""

from __future__ import annotations

import msgspec

from deploy.local.folder import DataFolder, read


class Demo(msgspec.Struct, frozen=True):
    """The client comes with the first signature, and so does its token."""

    org_id: str
    admin_token: str
    admin_user_id: str
    admin_email: str
    admin_password: str
    client_token: str | None = None


def found(folder: DataFolder) -> Demo | None:
    """The demo of an earlier start. Raises Failure when its file is damaged."""
    return read(folder.demo, Demo) if folder.demo.exists() else None
