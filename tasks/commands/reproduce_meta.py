"""The figures of the robust meta-optimizer, and how far its rules reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rich.console import Console

from tasks.commands.bars import Bars
from tasks.commands.base import require
from tasks.commands.summary import show_table
from tasks.events import Watch
from tasks.run import Run

GENERALISATION = "generalisation"
WHAT = {
    "figure1": "Learning to learn from mistakes, Figure 1: MNIST, FGSM",
    "figure2": "Learning to learn from mistakes, Figure 2: MNIST, PGM-7",
    "figure3": "Learning to learn from mistakes, Figure 3: CIFAR-10, FGSM",
    "figure4": "Learning to learn from mistakes, Figure 4: CIFAR-10, PGM-7",
    GENERALISATION: "A learned rule on networks and horizons that it did not learn on",
}
EPSILONS = (0.05, 0.1, 0.2, 0.3)


def check(name: str, settings: dict[str, Any]) -> None:
    """Raise `ConfigurationError` or `RuleFileError` if a figure or table cannot be made with a run's settings."""
    if name == GENERALISATION:
        _cases(settings)
    else:
        _study(name, settings)


def go_on(run: Run) -> None:
    """Do what is missing of a figure or table, and show it."""
    if run.config["name"] == GENERALISATION:
        _generalise(run)
    else:
        _draw(run)


def _draw(run: Run) -> None:
    from tasks.meta.figures import FIELDS, panels, table_of
    from tasks.meta.tables import claim, comparison_table
    from tasks.report import write_report
    from tasks.report.drawing.image import png

    name, workers = run.config["name"], int(run.config["workers"])
    study = _study(name, run.config)
    print(f"{WHAT[name]}. First {len(study.trainings())} rules are trained, then each trains networks.", flush=True)
    _watched(run, list(study.trainings()), lambda watch: study.learn(run, workers=workers, watch=watch))
    _watched(run, list(study.comparisons()), lambda watch: study.compare(run, workers=workers, watch=watch))
    curves = [record for part in study.comparisons() for record in Run(run.part(part), {}).curves()]
    for field in FIELDS:
        (run.figures / f"{name}-{field}.png").write_bytes(png(panels(curves, field)))
    (run.figures / f"{name}.csv").write_text(table_of(curves), encoding="utf-8")
    slowest = max(study.seconds(run).values())
    tables = []
    for part, eps in study.comparisons().items():
        records = Run(run.part(part), {}).results()
        remark = f"{claim(records)} Training a rule took at most {slowest / 60:.1f} min."
        tables.append(comparison_table(records, f"{WHAT[name]}, ε = {eps:g}", remark))
    for table in tables:
        show_table(table)
    print(f"Report: {write_report([run], run.path, title=WHAT[name], tables=tables)}")


def _generalise(run: Run) -> None:
    from tasks.meta.generalisation import generalisation_table, run_case
    from tasks.report import write_report

    rule, cases = _cases(run.config)
    found = {}
    try:
        with Bars([case.name for case in cases], Console(stderr=True)) as bars:
            for case in cases:
                tell = partial(_tell, bars, case.name)
                found[case.name] = run_case(case, run, rule, tell)
                bars.event(case.name, "end", {})
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Stopped. What is done is kept; go on with: bilevel resume {run.path}") from None
    run.append_results(record | {"data": name} for name, records in found.items() for record in records)
    table = generalisation_table(found)
    show_table(table)
    print(f"Report: {write_report([run], run.path, title=WHAT[GENERALISATION], tables=[table])}")


def _tell(bars: Watch, name: str, done: int, total: int) -> None:
    bars.event(name, "begin", {"steps": total, "done": done})


def _cases(settings: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Return the rule, and what it is tried on: networks beside the one that it learned on."""
    from dataclasses import replace

    from bilevel.learned import load
    from tasks.meta.config import MetaConfig
    from tasks.meta.generalisation import cases
    from tasks.meta.shipped import SHIPPED
    from tasks.meta.study import SCALES
    from tasks.names import look_up
    from tasks.settings import from_dict

    saved = load(settings["rule"] or SHIPPED)
    about = {name: value for name, value in saved.about.items() if name != "command"}
    changes = look_up(SCALES, settings["scale"], "scale")
    config = replace(from_dict(MetaConfig, about), data_dir=settings["data_dir"])
    require(
        config.alpha < 1, "The rule never saw an adversarial example (alpha = 1): there is no robustness to compare."
    )
    if config.data in {"mnist", "cifar10"}:  # other sets may have fewer images
        config = replace(config, **changes)
    return saved.rule, cases(config, tuple(settings["seeds"]))


def _study(name: str, settings: dict[str, Any]) -> Any:
    from tasks.meta.study import Study

    return Study(
        name,
        epsilons=tuple(settings["epsilons"]),
        seeds=tuple(settings["seeds"]),
        scale=settings["scale"],
        data_dir=settings["data_dir"],
        windows=settings["windows"],
    )


def _watched(run: Run, names: Sequence[str], work: Callable[[Watch], None]) -> None:
    try:
        with Bars(names, Console(stderr=True)) as bars:
            work(bars)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Stopped. What is done is kept; go on with: bilevel resume {run.path}") from None
