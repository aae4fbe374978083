"""Every hypergradient, by name."""

from __future__ import annotations

from bilevel import (
    Checkpointed,
    Direct,
    EvolutionStrategy,
    FiniteDifference,
    Implicit,
    SteadyRule,
    Truncated,
    Unrolled,
    ValueFunction,
)
from bilevel.linear import ConjugateGradient, Dense, FixedPoint, Neumann

STEP = 0.3
IMPLICIT = {
    "conjugate gradient": Implicit(ConjugateGradient()),
    "neumann": Implicit(Neumann(400, STEP)),
    "fixed point": Implicit(FixedPoint(400)),
    "dense": Implicit(Dense()),
    "dense, of the rule": Implicit(Dense(), SteadyRule()),
}
AT_THE_OPTIMUM = {
    "unrolled": Unrolled(),
    "checkpointed": Checkpointed(),
    "truncated": Truncated(300),
    **IMPLICIT,
}
ALL = {
    "direct": Direct(),
    "unrolled": Unrolled(),
    "checkpointed": Checkpointed(2),
    "truncated": Truncated(2),
    **IMPLICIT,
    "finite difference": FiniteDifference(),
    "evolution strategy": EvolutionStrategy(sigma=0.1, pairs=3),
    "value function": ValueFunction(10.0),
}
