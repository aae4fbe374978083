"""A rule for small games."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, final

import tyro

from bilevel.progress import bar_on_terminal
from tasks.commands.base import Command, RunFolder, free_folder, require
from tasks.toy.rule_config import RuleConfig
from tasks.toy.rule_run import TARGETS, train_toy_rule


@final
@dataclass(frozen=True)
class TrainToyRule(Command):
    """Train a rule on a family of convex-concave games, and count what it needs on games that it never saw."""

    config: Annotated[RuleConfig, tyro.conf.arg(name="")] = field(default_factory=RuleConfig)

    unseen: int = 128
    """Games of the comparison."""

    most: int = 1000
    """Gradient evaluations after which a game has not arrived."""

    run_folder: RunFolder = None
    """The folder of the run, a new one; by default runs/toy-rule."""

    overwrite: bool = False
    """Remove the run that is in that folder already."""

    def run(self) -> None:
        """Train, compare, and say where the rule is."""
        require(self.unseen >= 1 and self.most >= 1, "unseen and most must be at least 1.")
        run = train_toy_rule(
            self.config,
            self.run_folder or free_folder(Path("runs") / "toy-rule"),
            unseen=self.unseen,
            most=self.most,
            overwrite=self.overwrite,
            progress=bar_on_terminal(),
        )
        print(f"Gradient evaluations on {self.unseen} unseen games: median, 90 %, share of games that arrived")
        print(" " * 28 + "".join(f"{f'to {target:g}':<24}" for target in TARGETS))
        for record in run.results():
            name = record["method"] if record["method"] == "learned" else f"{record['method']}, best steps"
            print(f"{name:<28}" + "".join(f"{_cell(record, target):<24}" for target in TARGETS).rstrip())
        print(f"\nThe rule: {run.checkpoints / 'rule.safetensors'}; its training: {run.figures / 'training.png'}")


def _cell(record: Mapping[str, Any], target: float) -> str:
    median, most = (record[f"{name}_to_{target:g}"] for name in ("median", "p90"))
    shown = ["never" if count is None else f"{count:5d}" for count in (median, most)]
    return f"{shown[0]} {shown[1]}  {100 * record[f'reached_{target:g}']:5.1f} %"
