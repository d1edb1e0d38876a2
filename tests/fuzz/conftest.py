"""Seeded mutations of what comes in from outside: each is answered by a sentence, none by a hang.

`bash scripts/test fuzz --fuzz-times 20 --fuzz-seed 7` tries twenty times as many, and others.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Fuzz:
    """Where the mutations of one test come from."""

    seed: int
    times: float

    def rounds(self, usual: int) -> Iterator[random.Random]:
        """One generator for each round, made from the seed and the round's number."""
        for number in range(max(1, int(usual * self.times))):
            yield random.Random(f"{self.seed}-{number}")


@pytest.fixture
def fuzz(request: pytest.FixtureRequest) -> Fuzz:
    """The seed and length that the command line asks for."""
    option: Callable[[str], float] = request.config.getoption
    return Fuzz(int(option("--fuzz-seed")), option("--fuzz-times"))
