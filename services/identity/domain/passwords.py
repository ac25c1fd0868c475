"""Passwords: argon2id (RFC 9106), in threads, few at once, in the same time whoever has the address.

Accounts that have the same address in several organisations have the same salt (`accounts.salt_of`), so that one
computation serves all of them: the time of a login does not tell how many there are, nor does it grow with them. A
hash of another salt (of before this rule, or of an address that was changed) is computed apart until its owner logs in.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hmac import compare_digest
from typing import Final
from unicodedata import normalize

from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import hash_secret

from services.identity.model.people import Candidate
from shared.metrics import PASSWORDS_COMPUTED

COMPUTED_TOGETHER: Final = 2
"""A login computes as many hashes as a multiple of this: one other salt beside the address's own shows in no time."""

# The second choice of OWASP's password storage cheat sheet: small enough for a machine that runs everything.
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_SAMPLE: Final = _HASHER.hash("of today's costs")


def hash_password(password: str, *, salt: bytes | None = None) -> str:
    """What is stored of a password, of its NFC; the salt is a random one unless given.

    Takes a core for some 20 ms: call it in a thread.
    """
    return _HASHER.hash(normalize("NFC", password), salt=salt)


class Passwords:
    """Hashes and checks passwords, at most `at_once` at a time."""

    def __init__(self, *, at_once: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._of_nobody = hash_password("the password of an account that does not exist")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn with passwords."""
        async with self._free:
            yield

    async def hashed(self, password: str, salt: bytes) -> str:
        """What is stored of a password."""
        async with self.turn():
            return await asyncio.to_thread(hash_password, password, salt=salt)

    async def matches(self, candidates: Sequence[Candidate], password: str) -> list[Candidate]:
        """The accounts whose password this is, in their order."""
        salts = {_salted(candidate.password_hash): candidate.password_hash for candidate in candidates}
        alike = list(salts.values())
        missing = -len(alike) % COMPUTED_TOGETHER if alike else COMPUTED_TOGETHER
        right: set[str] = set()
        for one in (*alike, *[self._of_nobody] * missing):
            for form in _forms(password):
                right.add(await asyncio.to_thread(_computed, one, form))
                PASSWORDS_COMPUTED.inc()
        return [candidate for candidate in candidates if any(compare_digest(candidate.password_hash, r) for r in right)]


def _forms(password: str) -> list[str]:
    """The password in NFC, and in the forms of which a hash may have been made before there was one form for all."""
    return list(dict.fromkeys((normalize("NFC", password), password, normalize("NFD", password))))


def has_salt(password_hash: str, salt: bytes) -> bool:
    """Whether the hash was made with that salt, and as hashes are made today."""
    return _salt_in(password_hash) == salt and extract_parameters(password_hash) == extract_parameters(_SAMPLE)


def _computed(like: str, password: str) -> str:
    """What would be stored of the password, with the salt and the costs of another hash."""
    costs = extract_parameters(like)
    computed = hash_secret(
        password.encode(),
        _salt_in(like),
        time_cost=costs.time_cost,
        memory_cost=costs.memory_cost,
        parallelism=costs.parallelism,
        hash_len=costs.hash_len,
        type=costs.type,
        version=costs.version,
    )
    return computed.decode()


def _salted(password_hash: str) -> str:
    """All of a hash but what depends on the password."""
    return password_hash.rpartition("$")[0]


def _salt_in(password_hash: str) -> bytes:
    salt = password_hash.split("$")[-2]
    return base64.b64decode(salt + "=" * (-len(salt) % 4))
