"""A rule that learns to train classifiers."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, final

import tyro

from bilevel.counts import check_count
from tasks.commands.bars import bars_of
from tasks.commands.base import Command, RunFolder, free_folder, named_preset
from tasks.commands.loggers import loggers_of
from tasks.commands.summary import show_table
from tasks.meta.config import MetaConfig
from tasks.meta.presets import DEFAULT, PRESETS
from tasks.names import look_up
from tasks.run import Run
from tasks.settings import flags, from_dict, to_dict

_OTHER = frozenset({"task", "command", "checkpoint_every", "tensorboard", "networks"})


@final
@dataclass(frozen=True)
class TrainMeta(Command):
    """Train a rule that trains classifiers, and compare it with other optimizers on new networks."""

    config: Annotated[MetaConfig, tyro.conf.arg(name="")] = field(default_factory=MetaConfig)

    networks: int = 5
    """How many new networks each method trains in the comparison at the end; 0 for no comparison."""

    run_folder: RunFolder = None
    """The folder of the run, a new one; by default runs/meta-NAME."""

    overwrite: bool = False
    """Remove the run that is in that folder already."""

    checkpoint_every: int = 100
    """Write a checkpoint after so many windows."""

    tensorboard: bool = False
    """Log for TensorBoard too."""

    preset: str = DEFAULT
    """Begin with these settings: digits, mnist, cifar10, logistic, quadratics, or mnist-paper and cifar10-paper (as the
    paper says). Flags change single settings."""

    @classmethod
    def default(cls, arguments: Sequence[str]) -> TrainMeta:
        """Return the settings of the preset that ``arguments`` name.

        Raises:
            ConfigurationError: for an unknown preset.
        """
        name = named_preset(arguments, DEFAULT)
        return cls(config=look_up(PRESETS, name, "preset"), preset=name)

    def run(self) -> None:
        """Train, compare, and say where the rule is."""
        from tasks.meta.build import build

        check_count("checkpoint_every", self.checkpoint_every)
        if self.networks:
            check_count("networks", self.networks)
        build(self.config)  # what does not fit is said before a folder is made
        folder = self.run_folder or free_folder(Path("runs") / f"meta-{self.config.label}")
        command = ["bilevel", "train", "meta", *flags(self.config, PRESETS[DEFAULT]), "--run", str(folder)]
        settings = {
            "task": "meta",
            "command": shlex.join(command),
            "networks": self.networks,
            "checkpoint_every": self.checkpoint_every,
            "tensorboard": self.tensorboard,
            **to_dict(self.config),
        }
        go_on(Run.create(folder, settings, overwrite=self.overwrite), resume=False)


def resume(run: Run) -> None:
    """Go on with a run that was stopped."""
    go_on(run, resume=True)


def go_on(run: Run, *, resume: bool) -> None:
    """Train as a run's settings say, from its last checkpoint if there is one; then compare."""
    from bilevel.learned import save
    from tasks.meta.sweep import RULE
    from tasks.meta.train import train
    from tasks.report import write_report

    config = config_of(run)
    training = train(
        config,
        run.path,
        resume=resume,
        checkpoint_every=run.config.get("checkpoint_every"),
        loggers=loggers_of(run),
        resume_hint=f"bilevel resume {run.path}",
    )
    save(training.rule, run.path / RULE, about={"command": run.config.get("command"), **to_dict(config)})
    tables = _compared(run, config, training.rule) if run.config.get("networks") else []
    for table in tables:
        show_table(table)
    print(f"Report: {write_report([run], run.path, title=run.name, tables=tables)}")
    print(f"The rule: {run.path / RULE}. In any loop: bilevel.learned.load(...).as_optimizer(model)")


def config_of(run: Run) -> MetaConfig:
    """Return the configuration of a run.

    Raises:
        ConfigurationError: if its settings are not those of this version.
    """
    return from_dict(MetaConfig, {name: value for name, value in run.config.items() if name not in _OTHER})


def _compared(run: Run, config: MetaConfig, rule: Any) -> list[Any]:
    """Let the rule train new networks beside optimizers; write the results, and return the table."""
    from tasks.meta.compare import Comparison
    from tasks.meta.contestants import method_of
    from tasks.meta.figures import FIELDS, panels
    from tasks.meta.tables import claim, comparison_table
    from tasks.report.drawing.image import png

    steps = config.horizon
    seeds = tuple(range(1, int(run.config["networks"]) + 1))
    comparison = Comparison(config, steps, next(n for n in range(-(-steps // 20), steps + 1) if steps % n == 0), seeds)
    method = method_of(config)
    part = Run(run.part("compared"), {})
    with bars_of(run, ["compared"]) as bars:

        def tell(done: int, total: int) -> None:
            bars.event("compared", "begin", {"steps": total, "done": done})

        records = comparison.run(part, {method: rule}, tell)
        bars.event("compared", "end", {})
    run.append_results(records)
    curves = part.curves()
    for name in FIELDS:
        if any(name in record for record in curves):
            (run.figures / f"transfer-{name}.png").write_bytes(png(panels(curves, name)))
    attack = f", {records[0]['attack']}, ε = {records[0]['eps']:g}" if records[0]["attack"] else ""
    return [comparison_table(records, f"New networks on {config.data}{attack}", claim(records, method))]
