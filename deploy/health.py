"""`python -m deploy.health`: whether the process of this container is ready, for Docker's healthcheck."""

from __future__ import annotations

import http.client
import os
import ssl
import sys
from contextlib import closing

TIMEOUT_SECONDS = 8.0


def is_ready(port: int, *, tls: bool) -> bool:
    """Ask the process on this machine. Its certificate names its public name, not this one: it is not looked at."""
    try:
        if tls:
            context = ssl._create_unverified_context()  # noqa: S323, SLF001  # on loopback, and nothing is told
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        with closing(connection):
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


if __name__ == "__main__":
    told = os.environ
    sys.exit(0 if is_ready(int(told.get("SERX_PORT", "8000")), tls="SERX_TLS_CERTIFICATE_PATH" in told) else 1)
