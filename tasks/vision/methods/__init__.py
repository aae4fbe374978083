"""The ways to train a classifier, as objects, and their names for the command line."""

from __future__ import annotations

from bilevel.learned import Direction, Iterate, SampleRMS, Sign, Small
from bilevel.starts import Uniform
from tasks.vision.methods.base import Method
from tasks.vision.methods.learned import L2L
from tasks.vision.methods.per_image import PerImage
from tasks.vision.methods.plain import Plain
from tasks.vision.methods.sign import SignSteps

__all__ = ["L2L", "METHODS", "Method", "PerImage", "Plain", "SignSteps"]

_GRAD_ONLY = (Direction(SampleRMS()),)

METHODS: dict[str, Method] = {
    "plain": Plain(),
    "fgsm": SignSteps(steps=1, step=1.0),
    "fgsm-rs": SignSteps(steps=1, step=1.25, start=Uniform(1.0)),
    "pgm": SignSteps(steps=10, step=0.25),
    "naive-l2l": L2L(inputs=(Iterate(),)),
    "grad-l2l": L2L(),
    "grad-only-l2l": L2L(inputs=_GRAD_ONLY),
    "2-step-l2l": L2L(steps=2),
    "2-step-grad-only-l2l": L2L(inputs=_GRAD_ONLY, steps=2),
    "warm-fgsm": SignSteps(steps=1, step=0.75, warm=0.5),
    # The same step, and a small correction of it that is learned.
    "warm-l2l": L2L(
        inputs=(Iterate(), Direction(SampleRMS()), Direction(Sign())),
        network=Small(width=8, depth=1, zero_last=True),
        base=0.75,
        scale=0.25,
        warm=0.5,
    ),
    # Steps that are trained one by one: the image enters as a constant, and each reaches half as far.
    "k-step-l2l": L2L(inputs=(Iterate(detach=True), Direction(SampleRMS())), steps=3, scale=0.5),
}
"""Names of methods, for the command line; a program passes the objects."""
