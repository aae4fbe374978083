"""Those who imitate nobody: the expert, and a policy that acts at random."""

from __future__ import annotations

import math
from typing import Any, Final

from tasks.gail.build import demonstrations_for
from tasks.gail.config import GAILConfig
from tasks.gail.evaluation import returns_of
from tasks.gail.records import played_record

EXPERT: Final = "expert"
RANDOM: Final = "random policy"
EPISODES: Final = 100
"""So many episodes the random policy plays."""


def bystanders(config: GAILConfig) -> list[dict[str, Any]]:
    """Return what the expert earned in the demonstrated episodes, if that is known, and what a random policy earns.

    Args:
        config: names the environment and the demonstrations.
    """
    expert = demonstrations_for(config).returns
    random = returns_of(None, config, episodes=EPISODES)
    known = [] if math.isnan(expert.mean()) else [played_record(config, EXPERT, expert)]
    return [*known, played_record(config, RANDOM, random)]
