"""How the leader sees the follower's answer."""

from bilevel.hypergradient.base import Hypergradient, LeaderGradient
from bilevel.hypergradient.direct import Direct

__all__ = ["Direct", "Hypergradient", "LeaderGradient"]
