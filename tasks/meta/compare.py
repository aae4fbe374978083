"""Networks trained side by side by rules and by optimizers at their best rates."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

from bilevel.errors import ConfigurationError, DivergenceError
from bilevel.rules.module import ModuleRule
from tasks.meta.build import attack_of, data_of, judged_of, problem_of
from tasks.meta.config import MetaConfig
from tasks.meta.contestants import Contestant, Rival, learned, rivals
from tasks.meta.data import Halves
from tasks.meta.mixture import CLEAN
from tasks.meta.problems import Problem
from tasks.meta.transfer import Trace, Trial
from tasks.names import look_up
from tasks.run import Run

TUNING: Final = 500_000
"""Is added to a seed for the networks by which rates are chosen: they are never those that are reported."""

Tell = Callable[[int, int], None]
"""Is told how many networks are trained, and of how many."""


@final
@dataclass(frozen=True)
class Comparison:
    """Who is compared, and on what.

    Args:
        config: the data, the network, the attack and what is judged by; its horizon and training do not matter.
        steps: updates that each network is given.
        every: after how many of them it is measured.
        seeds: a network each; all methods begin with the same weights and see the same batches.
        tuning_seeds: so many other networks choose the rates.
        rivals: the hand-written optimizers by name; ``None`` for all of `tasks.meta.contestants.rivals`.

    Raises:
        ConfigurationError: if a number is out of range, or an optimizer is unknown.
    """

    config: MetaConfig
    steps: int = 100
    every: int = 5
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    tuning_seeds: int = 2
    rivals: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or not all(0 <= s < TUNING for s in self.seeds):
            raise ConfigurationError(f"seeds must be different numbers from 0 to {TUNING - 1}, got {list(self.seeds)}.")
        if self.tuning_seeds < 1:
            raise ConfigurationError(f"tuning_seeds must be at least 1, got {self.tuning_seeds}.")
        known = {rival.name: rival for rival in rivals(judged_of(self.config))}
        for name in self.rivals or ():
            look_up(known, name, "optimizer to compare with")

    def run(self, part: Run, rules: Mapping[str, ModuleRule], tell: Tell | None = None) -> list[dict[str, Any]]:
        """Train and measure what is missing in ``part``, which then holds a record and a curve a method and seed.

        A network that is done is written down at once, so that a comparison that was stopped goes on.

        Args:
            part: the folder of the comparison.
            rules: trained rules by the names of their methods, as in `tasks.meta.contestants`.
            tell: is told how far it is.

        Returns:
            The records.

        Raises:
            ConfigurationError: if a rule does not fit the network.
            DivergenceError: if an optimizer diverges at each of its rates.
        """
        data = data_of(self.config)
        problem, judged = problem_of(self.config, data), judged_of(self.config)
        trial = Trial(problem, data.transfer, data.test, CLEAN, attack_of(self.config), self.steps, self.every)
        known = {(record["method"], record["seed"]): record for record in part.results()}
        others = [one for one in rivals(judged) if self.rivals is None or one.name in self.rivals]
        counts = [len(rival.by) for rival in others]
        total = len(learned(rules, judged)) * len(self.seeds) + sum(counts) * len(self.seeds)
        total += sum(len(rival.rates) for rival in others) * self.tuning_seeds
        done = 0

        def count(networks: int) -> None:
            nonlocal done
            done += networks
            if tell is not None:
                tell(done, total)

        def compare(contestants: Sequence[Contestant]) -> None:
            for contestant in contestants:
                for seed in self.seeds:
                    if (contestant.name, seed) not in known:
                        trace = replace(trial, mixture=contestant.mixture).run(contestant.make, seed)
                        self._write(part, contestant, seed, trace, data)
                    count(1)

        compare(learned(rules, judged))
        for rival in others:
            compare(self._tuned(rival, problem, data, part))
            count(len(rival.rates) * self.tuning_seeds)
        return part.results()

    def _tuned(self, rival: Rival, problem: Problem[Any, Any], data: Halves, part: Run) -> list[Contestant]:
        """Return the rival at the best rate by each loss on validation images; what was chosen is found in ``part``."""
        found = {record["method"]: record["rate"] for record in part.results()}
        names = {by: rival.at(rival.rates[0], by).name for by in rival.by}
        if all(name in found for name in names.values()):
            return [rival.at(found[names[by]], by) for by in rival.by]
        trial = Trial(
            problem, data.transfer, data.validation, rival.mixture, attack_of(self.config), self.steps, self.steps
        )
        ends: dict[float, dict[str, float]] = {}
        for rate in rival.rates:
            traces = [trial.run(rival.at(rate, rival.by[0]).make, TUNING + i) for i in range(self.tuning_seeds)]
            if not any(trace.diverged for trace in traces):
                ends[rate] = {by: statistics.fmean(trace.rows[-1][by] for trace in traces) for by in rival.by}
        if not ends:
            raise DivergenceError(
                f"{rival.name} diverges at every rate of {list(rival.rates)} within {self.steps} updates: are the data "
                "scaled to [0, 1]?"
            )
        return [rival.at(min(ends, key=lambda rate: ends[rate][by]), by) for by in rival.by]

    def _write(self, part: Run, contestant: Contestant, seed: int, trace: Trace, data: Halves) -> None:
        config = self.config
        attack = attack_of(config)
        identity = {
            "task": "meta",
            "data": data.name,
            "method": contestant.name,
            "kind": contestant.kind,
            "model": config.model,
            "seed": seed,
            "split": "test",
            "attack": attack.name if attack else None,
            "eps": config.eps if attack else None,
            "n": len(data.test) if attack else None,
        }
        cost = {"rate": contestant.rate, "passes": trace.passes, "seconds": trace.seconds, "updates": self.steps}
        last = {} if trace.diverged else trace.rows[-1]
        means = _means(trace.rows[1:])
        part.append_curves(
            identity | {"curve": "training", "x": step} | row for step, row in zip(trace.steps, trace.rows, strict=True)
        )
        part.append_results([identity | last | means | cost | {"diverged": trace.diverged}])


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean losses along the way."""
    names = [name for name in (rows[0] if rows else {}) if name.endswith("_loss")]
    return {f"mean_{name}": statistics.fmean(row[name] for row in rows) for name in names}
