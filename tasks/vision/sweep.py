"""Several trainings, some at a time, each attacked when it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import torch

from tasks.events import Channel, Reporter, Watch
from tasks.run import Run
from tasks.settings import to_dict
from tasks.side_by_side import Job, side_by_side
from tasks.vision.assess import attacks_for, is_assessed, write_curves, write_examples, write_results
from tasks.vision.config import VisionConfig
from tasks.vision.train import train

__all__ = ["Assessment", "Watch", "part_name", "sweep"]


@final
@dataclass(frozen=True)
class Assessment:
    """What is measured of each trained classifier.

    Attributes:
        attacks: names of attacks, as `bilevel evaluate` takes them.
        split: the part of the data that is attacked.
        curves: whether accuracy is measured against radius and iterations too.
        examples: whether perturbed images are drawn.
    """

    attacks: tuple[str, ...]
    split: str = "test"
    curves: bool = False
    examples: bool = False


def part_name(config: VisionConfig) -> str:
    """Return the name of a training's folder within its run."""
    return f"{config.label}-seed{config.seed}"


def sweep(
    run: Run,
    configs: Sequence[VisionConfig],
    assessment: Assessment,
    *,
    workers: int,
    watch: Watch,
) -> None:
    """Train and attack each of ``configs``; the results go into ``run``.

    A part that is done is not done again, and one that was stopped goes on from its last checkpoint, so that the same
    call completes a sweep that was interrupted.

    Args:
        run: the run that holds all parts.
        configs: what to train.
        assessment: what to measure.
        workers: how many trainings run at a time, each in a process of its own with one thread.
        watch: is told what happens.

    Raises:
        ConfigurationError, CheckpointError, NonFiniteError: as `train` does, for the first part that fails.
        WorkerError: if a process ended by itself.
        KeyboardInterrupt: after Ctrl-C or SIGTERM. The parts that were going on have written checkpoints.
    """
    missing = [config for config in configs if not is_assessed(Run(run.part(part_name(config)), {}))]
    for config in configs:
        if config not in missing:
            _collect(run, part_name(config))
            watch.event(part_name(config), "end", {})

    def asked(config: VisionConfig) -> Assessment:
        # A picture for each seed would be too many to look at.
        return replace(assessment, examples=assessment.examples and config.seed == configs[0].seed)

    jobs: dict[str, Job] = {
        part_name(config): (_train_and_attack, (config, run.path, asked(config))) for config in missing
    }
    side_by_side(jobs, workers=workers, watch=watch, finished=lambda name: _collect(run, name))


def _collect(run: Run, name: str) -> None:
    """Move a part's results into its run."""
    part = Run(run.part(name), {})
    run.append_results(part.results())
    run.append_curves(part.curves())


def _train_and_attack(config: VisionConfig, folder: Path, assessment: Assessment, events: Channel) -> bool:
    """Do one part, in a process of its own."""
    torch.set_num_threads(1)
    name = part_name(config)
    part = Run(folder, {}).part_run(name, {"task": config.task, **to_dict(config)})
    reporter = Reporter(name, events)
    training = train(
        config,
        part.path,
        resume=True,
        progress=reporter,
        title=name,
        resume_hint=f"bilevel resume {folder}",
    )
    events.put((name, "attack", {}))
    attacks = attacks_for(training, assessment.attacks, config.eps)
    if assessment.curves:
        write_curves(training, part, split=assessment.split)
    if assessment.examples:
        write_examples(training, Run(folder, {}), split=assessment.split)
    # The results come last: a part that has all of them is done.
    write_results(
        training, part, attacks, split=assessment.split, seconds=training.fitted.seconds if training.fitted else None
    )
    return True
