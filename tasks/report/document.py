"""From what the runs hold to the sections of a report."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from tasks.report.curve_notices import curve_notices
from tasks.report.drawing.curve_plot import MOST_POINTS, curve_plot, training_plot
from tasks.report.drawing.frontier_plot import frontier_plot
from tasks.report.drawing.image import png, svg
from tasks.report.drawing.style import Style
from tasks.report.lines import EPS, ITERATIONS, Panel, panels
from tasks.report.looks import looks_of, named_trainings
from tasks.report.masking import masking_notices, masking_tables
from tasks.report.material import Material
from tasks.report.methods import Setting, frontier_of, settings
from tasks.report.notices import Notice, notices
from tasks.report.page import Document, Image, Section
from tasks.report.setup_tables import attack_table, configuration_tables, other_table
from tasks.report.tables import Table, frontier_table, main_table

_PANEL = (5.3, 3.7)  # inches: two beside each other on a page, one on a phone
_WIDE, _NARROW = (9.2, 5.2), (4.9, 4.9)
_MOST_CURVES = 16
# Shown first; then whatever measures accuracy; then norms.
_METRICS = ("return", "evaluation_return", "leader_loss", "follower_loss", "loss")
_HIDDEN = ("step", "epoch", "batch", "seconds", "time", "lr", "environment_steps", "episodes")


def compose(material: Material, title: str, tables: Sequence[Table] = ()) -> Document:
    """Make the report of what the runs hold; a part for which there is nothing is left out.

    Args:
        material: what the runs hold.
        title: the heading.
        tables: further tables, which stand first.
    """
    compared, curves = settings(material.results), panels(material.curves)
    looks = looks_of(compared, curves, material)
    sections = [
        Section("compared", "The comparison", tables=tuple(tables)) if tables else None,
        _notices(compared, curves, material),
        *(_frontier(setting, looks, i, len(compared)) for i, setting in enumerate(compared)),
        _tables(compared, material),
        _masking(material),
        _curves(curves, looks),
        _pictures(material),
        _training(material, looks),
        _setup(material),
    ]
    return Document(title, tuple(_facts(compared, material)), tuple(section for section in sections if section))


def _facts(compared: Sequence[Setting], material: Material) -> list[tuple[str, str]]:
    records = material.results
    seeds = sorted({str(record["seed"]) for record in records if record.get("seed") is not None}, key=_natural)
    counts = sorted({record["n"] for record in records if record.get("n")})
    facts = [
        ("task", ", ".join(dict.fromkeys(str(record["task"]) for record in records if record.get("task")))),
        ("data", ", ".join(dict.fromkeys(str(record["data"]) for record in records if record.get("data")))),
        ("ε", ", ".join(dict.fromkeys(f"{s.eps:g}" for s in compared if s.eps is not None))),
        ("norm", ", ".join(dict.fromkeys(setting.norm for setting in compared if setting.norm))),
        ("images", " to ".join(str(n) for n in dict.fromkeys((counts[0], counts[-1]))) if counts else ""),
        ("split", ", ".join(dict.fromkeys(setting.split for setting in compared if setting.split))),
        ("methods", str(len({record["method"] for record in records})) if records else ""),
        ("attacks", str(len({attack for setting in compared for attack in setting.attacks})) if compared else ""),
        ("seed" if len(seeds) == 1 else "seeds", ", ".join(seeds)),
        ("run" if len(material.names) == 1 else "runs", ", ".join(material.names)),
    ]
    return [(name, value) for name, value in facts if value]


def _notices(compared: Sequence[Setting], curves: Sequence[Panel], material: Material) -> Section | None:
    found = masking_notices(material.results)
    for setting in compared:
        prefix = f"{setting.label}: " if len(compared) > 1 else ""
        found += [Notice(prefix + notice.text, notice.caution) for notice in notices(setting)]
    found += curve_notices(curves)
    ordered = sorted(found, key=lambda notice: notice.caution)
    return Section("notice", "What to notice", notices=tuple(ordered)) if ordered else None


def _frontier(setting: Setting, looks: dict[str, Style], number: int, of: int) -> Section | None:
    points = [method.point for method in setting.methods if method.point]
    if len(points) < 2:
        return None
    frontier, _ = frontier_of(setting)
    name = "frontier" if of == 1 else f"frontier-{number + 1}"
    wide, narrow = (frontier_plot(points, frontier, looks, width=w, height=h) for w, h in (_WIDE, _NARROW))
    several = len(setting.attacks) > 1
    attack = "the strongest attack on each" if several else setting.attacks[0]
    caption = (
        f"Robust accuracy under {attack}, with one standard error, against training time; {setting.label}. "
        "Filled markers: a learned optimizer; open markers: hand-written methods. The line is the frontier, the "
        "upper-left hull of the hand-written ones: above it is more robustness than any of them, or a mixture of two, "
        "gives for the time. A method far below the others stands at the lower edge, with its value."
    )
    image = Image(name, "Robust accuracy against training time", caption, png(wide), svg(wide, name),
                  svg(narrow, f"{name}-narrow"), large=True)  # fmt: skip
    heading = "Robustness against cost" + (f": {setting.label}" if of > 1 else "")
    table = frontier_table(setting)
    return Section(name, heading, images=(image,), tables=(table,) if table else ())


def _tables(compared: Sequence[Setting], material: Material) -> Section | None:
    tables = [main_table(setting) for setting in compared]
    other = other_table(material.results)
    tables += [other] if other else []
    return Section("results", "Results", tables=tuple(tables)) if tables else None


def _masking(material: Material) -> Section | None:
    tables = masking_tables(material.results)
    text = (
        "Are the gradients masked, so that attacks by gradients fail while the classifier is not robust? The worst "
        "comes first. What needs judgement is listed with the reason why no program decides it."
    )
    return Section("masking", "Masking check", text, tables=tuple(tables)) if tables else None


def _curves(curves: Sequence[Panel], looks: dict[str, Style]) -> Section | None:
    images = []
    for i, panel in enumerate(curves):
        plot = curve_plot(panel, looks, width=_PANEL[0], height=_PANEL[1])
        against = {EPS: "the radius ε", ITERATIONS: "the number of iterations"}.get(panel.curve, panel.curve)
        caption = f"Robust accuracy against {against}" + (f", {panel.attack}" if panel.attack else "")
        caption += f"; {panel.data}." if panel.data else "."
        name = f"curve-{i + 1}"
        images.append(Image(name, caption, caption, png(plot), svg(plot, name)))
    text = "Solid lines and filled markers: a learned optimizer; dashed lines and open markers: hand-written."
    text += " A line is the mean over the seeds, the shade reaches from the worst seed to the best."
    return Section("curves", "Curves", text, images=tuple(images)) if images else None


def _pictures(material: Material) -> Section | None:
    images = []
    for i, picture in enumerate(material.pictures):
        caption = _caption(picture.path) + (f" ({picture.run})" if len(material.runs) > 1 else "")
        images.append(Image(f"picture-{i + 1}", caption, caption, picture.path.read_bytes(), large=True))
    return Section("examples", "Examples and figures", images=tuple(images)) if images else None


def _caption(path: Path) -> str:
    """Return what a picture says of itself (PNG's "Description"), else its name."""
    from PIL import Image as Raster

    try:
        with Raster.open(path) as raster:
            described = raster.info.get("Description")
    except OSError:
        described = None
    name, _, of = path.stem.partition("-")
    return str(described or f"{name.replace('_', ' ').capitalize()}{f': {of}' if of else ''}")


def _training(material: Material, looks: dict[str, Style]) -> Section | None:
    trainings = named_trainings(material)
    columns = dict.fromkeys(column for training in trainings for column in training.columns)
    accuracy = [c for c in columns if any(word in c for word in ("accuracy", "clean", "robust"))]
    norms = [c for c in columns if c.endswith("_norm")]
    shown = dict.fromkeys(c for c in (*_METRICS, *accuracy, *norms, *columns) if c in columns and c not in _HIDDEN)
    images = []
    for i, column in enumerate(list(shown)[:_MOST_CURVES]):
        holders = [training for training in trainings if column in training.columns]
        plot = training_plot(column, holders, looks, width=_PANEL[0], height=_PANEL[1])
        name, caption = f"training-{i + 1}", f"{column.replace('_', ' ')} while training"
        images.append(Image(name, caption, caption, png(plot), svg(plot, name)))
    rows = max((len(next(iter(training.columns.values()))) for training in trainings), default=0)
    text = "Averages over neighbouring rows of metrics.csv." if rows > MOST_POINTS else ""
    return Section("training", "Training", text, images=tuple(images)) if images else None


def _setup(material: Material) -> Section:
    tables = [table for table in (attack_table(material.results),) if table] + configuration_tables(material)
    commands = []
    for run in material.runs:
        command = run.config.get("command")
        if command:
            commands.append(shlex.join(map(str, command)) if isinstance(command, list) else str(command))
    folders = shlex.join(str(run.path) for run in material.runs)
    commands = [*dict.fromkeys(commands), f"bilevel report {folders}"]
    text = "The commands make the runs, then this report. A run's config.yaml holds all of its settings."
    if len(commands) == 1:
        text = "The runs did not record their command; config.yaml holds all of their settings. This makes the report:"
    return Section(
        "setup", "What was run, and how to run it again", text, tables=tuple(tables), commands=tuple(commands)
    )


def _natural(text: str) -> tuple[bool, int, str]:
    return (not text.isdigit(), int(text) if text.isdigit() else 0, text)
