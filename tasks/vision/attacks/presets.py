"""The attacks of the papers, their steps in proportion to the radius."""

from __future__ import annotations

import re
from collections.abc import Callable

from bilevel.errors import ConfigurationError
from bilevel.starts import Center, Uniform
from tasks.vision.attacks.base import Attack, check_eps
from tasks.vision.attacks.losses import Margin
from tasks.vision.attacks.projected_gradient import PGM
from tasks.vision.attacks.random_search import Random
from tasks.vision.attacks.worst import Worst


def fgsm(eps: float) -> PGM:
    """Return the fast gradient sign method, one step of ``eps`` from the clean image (Goodfellow et al. 2015)."""
    return PGM(eps, steps=1, step_size=eps, start=Center())


def pgm(eps: float, steps: int = 20, *, seed: int = 0) -> PGM:
    """Return PGM as Jiang et al. 2021, section 4, evaluate with.

    There ε = 0.031, η = 0.003, and the start is uniform in a ball of radius 1e-4; here both go with ``eps``, so that
    another radius is attacked with as many steps to its border (about ten).

    Args:
        eps: the radius, for pixels in [0, 1].
        steps: 20 or 100 in the paper.
        seed: of the start.
    """
    check_eps("pgm", eps)
    return PGM(eps, steps=steps, step_size=0.003 / 0.031 * eps, start=Uniform(1e-4 / 0.031 * eps), seed=seed)


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


def named(name: str, eps: float) -> Attack:
    """Return the attack that ``name`` asks for, as a command line does.

    Args:
        name: "FGSM", "PGM-20", "CW-100", "Random-1000" with any number, or several joined by "+" for the worst of
            them; capitals do not matter.
        eps: the radius, for pixels in [0, 1].

    Raises:
        ConfigurationError: for a name that is none of these.

    Example:
        >>> named("pgm-100+cw-100", 0.2).name
        'PGM-100 + CW-100'
    """
    parts = [_one(part.strip(), eps) for part in name.split("+")]
    return parts[0] if len(parts) == 1 else Worst(*parts)


def _one(name: str, eps: float) -> Attack:
    if name.lower() == "fgsm":
        return fgsm(eps)
    match = re.fullmatch(r"(pgm|cw|random)-(\d+)", name.lower())
    if match is None:
        raise ConfigurationError(
            f"There is no attack {name!r}. Known are FGSM, PGM-<steps>, CW-<steps> and Random-<draws>, such as PGM-20; "
            "several joined by +, such as PGM-100+CW-100, stand for the worst of them."
        )
    count = int(match[2])
    makers: dict[str, Callable[[float, int], Attack]] = {"pgm": pgm, "cw": cw, "random": Random}
    return makers[match[1]](eps, count)
