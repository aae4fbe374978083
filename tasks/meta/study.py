"""A figure of the paper: rules that learned on one half of the data train new networks on the other."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any, Final, final

from bilevel.errors import ConfigurationError
from tasks.events import Watch
from tasks.meta.compare import Comparison
from tasks.meta.config import MetaConfig
from tasks.meta.contestants import BILEVEL, NOT, TRANSFER
from tasks.meta.presets import CIFAR, MNIST
from tasks.meta.sweep import compare_rules, train_rule
from tasks.names import look_up
from tasks.run import Run
from tasks.side_by_side import Job, side_by_side

FIGURES: Final[dict[str, MetaConfig]] = {
    "figure1": MNIST,
    "figure2": replace(MNIST, attack="pgm", alpha=0.0),
    "figure3": CIFAR,
    "figure4": replace(CIFAR, attack="pgm", alpha=0.0),
}
"""For each figure of Serban et al. 2020 the settings of its rules."""

EPSILONS: Final = (0.05, 0.1, 0.2, 0.3)
"""The panels of each figure."""

SCALES: Final[dict[str, dict[str, Any]]] = {
    "cpu": {"test_images": 2000},
    "paper": {"test_images": None},
}
"""What the scales change."""


@final
@dataclass(frozen=True)
class Study:
    """What is compared.

    Args:
        figure: a name of `FIGURES`.
        epsilons: a panel each.
        seeds: a network each.
        scale: cpu (2,000 test images; CIFAR-10 with 200 updates a network) or paper (all; 1,000 updates).
        data_dir: the folder of the data's files.
        windows: how often each rule moves while it learns; by default as the preset has it.

    Raises:
        ConfigurationError: for an unknown name, or a number out of range.
    """

    figure: str
    epsilons: tuple[float, ...] = EPSILONS
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    scale: str = "cpu"
    data_dir: str | None = None
    windows: int | None = None

    def __post_init__(self) -> None:
        look_up(FIGURES, self.figure, "figure")
        look_up(SCALES, self.scale, "scale")
        if not self.epsilons or len(set(self.epsilons)) < len(self.epsilons):
            raise ConfigurationError(f"epsilons must be different radii, got {list(self.epsilons)}.")
        if self.windows is not None and self.windows < 1:
            raise ConfigurationError(f"windows must be at least 1, got {self.windows}.")
        for eps in self.epsilons:
            self.comparison(eps)
            self.rules(eps)

    def base(self, eps: float) -> MetaConfig:
        """Return the settings that all rules of a panel share."""
        config = replace(FIGURES[self.figure], eps=eps, data_dir=self.data_dir, **SCALES[self.scale])
        if self.scale == "paper" and config.data == "cifar10":
            config = replace(config, horizon=1000)
        if self.windows is not None:
            row = next(n for n in range(min(config.windows_per_row, self.windows), 0, -1) if self.windows % n == 0)
            config = replace(config, windows=self.windows, windows_per_row=row)
        return config

    def rules(self, eps: float) -> dict[str, MetaConfig]:
        """Return for each learned method of a panel how its rule is trained; Transfer-NOT's is the same in all."""
        base = self.base(eps)
        paper = {"shown": "judged", "weight_input": 0.0}
        return {
            TRANSFER: replace(base, **paper),  # type: ignore[arg-type]
            BILEVEL: replace(base, shown="clean"),
            NOT: replace(self.base(EPSILONS[0]), alpha=1.0, **paper),  # type: ignore[arg-type]
        }

    def comparison(self, eps: float) -> Comparison:
        """Return on what the methods of a panel are compared."""
        config = self.base(eps)
        return Comparison(config, config.horizon, max(1, config.horizon // 20), self.seeds)

    def trainings(self) -> dict[str, MetaConfig]:
        """Return how each rule is trained, by its part's name."""
        return {part_name(config): config for eps in self.epsilons for config in self.rules(eps).values()}

    def comparisons(self) -> dict[str, float]:
        """Return the radius of each comparison, by its part's name."""
        return {f"compared-{eps:g}": eps for eps in self.epsilons}

    def learn(self, run: Run, *, workers: int, watch: Watch) -> None:
        """Train the rules."""
        jobs: dict[str, Job] = {
            name: (train_rule, (config, name, run.path)) for name, config in self.trainings().items()
        }
        side_by_side(jobs, workers=workers, watch=watch)

    def compare(self, run: Run, *, workers: int, watch: Watch) -> None:
        """Let them train new networks beside optimizers, and write the results into the run."""
        jobs: dict[str, Job] = {}
        for name, eps in self.comparisons().items():
            rules = {method: part_name(config) for method, config in self.rules(eps).items()}
            jobs[name] = compare_rules, (self.comparison(eps), rules, name, run.path)
        side_by_side(jobs, workers=workers, watch=watch)
        for name in self.comparisons():
            run.append_results(Run(run.part(name), {}).results())

    def seconds(self, run: Run) -> dict[str, float]:
        """Return how long each rule was trained, by its part's name."""
        found: dict[str, float] = defaultdict(float)
        for name in self.trainings():
            for record in Run(run.part(name), {}).results():
                found[name] = record["training_seconds"]
        return dict(found)


def part_name(config: MetaConfig) -> str:
    """Return the name of a rule's folder."""
    if config.alpha == 1:
        return "rule-clean"
    return f"rule-{'paper' if config.shown == 'judged' else 'bilevel'}-{config.eps:g}"
