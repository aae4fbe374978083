"""Who moves when, and at which point."""

from bilevel.play.alternating import FollowerFirst, LeaderFirst
from bilevel.play.base import Moves, Play
from bilevel.play.simultaneous import Simultaneous

__all__ = ["FollowerFirst", "LeaderFirst", "Moves", "Play", "Simultaneous"]
