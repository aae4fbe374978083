"""The tables and figures of a study."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import replace
from typing import Any

from tasks.gail.build import demonstrations_for
from tasks.gail.bystanders import EXPERT, RANDOM
from tasks.gail.config import GAILConfig
from tasks.gail.controls import RATES
from tasks.gail.figures import Curve, return_plot
from tasks.gail.records import environment_of, goal_of, method_of, read_metrics
from tasks.gail.study import ENVIRONMENTS, Study
from tasks.gail.sweep import part_name
from tasks.gail.tables import comparison_table, difference_table
from tasks.report.drawing.style import styles
from tasks.report.tables import Table
from tasks.run import Run


def study_tables(run: Run, study: Study) -> list[Table]:
    """Return two tables an environment: how each method fared, and what the learned part adds."""
    records = run.results()
    tables: list[Table] = []
    for name in study.environments:
        base = study.base(name)
        goal, where = goal_of(base, demonstrations_for(base)), environment_of(base)
        tables.append(comparison_table(where, records, goal, choice(study.rate(run, name))))
        if goal is None:
            continue  # nothing is reached, so that nothing comes after
        learned = method_of(base)
        others = [method_of(replace(base, method="gail", updater="adam")), method_of(replace(base, method="base"))]
        tables.append(difference_table(where, records, learned, others))
    return tables


def choice(rate: float) -> str:
    """Return how the rate of the hand-written method was chosen, and whether a better one may lie beyond the grid."""
    tried = ", ".join(f"{one:g}" for one in RATES)
    end = " It is the last that was tried." if rate in (min(RATES), max(RATES)) else ""
    return (
        f"Adam's rate, {rate:g}, is the best of {tried} on other seeds (the highest mean return over the second half "
        f"of their trainings).{end}"
    )


def draw_study(run: Run, study: Study) -> None:
    """Draw the returns of all methods on each environment into the run's figures."""
    configs = study.compared(run)
    kinds = [(method_of(config), "learned" if config.method == "l2l" else "hand-written") for config in configs]
    looks = styles(kinds)
    for name in study.environments:
        base = study.base(name)
        where = environment_of(base)
        curves: dict[str, list[Curve]] = defaultdict(list)
        for config in configs:
            if environment_of(config) == where:
                curves[method_of(config)].append(_curve(run, config))
        levels = {
            record["method"]: record["return"]
            for record in run.results()
            if record["data"] == where and record["method"] in {EXPERT, RANDOM}
        }
        figure = return_plot(curves, looks, levels)
        about = f"True return against environment steps on {where}: mean over {len(study.seeds)} seeds, and their range"
        metadata: dict[str, Any] = {"Description": about, "Software": None}
        stem = name if name in ENVIRONMENTS else re.sub(r"[^\w.-]+", "-", where)
        figure.savefig(run.figures / f"returns-{stem}.png", metadata=metadata)


def _curve(run: Run, config: GAILConfig) -> Curve:
    rows = read_metrics(run.part(part_name(config)) / "metrics.csv")
    steps = tuple(row["environment_steps"] for row in rows)
    return Curve(steps, tuple(row.get("return", math.nan) for row in rows))
