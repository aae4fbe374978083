"""Imitation learning."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, final

import tyro

from bilevel.counts import check_count
from bilevel.errors import DivergenceError
from tasks.commands.base import Command, RunFolder, free_folder, named_preset
from tasks.commands.loggers import loggers_of
from tasks.gail.config import GAILConfig
from tasks.gail.extra import rl_extra
from tasks.gail.own_run import DEMONSTRATIONS, config_of
from tasks.gail.presets import DEFAULT, PRESETS, fixed_twin, preset_of
from tasks.gail.unused import is_used, refuse_unused
from tasks.names import look_up
from tasks.run import Run
from tasks.settings import flags, to_dict

# What to lower, or raise, where a rule diverges; not all are used with every updater.
_CALMER = {
    "updater_rate": "a smaller --updater-rate",
    "updater_limit": "a smaller --updater-limit",
    "updater_step": "a smaller --updater-step",
    "proximal": "a larger --proximal",
}


@final
@dataclass(frozen=True)
class TrainGAIL(Command):
    """Imitate an expert: a policy against a discriminator that is moved by any rule, one that learns among them."""

    config: Annotated[GAILConfig, tyro.conf.arg(name="")] = field(default_factory=GAILConfig)

    run_folder: RunFolder = None
    """The folder of the run, a new one; by default runs/ENVIRONMENT-METHOD."""

    overwrite: bool = False
    """Remove the run that is in that folder already."""

    checkpoint_every: int = 10
    """Write a checkpoint after so many iterations."""

    tensorboard: bool = False
    """Log for TensorBoard too."""

    preset: str = DEFAULT
    """Begin with these settings: cartpole, mountaincar, cartpole-fixed or mountaincar-fixed (episodes of fixed length);
    with -paper behind it, the paper's networks and 5,000 steps an iteration. Flags change single settings. By default
    those of the environment that is named, if they are there."""

    @classmethod
    def default(cls, arguments: Sequence[str]) -> TrainGAIL:
        """Return the settings of the preset that ``arguments`` name, or of that of the environment they name.

        Raises:
            ConfigurationError: for an unknown preset.
        """
        environment = named_preset(arguments, PRESETS[DEFAULT].env, option="--env")
        name = named_preset(arguments, preset_of(environment, named_preset(arguments, "", option="--horizon")))
        return cls(config=look_up(PRESETS, name, "preset"), preset=name)

    def run(self) -> None:
        """Train, and say what came of it."""
        check_count("checkpoint_every", self.checkpoint_every)
        usual = to_dict(PRESETS[self.preset])
        refuse_unused(self.config, [name for name, value in to_dict(self.config).items() if value != usual[name]])
        with rl_extra():
            from tasks.gail.build import build
        demonstrations = build(self.config).demonstrations  # what does not fit is said before a folder is made
        folder = self.run_folder or free_folder(Path("runs") / self.config.label)
        changed = flags(self.config, PRESETS[self.preset])
        command = ["bilevel", "train", "gail", "--preset", self.preset, *changed, "--run", str(folder)]
        settings = {
            "task": "gail",
            "command": shlex.join(command),
            "checkpoint_every": self.checkpoint_every,
            "tensorboard": self.tensorboard,
            **to_dict(self.config),
        }
        run = Run.create(folder, settings, overwrite=self.overwrite)
        if self.config.demonstrations is not None:
            from tasks.gail.demonstrations import save

            save(demonstrations, run.path / DEMONSTRATIONS)
        go_on(run, resume=False)


def resume(run: Run) -> None:
    """Go on with a run that was stopped."""
    go_on(run, resume=True)


def go_on(run: Run, *, resume: bool) -> None:
    """Train as a run's settings say, from its last checkpoint if there is one, and write down what came of it."""
    with rl_extra():
        from tasks.gail.train import train
    from tasks.gail.records import record_of

    config = config_of(run)
    try:
        trained = train(
            config,
            run.path,
            resume=resume,
            checkpoint_every=run.config.get("checkpoint_every"),
            loggers=loggers_of(run),
            resume_hint=f"bilevel resume {run.path}",
        )
    except DivergenceError as error:
        calmer = ", ".join(words for name, words in _CALMER.items() if is_used(config, name))
        raise DivergenceError(f"{error} The flags for that: {calmer}.") from error
    record = record_of(trained, run.metrics)
    run.append_results([record])
    _finish(run, config, record)


def _finish(run: Run, config: GAILConfig, record: dict[str, Any]) -> None:
    from tasks.report import write_report

    print(f"Return in {record['episodes']} fresh episodes: {record['return']:.2f} ± {record['deviation']:.2f}")
    if (fixed := fixed_twin(config)) is not None:
        print(
            f"A discriminator that says one half of every pair teaches {config.env} too (--method frozen), so that "
            f"this return says nothing about one. --preset {fixed} tests it."
        )
    print(f"Report: {write_report([run], run.path, title=run.name)}")
    print(f"Beside its controls: bilevel reproduce gail --environments {run.path} --seeds 1 2 3")
    print(f"The run is in {run.path}. Play it: bilevel evaluate {run.path}")
