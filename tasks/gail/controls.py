"""What imitation is to be compared with: the same training without what it is said to need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tasks.gail.config import GAILConfig

RATES: Final = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
"""Rates of Adam of which the best is chosen for the hand-written method."""

APART: Final = 5_000
"""Is added to a seed for the trainings by which a rate is chosen: they are never those that are reported."""


def compared(config: GAILConfig, rate: float) -> list[GAILConfig]:
    """Return the trainings to be reported: both methods and both controls, each with the settings of ``config``.

    - ``gail``: the discriminator is moved by Adam at ``rate``;
    - ``l2l``: by a rule that learns;
    - ``base``: by the gradient step of that rule alone, with nothing learned added;
    - ``frozen``: not at all; it says one half of every pair.

    Args:
        config: the settings, those of l2l.
        rate: Adam's.
    """
    by_hand = replace(config, method="gail", updater="adam", updater_rate=rate)
    base = replace(config, method="base", updater_rate=None)
    return [by_hand, config, base, replace(config, method="frozen", updater=None, updater_rate=None)]


def rivals(config: GAILConfig, seeds: Sequence[int]) -> list[GAILConfig]:
    """Return the trainings by which the rate of the hand-written method is chosen.

    Args:
        config: the settings that all share.
        seeds: those of the trainings to be reported; here others are used, half as many of them.
    """
    apart = [seed + APART for seed in seeds][: (len(seeds) + 1) // 2]
    by_hand = replace(config, method="gail", updater="adam")
    return [replace(by_hand, updater_rate=rate, seed=seed) for rate in RATES for seed in apart]
