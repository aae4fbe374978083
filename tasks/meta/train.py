"""Meta-training, from its configuration to its end, and a trained rule from its folder."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from bilevel.errors import DivergenceError
from bilevel.fit import fit
from bilevel.learned import RuleOptimizer, save
from bilevel.loggers import Logger
from bilevel.progress import Progress
from tasks.meta.build import MetaTraining, attack_of, build
from tasks.meta.config import MetaConfig
from tasks.meta.guard import Standing, put_back
from tasks.meta.mixture import CLEAN
from tasks.meta.transfer import Trial
from tasks.settings import to_dict

LAST_GOOD = "last-good-rule.safetensors"
"""The name of what is left of a training that diverged."""
APART = 1_000_000
"""Is added to the seed for what is measured while a rule learns, so that no seed of a comparison is looked at."""


def train(
    config: MetaConfig,
    folder: str | Path | None = None,
    *,
    resume: bool = False,
    checkpoint_every: int | None = 100,
    loggers: Sequence[Logger] | None = None,
    progress: bool | Progress = True,
    title: str | None = None,
    resume_hint: str | None = None,
) -> MetaTraining:
    """Train a rule as ``config`` says.

    The log has a row every ``windows_per_row`` windows: the loss that the rule is judged by at the windows' ends, the
    norm of its gradient, the share that was clipped, what `bilevel.learned.Watched` notes, its rate, seconds, the share
    of the attack's radius and the windows of an episode; how many windows exploded so far; and what became of a new
    network that the rule trained on clean images of the meta-training half for a horizon, measured on validation images
    (``transfer_...``).

    Args:
        config: the configuration. Its seed is set here, at the start of a training, and nowhere else.
        folder: where the log and the checkpoints go; ``None`` keeps neither.
        resume: go on from the folder's last good checkpoint, to the same numbers, to the last bit.
        checkpoint_every: a checkpoint after so many windows, and at the end; ``None`` after each row.
        loggers: where the numbers go; ``None`` is a CSV file in the folder.
        progress: whether a bar is drawn, or an object of your own.
        title: the name on the bar; ``None`` is the configuration's label.
        resume_hint: what the user is told to do to go on after a stop.

    Returns:
        The parts, with the rule trained and in evaluation mode.

    Raises:
        ConfigurationError: if something is out of range or does not fit, before anything is trained.
        DivergenceError: if windows explode again and again; the last good rule is then left in the folder. One that
            does is a warning, and φ is again the last good.
        CheckpointError, OutOfMemoryError, Interrupted: as `bilevel.fit` does.
    """
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    training = build(config)

    def evaluate() -> Mapping[str, float]:
        seen = {f"transfer_{name}": value for name, value in transferred(training).items()}
        return {
            **training.watched.numbers(),
            **training.clipping.numbers(),
            **training.curriculum.numbers(),
            "exploded": float(Standing.of(training.solver.play_state).exploded),
            **seen,
        }

    with warnings.catch_warnings():
        # A window that explodes moves nothing, and the rate falls all the same.
        warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step", UserWarning)
        try:
            fitted = fit(
                training.solver,
                [training.data.meta] * config.windows_per_row,
                epochs=config.windows // config.windows_per_row,
                folder=folder,
                resume=resume,
                checkpoint_every=checkpoint_every if folder is not None else None,
                evaluate=evaluate,
                step_schedulers=[training.scheduler],
                after_step=[training.curriculum],
                extras={"clipping": training.clipping},
                loggers=loggers,
                progress=progress,
                title=config.label if title is None else title,
                resume_hint=resume_hint,
            )
        except DivergenceError as error:
            if folder is None:
                raise
            kept = Path(folder) / LAST_GOOD
            save(training.rule.eval(), kept, about=to_dict(config))
            raise DivergenceError(f"{error} The rule as it was before is kept: {kept}.") from error
    training.rule.eval()
    _settle(training)
    return replace(training, fitted=fitted)


def _settle(training: MetaTraining) -> None:
    """Take the last move of φ back if no network can be trained after it; only one that exploded before is tried."""
    standing = Standing.of(training.solver.play_state)
    if standing.exploded and not transferred(training):
        put_back(training.solver, standing)


def transferred(training: MetaTraining) -> dict[str, float]:
    """Return what a new network is like on validation images that the rule trained on clean ones."""
    config, data = training.config, training.data
    steps = config.horizon
    trial = Trial(training.problem, data.meta, data.validation, CLEAN, attack_of(config), steps, steps)
    trace = trial.run(lambda network: RuleOptimizer(network, training.rule), APART + config.seed)
    return {} if trace.diverged else trace.rows[-1]
