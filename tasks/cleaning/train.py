"""A run of hyper-cleaning: every method side by side, with tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.cleaning.baselines import BASELINES
from tasks.cleaning.config import CleaningConfig
from tasks.cleaning.contestants import Baseline, Cleaner, Contestant
from tasks.cleaning.figures import draw_all
from tasks.cleaning.methods import EPISODIC
from tasks.cleaning.setting import Setting, data_of
from tasks.cleaning.trial import Outcome, Trial
from tasks.run import Run
from tasks.settings import to_dict


def train_cleaning(
    config: CleaningConfig,
    folder: str | Path,
    *,
    overwrite: bool = False,
    progress: bool = False,
    about: Mapping[str, Any] | None = None,
) -> Run:
    """Find wrong labels by each of the methods that ``config`` names, and write down what came of it.

    The run's folder then holds ``results.json`` (a record a method, model and seed), for each of them
    ``parts/METHOD-MODEL-SEED/metrics.csv`` and, for a method that weighs the samples, ``weights.csv`` beside it; and
    for each model ``figures/accuracy-MODEL.png``, ``f1-MODEL.png`` and ``weights-MODEL.png``, of the first seed. What
    is done is written at once, and a run that is stopped goes on by `go_on` to the same numbers.

    Args:
        config: what to compare.
        folder: the run's folder; it must not exist, or be empty.
        overwrite: whether a run that is already there is removed first.
        progress: whether a bar is drawn on a terminal.
        about: what else the run's configuration says, such as the command.

    Returns:
        The run.

    Raises:
        ConfigurationError: if the folder is taken, or the data are not there.
        DataError: if a data file is damaged.
        RunError: if the folder cannot be written.
    """
    for seed in config.seeds:
        data_of(config, seed)  # what is wrong with it is said before a folder is made
    run = Run.create(folder, {"task": "cleaning", **(about or {}), **to_dict(config)}, overwrite=overwrite)
    go_on(run, config, progress=progress)
    return run


def go_on(run: Run, config: CleaningConfig, *, progress: bool = False) -> None:
    """Do what is missing of a run: trials that are done are kept, one that was stopped goes on from its checkpoint.

    Args:
        run: the run.
        config: what to compare.
        progress: whether a bar is drawn on a terminal.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM.
    """
    done = {(record["method"], record["model"], record["seed"]): record for record in run.results()}
    for model in config.models:
        outcomes: list[Outcome] = []
        for seed in config.seeds:
            setting = Setting(config, data_of(config, seed), model, seed)
            for contestant in contestants(config, model):
                part = run.part(f"{contestant.name}-{model}-{seed}")
                record = done.get((contestant.name, model, seed))
                if record is None:
                    hint = f"bilevel resume {run.path}"
                    outcome = Trial(contestant, setting).run(part, progress=progress, resume_hint=hint)
                    run.append_results([outcome.record])
                else:
                    outcome = Outcome.read(record, part, setting.data)
                if seed == config.seeds[0]:
                    outcomes.append(outcome)
        for name, figure in draw_all(outcomes).items():
            figure.savefig(run.figures / f"{name}-{model}.png")


def contestants(config: CleaningConfig, model: str) -> list[Contestant]:
    """Return what the configuration compares for a classifier, the baselines first."""
    known = config.hypergradients(model)
    baselines = [Baseline(name, BASELINES[name]) for name in config.baselines]
    cleaners = [Cleaner(name, known[name], config.episode if name == EPISODIC else None) for name in config.chosen]
    return [*baselines, *cleaners]
