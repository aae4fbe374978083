"""An expert, and its demonstrations."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, final

import torch
import tyro

from bilevel.counts import check_count
from bilevel.progress import bar_on_terminal
from tasks.commands.base import Command, RunFolder, free_folder, named_preset
from tasks.gail.expert_config import ZOO, ExpertConfig
from tasks.settings import flags


@final
@dataclass(frozen=True)
class TrainGAILExpert(Command):
    """Train an expert on the true rewards by TRPO, and record demonstrations of the best policy that was met."""

    config: Annotated[ExpertConfig, tyro.conf.arg(name="")] = field(default_factory=ExpertConfig)

    run_folder: RunFolder = None
    """The folder of the run, a new one; by default runs/gail-expert-ENV."""

    overwrite: bool = False
    """Remove the run that is in that folder already."""

    threads: int = 1
    """How many threads PyTorch may use; more than one hardly help networks of this size."""

    @classmethod
    def default(cls, arguments: Sequence[str]) -> TrainGAILExpert:
        """Return the settings of the environment that ``arguments`` name."""
        return cls(config=usual(named_preset(arguments, ExpertConfig().env, option="--env")))

    def run(self) -> None:
        """Train, record, and say where the files are."""
        from tasks.gail.expert_run import train_gail_expert  # needs the extra rl, which the help does not

        check_count("threads", self.threads)
        torch.set_num_threads(self.threads)
        folder = self.run_folder or free_folder(Path("runs") / f"gail-expert-{self.config.env.replace('/', '_')}")
        # The environment is named even where it is the default: the other defaults hang on it.
        changed = flags(replace(self.config, env=""), replace(usual(self.config.env), env=""))
        words = ["bilevel", "train", "gail-expert", "--env", self.config.env, *changed, "--run", str(folder)]
        command = shlex.join(words)
        run = train_gail_expert(
            self.config, folder, overwrite=self.overwrite, progress=bar_on_terminal(), about={"command": command}
        )
        for one in run.results():
            print(
                f"{one['split']:<15} {one['data']:<28} {one['method']:<24} {one['n']:4d} episodes: return "
                f"{one['return']:.1f} ± {one['deviation']:.1f}, least {one['least']:.0f}"
            )
        print(f"\nThe expert after {one['steps']} steps: {run.checkpoints / 'expert.pt'}")
        print(f"Its demonstrations: {run.path / 'demonstrations'}")


def usual(environment: str) -> ExpertConfig:
    """Return the settings that an environment begins with."""
    return ZOO.get(environment, ExpertConfig(env=environment))
