"""`python -m deploy.health [PATH]`: whether the process of this container answers 200 there, for Docker's healthcheck.

`/health/ready` when nothing is named; a service's `/health` also says whether what it needs is there.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys
from contextlib import closing

TIMEOUT_SECONDS = 8.0


def is_ready(port: int, *, tls: bool, path: str = "/health/ready") -> bool:
    """Ask the process on this machine. Its certificate names its public name, not this one: it is not looked at."""
    try:
        if tls:
            context = ssl._create_unverified_context()  # noqa: S323, SLF001  # on loopback, and nothing is told
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        with closing(connection):
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


if __name__ == "__main__":
    told = os.environ
    where = (sys.argv[1:] or ["/health/ready"])[0]
    sys.exit(
        0 if is_ready(int(told.get("SERX_PORT", "8000")), tls="SERX_TLS_CERTIFICATE_PATH" in told, path=where) else 1
    )
