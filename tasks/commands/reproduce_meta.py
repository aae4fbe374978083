"""The figures of the robust meta-optimizer, and how far its rules reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, ClassVar, final

from bilevel.errors import ConfigurationError, DivergenceError
from tasks.commands.bars import bars_of
from tasks.commands.base import require
from tasks.commands.reproduction import Reproduction
from tasks.commands.summary import show_table
from tasks.events import Watch
from tasks.run import Run
from tasks.settings import from_dict

FIGURES = {
    "figure1": "Learning to learn from mistakes, Figure 1: MNIST, FGSM",
    "figure2": "Learning to learn from mistakes, Figure 2: MNIST, PGM-7",
    "figure3": "Learning to learn from mistakes, Figure 3: CIFAR-10, FGSM",
    "figure4": "Learning to learn from mistakes, Figure 4: CIFAR-10, PGM-7",
}
EPSILONS = (0.05, 0.1, 0.2, 0.3)


@final
@dataclass(frozen=True)
class Figure(Reproduction):
    """A figure of the paper.

    Args:
        name: its name.
    """

    options: ClassVar[tuple[str, ...]] = ("epsilons", "seeds", "scale", "data_dir", "windows")

    name: str

    def check(self, settings: Mapping[str, Any]) -> None:
        """Build the study."""
        self._study(settings)

    def stem(self, settings: Mapping[str, Any]) -> str:
        """Return name and scale."""
        return f"{self.name}-{settings['scale']}"

    def go_on(self, run: Run) -> None:
        """Train rules, let them train networks, and draw."""
        from tasks.meta.figures import FIELDS, panels, table_of
        from tasks.meta.tables import claim, comparison_table
        from tasks.report import write_report
        from tasks.report.drawing.image import png

        name, what, workers = self.name, FIGURES[self.name], int(run.config["workers"])
        study = self._study(run.config)
        print(f"{what}. First {len(study.trainings())} rules are trained, then each trains networks.", flush=True)
        with bars_of(run, list(study.trainings())) as bars:
            study.learn(run, workers=workers, watch=bars)
        with bars_of(run, list(study.comparisons())) as bars:
            study.compare(run, workers=workers, watch=bars)
        curves = [record for part in study.comparisons() for record in Run(run.part(part), {}).curves()]
        for field in FIELDS:
            (run.figures / f"{name}-{field}.png").write_bytes(png(panels(curves, field)))
        (run.figures / f"{name}.csv").write_text(table_of(curves), encoding="utf-8")
        slowest = max(study.seconds(run).values())
        tables = []
        for part, eps in study.comparisons().items():
            records = Run(run.part(part), {}).results()
            remark = f"{claim(records)} Training a rule took at most {slowest / 60:.1f} min."
            tables.append(comparison_table(records, f"{what}, ε = {eps:g}", remark))
        for table in tables:
            show_table(table)
        print(f"Report: {write_report([run], run.path, title=what, tables=tables)}")

    def _study(self, settings: Mapping[str, Any]) -> Any:
        from tasks.meta.study import Study

        return from_dict(Study, {"figure": self.name, **{name: settings[name] for name in self.options}})


@final
@dataclass(frozen=True)
class Generalisation(Reproduction):
    """How far a trained rule reaches."""

    options: ClassVar[tuple[str, ...]] = ("rule", "seeds", "scale", "data_dir")
    what: ClassVar[str] = "A learned rule on networks and horizons that it did not learn on"

    def check(self, settings: Mapping[str, Any]) -> None:
        """Read the rule."""
        self._cases(settings)

    def stem(self, settings: Mapping[str, Any]) -> str:
        """Return name and scale."""
        return f"generalisation-{settings['scale']}"

    def go_on(self, run: Run) -> None:
        """Let the rule train networks unlike its own."""
        from tasks.meta.contestants import method_of
        from tasks.meta.generalisation import AS_LEARNED, generalisation_table, records_of, run_case
        from tasks.report import write_report

        rule, cases = self._cases(run.config)
        found = {}
        with bars_of(run, [case.name for case in cases]) as bars:
            for case in cases:
                try:
                    found[case.name] = run_case(case, run, rule, partial(_tell, bars, case.name))
                except ConfigurationError:
                    if case.name == AS_LEARNED:
                        raise
                    found[case.name] = []  # a failure like any other in the table
                except DivergenceError:  # of the optimizer beside it, at each of its rates
                    found[case.name] = records_of(case, run)
                bars.event(case.name, "end", {})
        run.append_results(record | {"data": name} for name, records in found.items() for record in records)
        table = generalisation_table(found, method_of(cases[0].comparison.config))
        show_table(table)
        print(f"Report: {write_report([run], run.path, title=self.what, tables=[table])}")

    def _cases(self, settings: Mapping[str, Any]) -> tuple[Any, list[Any]]:
        """Return the rule, and what it is tried on: networks beside the one that it learned on."""
        from bilevel.learned import load
        from tasks.meta.config import MetaConfig
        from tasks.meta.generalisation import cases
        from tasks.meta.shipped import SHIPPED
        from tasks.meta.study import SCALES
        from tasks.names import look_up

        path = settings["rule"] or SHIPPED
        saved = load(path)
        about = {name: value for name, value in saved.about.items() if name != "command"}
        known = {one.name for one in fields(MetaConfig)}
        require(
            bool(about) and known.issuperset(about),
            f"{path} does not say what its rule learned on, as `bilevel train meta` writes it. Beside the rule it "
            f"holds {', '.join(map(repr, about)) or 'nothing'}.",
        )
        changes = look_up(SCALES, settings["scale"], "scale")
        # A rule is loaded onto the CPU, wherever it learned.
        config = replace(from_dict(MetaConfig, about), data_dir=settings["data_dir"], device="cpu")
        require(
            config.alpha < 1,
            "The rule never saw an adversarial example (alpha = 1): there is no robustness to compare.",
        )
        if config.data in {"mnist", "cifar10"}:  # other sets may have fewer images
            config = replace(config, **changes)
        return saved.rule, cases(config, tuple(settings["seeds"]))


def _tell(bars: Watch, name: str, done: int, total: int) -> None:
    bars.event(name, "begin", {"steps": total, "done": done})
