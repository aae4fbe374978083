"""Imitation learning beside its controls: Figure 6 of the preprint, and what it does not show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from tasks.commands.bars import bars_of
from tasks.commands.reproduction import Reproduction
from tasks.commands.summary import show_table
from tasks.gail.extra import rl_extra
from tasks.gail.sweep import part_name
from tasks.run import Run
from tasks.settings import from_dict

WHAT = "Imitation learning with a learned discriminator update, beside its controls (Figure 6 of the preprint)"
ENVIRONMENTS = ("cartpole", "mountaincar", "cartpole-fixed", "mountaincar-fixed")


@final
@dataclass(frozen=True)
class Imitation(Reproduction):
    """The study of imitation, `tasks.gail.study.Study`."""

    options: ClassVar[tuple[str, ...]] = ("environments", "seeds", "updater", "scale", "iterations")

    def check(self, settings: Mapping[str, Any]) -> None:
        """Build the study; ask for the memory of its rule, whose turn comes late."""
        with rl_extra():
            from tasks.gail.build import require_updater
        study = self._study(settings)
        for name in study.environments:
            require_updater(study.base(name))

    def stem(self, settings: Mapping[str, Any]) -> str:
        """Return name and scale."""
        return f"gail-{settings['scale']}"

    def go_on(self, run: Run) -> None:
        """Choose rates, train, and compare."""
        with rl_extra():
            from tasks.gail.study_report import draw_study, study_tables
        from tasks.report import write_report

        study, workers = self._study(run.config), int(run.config["workers"])
        print(f"{WHAT}. First {len(study.rivals)} trainings to choose rates by, then those compared.", flush=True)
        with bars_of(run, [part_name(one) for one in study.rivals]) as bars:
            study.tune(run, workers=workers, watch=bars)
        with bars_of(run, [part_name(one) for one in study.compared(run)]) as bars:
            study.work(run, workers=workers, watch=bars)
        draw_study(run, study)
        tables = study_tables(run, study)
        for table in tables:
            show_table(table)
        print(f"Report: {write_report([run], run.path, title=WHAT, tables=tables)}")

    def _study(self, settings: Mapping[str, Any]) -> Any:
        with rl_extra():
            from tasks.gail.study import Study
        return from_dict(Study, {name: settings[name] for name in self.options})
