"""Perturbed images: Figures 4 and 5."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, final

from tasks.report.tables import Table
from tasks.reproduce.defences import trainings
from tasks.reproduce.experiment import Experiment, Request
from tasks.reproduce.parts import trained
from tasks.run import Run
from tasks.vision.assess import write_examples
from tasks.vision.config import VisionConfig
from tasks.vision.rivals import attackers
from tasks.vision.sweep import Assessment, Watch, sweep

ADVERSARIAL: Final = ("PGM Net", "2-Step L2L")
INTERPOLATION: Final = ("ait", "grad-l2l")


@final
@dataclass(frozen=True)
class Examples(Experiment):
    """What FGSM, PGM-20 and learned attackers do to an image, magnified 1, 5 and 30 times, and what is then seen.

    Args:
        what: what it shows.
    """

    what: str
    data: tuple[str, ...] = ("cifar10",)

    def configs(self, request: Request) -> list[VisionConfig]:
        """Return both pairs of trainings, of the first seed."""
        pairs = self._pairs(request)
        return [config for pair in pairs for config in pair]

    def work(self, run: Run, request: Request, watch: Watch) -> None:
        """Train, then draw: on the hand-written defence too, the learned attacker of the other is let loose."""
        sweep(run, self.configs(request), Assessment(("AutoAttack", "PGM-20")), workers=request.workers, watch=watch)
        for by_hand, learned in self._pairs(request):
            one, other = trained(run, by_hand), trained(run, learned)
            write_examples(one, run, attackers([other], one.config.eps))
            write_examples(other, run)

    def tables(self, run: Run, request: Request) -> list[Table]:
        """Return none: the figures are in the run."""
        return []

    def _pairs(self, request: Request) -> list[tuple[VisionConfig, VisionConfig]]:
        seed = request.seeds[:1]
        by_hand, learned = (configs[0] for configs in trainings(request.base, ADVERSARIAL, seed).values())
        base = request.interpolation
        moved, moved_by_learned = (replace(base, method=method, seed=seed[0]) for method in INTERPOLATION)
        return [(by_hand, learned), (moved, moved_by_learned)]
