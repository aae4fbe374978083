"""Imitation learning beside its controls: Figure 6 of the preprint, and what it does not show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console

from tasks.commands.bars import Bars
from tasks.commands.summary import show_table
from tasks.events import Watch
from tasks.gail.extra import rl_extra
from tasks.gail.sweep import part_name
from tasks.run import Run

NAME = "gail"
WHAT = "Imitation learning with a learned discriminator update, beside its controls (Figure 6 of the preprint)"
ENVIRONMENTS = ("cartpole", "mountaincar", "cartpole-fixed", "mountaincar-fixed")


def check(settings: dict[str, Any]) -> None:
    """Raise `ConfigurationError` if a study cannot be made with a run's settings."""
    with rl_extra():
        from tasks.gail.build import require_updater
        from tasks.gail.study import Study
    study = Study(**_study_of(settings))
    for name in study.environments:  # the rule's turn comes late
        require_updater(study.base(name))


def go_on(run: Run) -> None:
    """Do what is missing of a study, and compare."""
    with rl_extra():
        from tasks.gail.study import Study
        from tasks.gail.study_report import draw_study, study_tables
    from tasks.report import write_report

    study, workers = Study(**_study_of(run.config)), int(run.config["workers"])
    print(f"{WHAT}. First {len(study.rivals)} trainings to choose rates by, then those compared.", flush=True)
    _watched(run, [part_name(one) for one in study.rivals], lambda watch: study.tune(run, workers=workers, watch=watch))
    names = [part_name(one) for one in study.compared(run)]
    _watched(run, names, lambda watch: study.work(run, workers=workers, watch=watch))
    draw_study(run, study)
    tables = study_tables(run, study)
    for table in tables:
        show_table(table)
    print(f"Report: {write_report([run], run.path, title=WHAT, tables=tables)}")


def _watched(run: Run, names: list[str], work: Callable[[Watch], None]) -> None:
    try:
        with Bars(names, Console(stderr=True)) as bars:
            work(bars)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Stopped. What is done is kept; go on with: bilevel resume {run.path}") from None


def _study_of(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "environments": tuple(settings["environments"]),
        "seeds": tuple(settings["seeds"]),
        "updater": settings["updater"],
        "scale": settings["scale"],
        "iterations": settings["iterations"],
    }
