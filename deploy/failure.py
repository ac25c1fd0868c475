"""What keeps `serx` from doing its work, told to the person at the terminal."""

from __future__ import annotations

from collections.abc import Sequence


class Failure(Exception):
    """One clear sentence for the terminal; `evidence` are lines (of a log, of a tool's output) to show under it."""

    def __init__(self, sentence: str, evidence: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.evidence = tuple(evidence)
