"""Imitation with a learned rule, beside its controls, on several environments with several seeds."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, final

from bilevel.errors import ConfigurationError
from tasks.events import Watch
from tasks.gail.bystanders import bystanders
from tasks.gail.config import GAILConfig
from tasks.gail.controls import APART, RATES, compared, rivals
from tasks.gail.own_run import config_of
from tasks.gail.presets import PRESETS
from tasks.gail.records import environment_of, read_metrics
from tasks.gail.sweep import part_name, result_of, sweep
from tasks.names import look_up
from tasks.run import Run, RunError

ENVIRONMENTS: Final = ("cartpole", "mountaincar", "cartpole-fixed", "mountaincar-fixed")
"""The presets that are compared on."""

SCALES: Final = {"cpu": "", "paper": "-paper"}
"""What a preset's name ends with, by the scale's name."""


@final
@dataclass(frozen=True)
class Study:
    """What is compared.

    Args:
        environments: names of presets, as in `ENVIRONMENTS`, or folders of runs of `bilevel train gail`, whose settings
            and demonstrations are taken.
        seeds: one training of each kind a seed.
        updater: the rule that learns; ``None`` is that of the run, if its method has one, else coordinate-wise.
        scale: of a preset, cpu (2,048 steps an iteration) or paper (the paper's networks, 300 iterations of 5,000
            steps).
        iterations: another number of iterations.

    Raises:
        ConfigurationError: for an unknown name, an environment that is there twice, or seeds out of range.
        RunError: for a folder that is not a run of imitation.
    """

    environments: tuple[str, ...] = ENVIRONMENTS
    seeds: tuple[int, ...] = (1,)
    updater: str | None = None
    scale: str = "cpu"
    iterations: int | None = None

    def __post_init__(self) -> None:
        look_up(SCALES, self.scale, "scale")
        if not self.environments or len(set(self.environments)) < len(self.environments):
            raise ConfigurationError(f"Name at least one environment, each once; got {list(self.environments)}.")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or not all(0 <= s < APART for s in self.seeds):
            raise ConfigurationError(f"seeds must be different numbers from 0 to {APART - 1}, got {list(self.seeds)}.")
        for where, count in Counter(environment_of(self.base(name)) for name in self.environments).items():
            if count > 1:
                raise ConfigurationError(
                    f"{where} is among the environments {count} times; compare the runs on it apart."
                )

    def base(self, environment: str) -> GAILConfig:
        """Return the settings that all trainings on an environment share."""
        is_run = environment not in ENVIRONMENTS and Path(environment).is_dir()  # a folder hides no preset
        found = self._own(Path(environment)) if is_run else self._preset(environment)
        return found if self.iterations is None else replace(found, iterations=self.iterations)

    def _preset(self, name: str) -> GAILConfig:
        what = "environment (nor a folder of a run of `bilevel train gail`, which can be named for one)"
        look_up(dict.fromkeys(ENVIRONMENTS), name, what)
        return replace(PRESETS[name + SCALES[self.scale]], method="l2l", updater=self.updater or "coordinate-wise")

    def _own(self, folder: Path) -> GAILConfig:
        run = Run.open(folder)
        if run.config.get("task") != "gail":
            raise RunError(f"{folder} is a run of {run.config.get('task')}; name one of `bilevel train gail`.")
        if self.scale != "cpu":
            raise ConfigurationError(f"The scale is that of a preset; {folder} has its own. Leave --scale out.")
        config = config_of(run)
        own = config.updater_settings.name
        if config.learns and self.updater in (None, own):  # the control base has the settings of its rule too
            return replace(config, method="l2l", updater=own)
        # What was chosen for another rule is not taken over.
        rule = self.updater or "coordinate-wise"
        return replace(config, method="l2l", updater=rule, updater_rate=None, updater_hidden=None)

    @property
    def rivals(self) -> list[GAILConfig]:
        """The trainings by which the rates of the hand-written method are chosen."""
        return [one for name in self.environments for one in rivals(self.base(name), self.seeds)]

    def compared(self, run: Run) -> list[GAILConfig]:
        """Return the trainings to be reported, after those of `rivals` are done."""
        return [
            one
            for name in self.environments
            for seed in self.seeds
            for one in compared(replace(self.base(name), seed=seed), self.rate(run, name))
        ]

    def rate(self, run: Run, environment: str) -> float:
        """Return Adam's best rate on an environment: of the highest mean return over the second half of a training.

        Those of seeds that are not reported are looked at; a training that diverged is worse than any.
        """
        scores: dict[float, list[float]] = {rate: [] for rate in RATES}
        for config in rivals(self.base(environment), self.seeds):
            scores[config.updater_rate or 0.0].append(_score(run, config))
        return max(scores, key=lambda rate: math.fsum(scores[rate]))

    def work(self, run: Run, *, workers: int, watch: Watch) -> None:
        """Train what is to be reported, and write it down with the expert and a random policy beside it."""
        configs = self.compared(run)
        sweep(run, configs, workers=workers, watch=watch)
        done = [record for config in configs if (record := result_of(run, config)) is not None]
        beside = [record for name in self.environments for record in bystanders(self.base(name))]
        run.append_results([*beside, *done])

    def tune(self, run: Run, *, workers: int, watch: Watch) -> None:
        """Train what the rates are chosen by."""
        sweep(run, self.rivals, workers=workers, watch=watch)


def _score(run: Run, config: GAILConfig) -> float:
    record: dict[str, Any] | None = result_of(run, config)
    if record is None or record["diverged"]:
        return -math.inf
    curve = [row["return"] for row in read_metrics(run.part(part_name(config)) / "metrics.csv") if "return" in row]
    later = curve[len(curve) // 2 :]
    return math.fsum(later) / len(later) if later else -math.inf
