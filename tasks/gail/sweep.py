"""Several trainings of imitation, some at a time, each in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bilevel.errors import DivergenceError, NonFiniteError
from tasks.events import Channel, Reporter, Watch
from tasks.gail.config import GAILConfig
from tasks.gail.extra import rl_extra
from tasks.run import Run
from tasks.settings import to_dict
from tasks.side_by_side import Job, side_by_side


def part_name(config: GAILConfig) -> str:
    """Return the name of a training's folder within its run."""
    settings = config.updater_settings
    rule = [] if config.method == "frozen" else [settings.name]
    rate = [] if config.updater_rate is None else [f"{config.updater_rate:g}"]
    return "-".join([config.label, *rule, *rate, f"seed{config.seed}"])


def result_of(run: Run, config: GAILConfig) -> dict[str, Any] | None:
    """Return what a training of a sweep came to; ``None`` if it is not done."""
    found = Run(run.part(part_name(config)), {}).results()
    return found[-1] if found else None


def sweep(run: Run, configs: Sequence[GAILConfig], *, workers: int, watch: Watch) -> None:
    """Train as each of ``configs`` says; each part's folder holds its log and what it came to.

    A part that is done is not done again, and one that was stopped goes on from its last checkpoint, so that the same
    call completes a sweep that was interrupted. A training whose updater diverges is done too: its result says so.

    Args:
        run: the run that holds all parts.
        configs: what to train.
        workers: how many trainings run at a time.
        watch: is told what happens.

    Raises:
        ConfigurationError, CheckpointError: as `tasks.gail.train.train` does, for the first part that fails.
        WorkerError: if a process ended by itself.
        KeyboardInterrupt: after Ctrl-C or SIGTERM. The parts that were going on have written checkpoints.
    """
    missing = [config for config in configs if result_of(run, config) is None]
    for config in configs:
        if config not in missing:
            watch.event(part_name(config), "end", {})
    jobs: dict[str, Job] = {part_name(config): (_train, (config, run.path)) for config in missing}
    side_by_side(jobs, workers=workers, watch=watch)


def _train(config: GAILConfig, folder: Path, events: Channel) -> bool:
    """Do one part, in a process of its own."""
    with rl_extra():
        from tasks.gail.build import demonstrations_for
        from tasks.gail.records import diverged_record, goal_of, record_of
        from tasks.gail.train import train

    name = part_name(config)
    part = Run(folder, {}).part_run(name, {"task": "gail", **to_dict(config)})
    try:
        trained = train(
            config,
            part.path,
            resume=True,
            progress=Reporter(name, events),
            title=name,
            resume_hint=f"bilevel resume {folder}",
        )
    except (DivergenceError, NonFiniteError):
        record = diverged_record(config, part.metrics, goal_of(config, demonstrations_for(config)))
    else:
        record = record_of(trained, part.metrics)
    part.append_results([record])
    return True
