"""How imitation went beside its controls, as tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tasks.gail.bystanders import EXPERT, RANDOM
from tasks.gail.windows import WINDOW, Goal, normalised
from tasks.report.tables import Cell, Table

NOT_TESTING: Final = "not testing the discriminator"
ENOUGH: Final = 0.9
"""A frozen discriminator that comes so far on the way from a random policy to the expert makes a task useless."""

_Record = Mapping[str, Any]


def comparison_table(environment: str, records: Sequence[_Record], goal: Goal | None, remark: str = "") -> Table:
    """Return a line a method, over its seeds.

    Args:
        environment: its name in the records.
        records: of all methods, with `EXPERT` and `RANDOM` among them.
        goal: when a policy counts as good; ``None`` if what the expert earned is not known.
        remark: what else is to be said.
    """
    own = [record for record in records if record["data"] == environment]
    methods = list(dict.fromkeys(str(record["method"]) for record in own))
    rows = [_row(method, [record for record in own if record["method"] == method]) for method in methods]
    label = f": {NOT_TESTING}" if not tests_the_discriminator(own) else ""
    if goal is None:
        reaches, later, missing = "reaches its goal", "later windows", "What the expert earned is not known: no goal. "
    else:
        reaches, later, missing = f"reaches {goal.reach:g}", f"later windows ≥ {goal.hold:g}", ""
    header = ("method", "seeds", reaches, "at iteration", later,
              "worst window", "mean after", "largest |θ_D|", "last window", "fresh episodes")  # fmt: skip
    note = (
        f"{missing}A window is the mean over the last {WINDOW} iterations of the mean true return. “Reaches” counts "
        "the seeds with a window that is so good, “at iteration” says when; what comes later is the share of windows "
        "that are still good, in per cent, the worst window, and the mean return. Of several seeds: the median, "
        "and the range; of “mean after”, “last window” and “fresh episodes” the mean, with its 95 % interval "
        "(Student's t). A training whose updater diverged counts up to there, and plays no fresh episodes. Those of "
        f"the expert are the demonstrated ones. {remark}"
    )
    return Table(f"{environment}{label}", header, tuple(rows), note.strip(), numeric=True)


def difference_table(environment: str, records: Sequence[_Record], learned: str, others: Sequence[str]) -> Table:
    """Return by how much a method's mean return after first reaching the goal is above that of others, seed by seed.

    Args:
        environment: its name in the records.
        records: of all methods.
        learned: the method.
        others: with which it is compared.
    """
    own = [record for record in records if record["data"] == environment]
    mine, trained = _by_seed(own, learned), _seeds(own, learned)
    rows = []
    for other in others:
        theirs = _by_seed(own, other)
        both = sorted(mine.keys() & theirs.keys())
        differences = [mine[seed] - theirs[seed] for seed in both]
        width = half_width(differences)
        verdict = "–"
        if differences and width is not None:
            mean = statistics.fmean(differences)
            verdict = "above" if mean > width else "below" if mean < -width else "a tie"
        seeds = Cell(f"{len(both)} of {len(trained | _seeds(own, other))}")
        rows.append((Cell(f"{learned} against {other}"), _mean(differences), seeds, Cell(verdict)))
    note = (
        "The difference of the mean return after the goal was first reached, over the seeds in which both reached it, "
        "with its 95 % interval (Student's t, pairs of the same seed). Where the interval holds 0 it is a tie. The "
        "other seeds, in which one of them never reached it, are left out."
    )
    header = ("compared", "difference", "seeds", "verdict")
    return Table(f"{environment}: what the learned part adds", header, tuple(rows), note, numeric=True)


def tests_the_discriminator(records: Sequence[_Record]) -> bool:
    """Return whether a frozen discriminator stays below 90 % of the way from a random policy to the expert.

    What counts is the mean over the seeds of its best window; of a training too short for a window, that of the fresh
    episodes. Where it is not known what the expert earned, this is not either.
    """
    if not any(record["method"] == EXPERT for record in records):
        return True  # nothing speaks against it
    means = {who: statistics.fmean(r["return"] for r in records if r["method"] == who) for who in (EXPERT, RANDOM)}
    frozen = [record for record in records if record["method"] == "frozen"]
    if not frozen:
        return True
    best = [record["return"] if record.get("best") is None else record["best"] for record in frozen]
    return normalised(statistics.fmean(best), random=means[RANDOM], expert=means[EXPERT]) < ENOUGH


def half_width(values: Sequence[float]) -> float | None:
    r"""Return half of the 95 % interval of a mean, $t_{0.975, n-1}\, s / \sqrt{n}$; ``None`` for fewer than two."""
    if len(values) < 2:
        return None
    from scipy.stats import t

    return float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))


def _row(method: str, records: Sequence[_Record]) -> tuple[Cell, ...]:
    failed = sum(bool(record["diverged"]) for record in records)
    notes = (f"{failed} of {len(records)} diverged",) if failed else ()
    trained = [record for record in records if "reached" in record]
    reached = sum(record["reached"] is not None for record in trained)
    held = [100 * value for value in _known(trained, "held")]
    fresh = _known(records, "return")
    single = len(records) == 1 and not trained  # several episodes of one policy: their own deviation says more
    return (
        Cell(method, notes),
        Cell(str(len(records)) if trained else "–"),
        Cell(f"{reached}/{len(trained)}" if trained else "–"),
        _median(_known(trained, "reached"), 0),
        _median(held, 0),
        _median(_known(trained, "worst"), 1),
        _mean(_known(trained, "mean_after")),
        _median(_known(trained, "discriminator_norm"), 1),
        _mean(_known(trained, "final")),
        Cell(f"{fresh[0]:.1f}", (f"sd {records[0]['deviation']:.1f}",)) if single else _mean(fresh),
    )


def _known(records: Sequence[_Record], field: str) -> list[float]:
    return [float(record[field]) for record in records if record.get(field) is not None]


def _by_seed(records: Sequence[_Record], method: str) -> dict[int, float]:
    chosen = [record for record in records if record["method"] == method and record.get("mean_after") is not None]
    return {record["seed"]: record["mean_after"] for record in chosen}


def _seeds(records: Sequence[_Record], method: str) -> set[int]:
    return {record["seed"] for record in records if record["method"] == method}


def _median(values: Sequence[float], digits: int) -> Cell:
    if not values:
        return Cell("–")
    notes = (f"{min(values):.{digits}f} to {max(values):.{digits}f}",) if len(values) > 1 else ()
    return Cell(f"{statistics.median(values):.{digits}f}", notes)


def _mean(values: Sequence[float]) -> Cell:
    if not values:
        return Cell("–")
    width = half_width(values)
    return Cell(f"{statistics.fmean(values):.1f}", error="" if width is None else f"± {width:.1f}")
