"""Passwords: argon2id (RFC 9106), in threads, few at once, in the same time whether the account exists or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from unicodedata import normalize

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from services.identity.model.people import Candidate

# The second choice of OWASP's password storage cheat sheet: small enough for a machine that runs everything.
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_password(password: str) -> str:
    """What is stored of a password, of its NFC. Takes a core for some 20 ms: call it in a thread."""
    return _HASHER.hash(normalize("NFC", password))


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

    async def hashed(self, password: str) -> str:
        """What is stored of a password."""
        async with self.turn():
            return await asyncio.to_thread(hash_password, password)

    async def first_match(self, candidates: Sequence[Candidate], password: str) -> Candidate | None:
        """The first account whose password this is; for no account at all, the time of one is spent."""
        for candidate in candidates:
            if await asyncio.to_thread(_matches, candidate.password_hash, password):
                return candidate
        if not candidates:
            await asyncio.to_thread(_matches, self._of_nobody, password)
        return None


def _matches(password_hash: str, password: str) -> bool:
    return any(_is_of(password_hash, form) for form in _forms(password))


def _forms(password: str) -> list[str]:
    """The password in NFC, and in the forms of which a hash may have been made before there was one form for all."""
    return list(dict.fromkeys((normalize("NFC", password), password, normalize("NFD", password))))


def _is_of(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except VerifyMismatchError:
        return False
