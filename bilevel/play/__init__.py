"""Who moves when, and at which point."""

from bilevel.play.alternating import FollowerFirst, LeaderFirst
from bilevel.play.base import Moves, Play
from bilevel.play.competitive import CompetitiveGradient
from bilevel.play.consensus import Consensus
from bilevel.play.extragradient import Extragradient
from bilevel.play.lookahead import Lookahead
from bilevel.play.negative_momentum import NegativeMomentum
from bilevel.play.optimistic import Optimistic
from bilevel.play.past_extragradient import PastExtragradient
from bilevel.play.simultaneous import Simultaneous
from bilevel.play.symplectic import SymplecticAdjustment
from bilevel.play.teaching import Teaching

__all__ = [
    "CompetitiveGradient",
    "Consensus",
    "Extragradient",
    "FollowerFirst",
    "LeaderFirst",
    "Lookahead",
    "Moves",
    "NegativeMomentum",
    "Optimistic",
    "PastExtragradient",
    "Play",
    "Simultaneous",
    "SymplecticAdjustment",
    "Teaching",
]
