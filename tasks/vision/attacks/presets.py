"""The attacks of the papers, their steps in proportion to the radius."""

from __future__ import annotations

from bilevel.starts import Center, Gaussian, Start, Uniform
from tasks.names import look_up
from tasks.vision.attacks.base import check_eps
from tasks.vision.attacks.losses import Margin
from tasks.vision.attacks.projected_gradient import PGM

STARTS: dict[str, Start] = {
    "tiny": Uniform(1e-4 / 0.031),
    "zero": Center(),
    "ball": Uniform(1.0),
    "code": Uniform(1.0, feasible=False),
    "gaussian": Gaussian(0.001 / 0.031),
}
"""Where PGM may begin, in multiples of ε, as papers and code have it at ε = 0.031.

tiny: in a ball of 1e-4 (Jiang et al. 2021, section 4); zero: at the clean image (Eq. 4); ball: anywhere in the ball
(the preprint); code: there too, but not clamped to [0, 1] before the first gradient (the evaluation code); gaussian:
0.001 times normal numbers away (the training code, TRADES).
"""


def fgsm(eps: float) -> PGM:
    """Return the fast gradient sign method, one step of ``eps`` from the clean image (Goodfellow et al. 2015)."""
    return PGM(eps, steps=1, step_size=eps, start=Center())


def pgm(eps: float, steps: int = 20, *, start: str = "tiny", seed: int = 0) -> PGM:
    """Return PGM as Jiang et al. 2021, section 4, evaluate with.

    There ε = 0.031, η = 0.003, and the start is uniform in a ball of radius 1e-4; here both go with ``eps``, so that
    another radius is attacked with as many steps to its border (about ten).

    Args:
        eps: the radius, for pixels in [0, 1].
        steps: 20 or 100 in the paper.
        start: one of `STARTS`; another than "tiny" is added to the attack's name.
        seed: of the start.

    Raises:
        ConfigurationError: for an unknown start, or a number out of range.
    """
    check_eps("pgm", eps)
    begin = look_up(STARTS, start, "start of PGM").scaled(eps)
    variant = "" if start == "tiny" else start
    return PGM(eps, steps=steps, step_size=0.003 / 0.031 * eps, start=begin, seed=seed, variant=variant)


def cw(eps: float, steps: int = 20, *, seed: int = 0) -> PGM:
    """Return the "CW" attack of Table 4 in Jiang et al. 2021: PGM on the margin loss, within the ball.

    As in the code of adversarial interpolation training: η = ε/4 (2/255 at 8/255), a start uniform in the whole ball,
    and a confidence of 50. (The "CW" of Table 2 is another attack, which minimises the perturbation.)

    Args:
        eps: the radius, for pixels in [0, 1].
        steps: 20 or 100 in the paper.
        seed: of the start.
    """
    check_eps("cw", eps)
    return PGM(eps, steps=steps, step_size=eps / 4, start=Uniform(eps), loss=Margin(), seed=seed)
