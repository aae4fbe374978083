"""The ways to train a classifier, as objects, and their names for the command line."""

from __future__ import annotations

from dataclasses import replace

from bilevel.learned import Direction, Iterate, SampleRMS, Sign, Small
from bilevel.play import FollowerFirst
from bilevel.starts import Uniform
from tasks.vision.games import Interpolation, Trades
from tasks.vision.games.trades import START as TRADES_START
from tasks.vision.methods.base import Method
from tasks.vision.methods.learned import L2L
from tasks.vision.methods.per_image import PerImage
from tasks.vision.methods.plain import Plain
from tasks.vision.methods.sign import SignSteps
from tasks.vision.methods.stability import Stability
from tasks.vision.methods.teacher import Teacher

__all__ = ["AIT_METHODS", "L2L", "METHODS", "Method", "PerImage", "Plain", "SignSteps", "Stability", "Teacher"]

_GRAD_ONLY = (Direction(SampleRMS()),)

_PAPER: dict[str, L2L] = {
    "naive-l2l": L2L(inputs=(Iterate(),)),
    "grad-l2l": L2L(),
    "grad-only-l2l": L2L(inputs=_GRAD_ONLY),
    "2-step-l2l": L2L(steps=2),
    "2-step-grad-only-l2l": L2L(inputs=_GRAD_ONLY, steps=2),
}

# Steps that are trained one by one: the image enters as a constant, and each reaches half as far.
_K_STEP = L2L(inputs=(Iterate(detach=True), Direction(SampleRMS())), steps=3, scale=0.5)

METHODS: dict[str, Method] = {
    "plain": Plain(),
    "stability": Stability(),
    "fgsm": SignSteps(steps=1, step=1.0),
    "fgsm-rs": SignSteps(steps=1, step=1.25, start=Uniform(1.0)),
    "pgm": SignSteps(steps=10, step=0.25),
    "trades": SignSteps(steps=10, step=0.25, start=TRADES_START, game=Trades()),
    **_PAPER,
    "warm-fgsm": SignSteps(steps=1, step=0.75, warm=0.5),
    # The same step, and a small correction of it that is learned.
    "warm-l2l": L2L(
        inputs=(Iterate(), Direction(SampleRMS()), Direction(Sign())),
        network=Small(width=8, depth=1, zero_last=True),
        base=0.75,
        scale=0.25,
        warm=0.5,
    ),
    "k-step-l2l": _K_STEP,
    "teacher-l2l": Teacher(),
}
"""Names of methods of distributionally robust optimization (DRO), for the command line; a program passes the
objects."""

AIT_METHODS: dict[str, Method] = {
    "ait": SignSteps(steps=1, step=1.0, start=Uniform(1.0, feasible=False), game=Interpolation()),
    # Algorithm 4: φ first, then θ on the same images.
    **{
        name: replace(method, game=Interpolation(), play=FollowerFirst(same_answer=True))
        for name, method in {**_PAPER, "k-step-l2l": _K_STEP}.items()
    },
}
"""Names of methods of adversarial interpolation training (AIT)."""
