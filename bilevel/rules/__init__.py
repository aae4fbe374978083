"""Update rules: how the follower moves. The learned ones are in `bilevel.learned`."""

from bilevel.rules.adam import Adam
from bilevel.rules.composite import Composite
from bilevel.rules.flattened import Flattened
from bilevel.rules.gradient import Gradient
from bilevel.rules.guarded import Guarded
from bilevel.rules.module import ModuleRule
from bilevel.rules.momentum import Momentum
from bilevel.rules.protocol import Rule, State, sees_gradient, smooth_at_zero
from bilevel.rules.sign import SignGradient
from bilevel.rules.stay import Stay
from bilevel.rules.sum import Sum

__all__ = [
    "Adam",
    "Composite",
    "Flattened",
    "Gradient",
    "Guarded",
    "ModuleRule",
    "Momentum",
    "Rule",
    "SignGradient",
    "State",
    "Stay",
    "Sum",
    "sees_gradient",
    "smooth_at_zero",
]
