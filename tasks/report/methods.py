"""The methods of one setting, side by side."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from tasks.report.estimate import Estimate
from tasks.report.frontier import Frontier, Point
from tasks.report.material import LEARNED

Record = dict[str, Any]

AUTO_ATTACK = "AutoAttack"
"""The attack by whose accuracies classifiers are compared."""


@final
@dataclass(frozen=True)
class Method:
    """One method of a setting, over its seeds.

    Attributes:
        name: its name.
        kind: "learned" or "hand-written".
        seeds: the seeds it was trained with.
        clean: its accuracy without an attack; ``None`` if not measured.
        attacks: its accuracy under each attack, by the attack's name.
        strongest: each seed's lowest accuracy under any attack, over the seeds that met the most attacks.
        strongest_attack: the attack of the lowest mean.
        left_out: the seeds that met fewer attacks, which ``strongest`` leaves out.
        seconds: the mean training time; ``None`` if not recorded.
        folder: that of a run in which more of it can be measured; ``None`` if that is not known.
    """

    name: str
    kind: str
    seeds: tuple[Any, ...]
    clean: Estimate | None
    attacks: dict[str, Estimate]
    strongest: Estimate
    strongest_attack: str
    left_out: tuple[Any, ...]
    seconds: float | None
    folder: str | None = None

    @property
    def learned(self) -> bool:
        """Whether an optimizer was learned for it."""
        return self.kind == LEARNED

    @property
    def point(self) -> Point | None:
        """The method as a point of cost and worth; ``None`` without a training time."""
        if self.seconds is None:
            return None
        return Point(self.name, self.seconds, self.strongest.mean, self.strongest.stderr)


@final
@dataclass(frozen=True)
class Setting:
    """Methods that may be compared: the same task, data, split, norm and ε.

    Attributes:
        task: the task's name; this and the next four are ``None`` where the records do not say.
        data: the data set's name.
        split: the part of the data.
        norm: the norm of the ball.
        eps: its radius.
        methods: the most robust first.
        attacks: every attack's name, the one that leaves the lowest mean accuracy first.
        settings: for an attack's name a sentence with its steps, their size and its start, as far as they are recorded.
    """

    task: str | None
    data: str | None
    split: str | None
    norm: str | None
    eps: float | None
    methods: tuple[Method, ...]
    attacks: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The setting in words, for a caption."""
        size = None if self.eps is None else f"ε = {self.eps:g}" + (f" ({self.norm})" if self.norm else "")
        parts = (self.task, self.data, f"{self.split} images" if self.split else None, size)
        return ", ".join(part for part in parts if part) or "all results"

    @property
    def spared(self) -> dict[str, list[str]]:
        """The attacks that a method did not meet though most of the hand-written ones (or, without those, of all) did.

        Such a method's "strongest attack" flatters it, so it is not compared. An attack that only learned methods meet,
        as each one's own attacker, flatters nobody.
        """
        rivals = [method for method in self.methods if not method.learned] or list(self.methods)
        usual = [a for a in self.attacks if 2 * sum(a in rival.attacks for rival in rivals) > len(rivals)]
        missed = {method.name: [a for a in usual if a not in method.attacks] for method in self.methods}
        return {name: attacks for name, attacks in missed.items() if attacks}

    @property
    def comparable(self) -> list[Method]:
        """The methods that were spared no attack."""
        return [method for method in self.methods if method.name not in self.spared]


def settings(records: Iterable[Record]) -> list[Setting]:
    """Sort the records that hold a robust accuracy into settings, the fullest first, tests before other splits."""
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in records:
        if record.get("robust") is not None and record.get("attack") is not None:
            groups[tuple(record.get(field) for field in ("task", "data", "split", "norm", "eps"))].append(record)
    made = [_setting(key, group) for key, group in groups.items()]
    return sorted(made, key=lambda setting: (setting.split not in {"test", None}, -len(setting.methods)))


def frontier_of(setting: Setting) -> tuple[Frontier, dict[str, Point]]:
    """Return the frontier of a setting's hand-written methods, and its learned ones as points; comparable ones only."""
    methods = setting.comparable
    frontier = Frontier.of(method.point for method in methods if method.point and not method.learned)
    return frontier, {m.name: m.point for m in methods if m.point and m.learned}


def _setting(key: tuple[Any, ...], records: Sequence[Record]) -> Setting:
    by_method: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_method[record["method"]].append(record)
    methods = sorted((_method(name, group) for name, group in by_method.items()), key=lambda m: -m.strongest.mean)
    means: dict[str, list[float]] = defaultdict(list)
    for method in methods:
        for attack, estimate in method.attacks.items():
            means[attack].append(estimate.mean)
    attacks = sorted(means, key=lambda attack: statistics.fmean(means[attack]))
    task, data, split, norm, eps = key
    radius = None if eps is None else float(eps)
    return Setting(task, data, split, norm, radius, tuple(methods), tuple(attacks), _settings_of(records))


def _settings_of(records: Sequence[Record]) -> dict[str, str]:
    """Say for each attack how it was set, if all of its records say the same."""
    said: dict[str, set[str]] = defaultdict(set)
    for record in records:
        steps, size, start = (record.get(name) for name in ("steps", "step_size", "start"))
        parts = [] if steps is None else [f"{steps} step{'s' if steps != 1 else ''}"]
        parts += [] if size is None else [f"of {size:.3g}"]
        parts += [] if start is None else [f"from {start}"]
        said[record["attack"]].add(" ".join(parts))
    return {name: f"{name}: {texts.pop()}." for name, texts in said.items() if len(texts) == 1 and texts != {""}}


def _method(name: str, records: Sequence[Record]) -> Method:
    seeds = sorted({record.get("seed") for record in records}, key=lambda seed: (str(type(seed)), seed))
    met = {seed: {r["attack"]: r for r in records if r.get("seed") == seed} for seed in seeds}
    most = max(len(attacks) for attacks in met.values())
    complete = [seed for seed in seeds if len(met[seed]) == most]
    names = dict.fromkeys(record["attack"] for record in records)
    attacks = {a: _estimate([met[seed][a] for seed in seeds if a in met[seed]], "robust") for a in names}
    clean = [next((r for r in met[seed].values() if r.get("clean") is not None), None) for seed in seeds]
    times = [next((r["seconds"] for r in met[seed].values() if r.get("seconds") is not None), None) for seed in seeds]
    known = [float(seconds) for seconds in times if seconds is not None]
    return Method(
        name=name,
        kind=records[0]["kind"],
        seeds=tuple(seeds),
        clean=_estimate([record for record in clean if record], "clean") if any(clean) else None,
        attacks=attacks,
        strongest=_estimate([min(met[seed].values(), key=lambda r: r["robust"]) for seed in complete], "robust"),
        strongest_attack=min(attacks, key=lambda attack: attacks[attack].mean),
        left_out=tuple(seed for seed in seeds if seed not in complete),
        seconds=statistics.fmean(known) if known else None,
        folder=records[0].get("folder"),
    )


def _estimate(records: Sequence[Record], field: str) -> Estimate:
    return Estimate(tuple(float(r[field]) for r in records), tuple(r.get("n") for r in records))
