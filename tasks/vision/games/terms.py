"""On what terms images are perturbed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from bilevel.starts import Center, Start
from tasks.vision.beginning import Beginning
from tasks.vision.norm_modes import EvalModeNorm, NormMode
from tasks.vision.threat import Threat


@final
@dataclass(frozen=True)
class Terms:
    """How far images may be perturbed, from where, and how the classifier behaves meanwhile.

    Args:
        eps: ε, in units of the pixel range [0, 1].
        start: where an attack begins; ``None`` for the game's own, mostly the clean images, as Jiang et al. 2021 have
            it in Eq. 4 and for their learned attackers: nothing is random, and no perturbation is thrown away by the
            projection. A sign gradient that is used once is better started from `Uniform(eps)` (Wong et al. 2020).
            Random starts are projected, so that each gradient is taken at images that could be shown; the authors'
            evaluation code does not do so: ``Uniform(eps, feasible=False)``.
        norm: the batch-norm mode of the passes that make the attack. By default `EvalModeNorm`: the attack is made on
            the classifier as it will be attacked, on each image by itself, and leaves nothing in the running
            statistics. Under `Simultaneous` play the pass that trains a learned attacker is the leader's own, in
            training mode, whatever the mode.
        beginning: what attacks know of earlier visits, such as a `WarmStart`; ``None`` for nothing.
    """

    eps: float
    start: Start | None = None
    norm: NormMode = EvalModeNorm()  # noqa: RUF009 (frozen)
    beginning: Beginning | None = None

    def threat(self, usual: Start = Center()) -> Threat:  # noqa: B008 (frozen)
        """Return what an attacker may do, from ``usual`` where no start is named.

        Raises:
            ConfigurationError: if ``eps`` is out of range.
        """
        return Threat(self.eps, usual if self.start is None else self.start)
