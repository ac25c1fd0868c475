"""What hosts and disks of the proof's own are made with: programs of the system, and namespaces of this process."""

from __future__ import annotations

import ctypes
import os
import subprocess

from deploy.failure import Failure

NEW_NET = 0x40000000
NEW_MOUNTS = 0x00020000


def run(*command: str) -> None:
    """Run a program of the system to its end. Raises Failure with what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"The proof's surroundings could not be made: {' '.join(command)}", done.stderr.splitlines())


def unshare(kind: int, purpose: str) -> None:
    """Have a namespace of this process's own, for good. Raises Failure, with the purpose, where there is none."""
    if ctypes.CDLL(None, use_errno=True).unshare(kind):
        raise Failure(f"{purpose}, and there can be none here ({os.strerror(ctypes.get_errno())}).")
