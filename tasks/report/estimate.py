"""An accuracy measured with one seed or several, and how sure it is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Estimate:
    """An accuracy, one value a seed.

    Attributes:
        values: the accuracies in [0, 1], one a seed, at least one.
        counts: how many images each was measured on; ``None`` where that is not known.
    """

    values: tuple[float, ...]
    counts: tuple[int | None, ...]

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return math.fsum(self.values) / len(self.values)

    @property
    def worst(self) -> float:
        """The lowest accuracy of any seed."""
        return min(self.values)

    @property
    def spread(self) -> float | None:
        """The sample standard deviation over the seeds; ``None`` for one seed."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def binomial(self) -> float | None:
        """The binomial standard error of the mean, ``sqrt(Σ_s p_s (1 − p_s) / n_s) / S``; ``None`` without counts.

        It takes the images of different seeds as different ones.
        """
        if not all(self.counts):
            return None
        variance = math.fsum(p * (1 - p) / n for p, n in zip(self.values, self.counts, strict=True) if n)
        return math.sqrt(variance) / len(self.values)

    @property
    def stderr(self) -> float | None:
        """The standard error of the mean: the larger of the binomial one and ``spread / sqrt(S)``.

        Few seeds can agree by chance, so their spread alone is not trusted below what the images allow.
        """
        between = None if self.spread is None else self.spread / math.sqrt(len(self.values))
        known = [error for error in (self.binomial, between) if error is not None]
        return max(known) if known else None


def combine(weights: Sequence[float], errors: Sequence[float | None]) -> float | None:
    """Return the standard error of ``Σ w_i x_i`` for independent ``x_i``; ``None`` if one that counts is unknown."""
    used = [(weight, error) for weight, error in zip(weights, errors, strict=True) if weight]
    if any(error is None for _, error in used):
        return None
    return math.sqrt(math.fsum((weight * error) ** 2 for weight, error in used if error is not None))
