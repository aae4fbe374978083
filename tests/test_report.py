"""Reports: the numbers are those of the records, and the page needs nothing but itself."""

from __future__ import annotations

import base64
import math
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from bilevel.errors import ConfigurationError
from tasks.report import summarise, write_report
from tasks.report.curve_notices import curve_notices
from tasks.report.drawing.labels import Box, place, spread
from tasks.report.drawing.style import THEME, styles
from tasks.report.estimate import Estimate
from tasks.report.frontier import Frontier, Point, compare
from tasks.report.lines import Line, Panel, panels
from tasks.run import Run, RunError

NASTY = "a <script>alert('1')</script> | $x_1$ & *b* [c](d)"


def record(method, attack, robust, *, seed=0, clean=0.9, seconds=10.0, n=100, **other):
    return {
        "task": "dro", "method": method, "data": "digits", "attack": attack, "seed": seed, "split": "test",
        "clean": clean, "robust": robust, "seconds": seconds, "n": n, "eps": 0.2, "norm": "linf",
    } | other  # fmt: skip


def make(folder, records=(), curves=(), **config):
    run = Run.create(folder, {"task": "dro", **config})
    run.append_results(records)
    run.append_curves(curves)
    return run


# The hull of the hand-written points is a, b, d; c lies under the chord from b to d, e is slower and worse than d.
POINTS = [
    Point("a", 1.0, 0.1, 0.03), Point("b", 2.0, 0.5, 0.04), Point("c", 4.0, 0.55, 0.01),
    Point("d", 6.0, 0.7, 0.03), Point("e", 8.0, 0.6, 0.01),
]  # fmt: skip


def hand_written():
    return [record(p.name, "PGM-20", p.accuracy, seconds=p.seconds) for p in POINTS]


# Numbers.


def test_an_estimate_of_several_seeds_by_hand():
    estimate = Estimate((0.5, 0.6, 0.8), (100, 50, 200))
    assert estimate.mean == pytest.approx(1.9 / 3, rel=1e-15)
    assert estimate.worst == 0.5
    # Deviations from 19/30 are -4/30, -1/30 and 5/30: squares 16 + 1 + 25 = 42, over 900, over 2.
    assert estimate.spread == pytest.approx(math.sqrt(42 / 1800), rel=1e-14)
    assert estimate.binomial == pytest.approx(math.sqrt(0.25 / 100 + 0.24 / 50 + 0.16 / 200) / 3, rel=1e-14)
    assert estimate.stderr == pytest.approx(math.sqrt(42 / 1800) / math.sqrt(3), rel=1e-14)


def test_the_standard_error_of_one_seed_is_binomial_and_of_agreeing_seeds_no_less():
    assert Estimate((0.8,), (100,)).stderr == pytest.approx(0.04, rel=1e-14)
    assert Estimate((0.8,), (100,)).spread is None
    assert Estimate((0.8, 0.8), (100, 100)).stderr == pytest.approx(0.04 / math.sqrt(2), rel=1e-14)
    assert Estimate((0.8,), (None,)).stderr is None


def test_the_frontier_by_hand():
    frontier = Frontier.of(reversed(POINTS))
    assert [corner.name for corner in frontier.corners] == ["a", "b", "d"]
    assert frontier.at(0.5) is None
    assert frontier.at(1.0) == (0.1, 0.03)
    assert frontier.at(6.0) == frontier.at(100.0) == (0.7, 0.03)
    height, error = frontier.at(3.0)
    assert height == pytest.approx(0.75 * 0.5 + 0.25 * 0.7, rel=1e-15)
    assert error == pytest.approx(math.hypot(0.75 * 0.04, 0.25 * 0.03), rel=1e-15)


def test_frontiers_of_few_points():
    assert Frontier.of([]).corners == ()
    assert Frontier.of([]).at(1.0) is None
    twins = [Point("low", 1.0, 0.2), Point("high", 1.0, 0.3)]
    assert [corner.name for corner in Frontier.of(twins).corners] == ["high"]
    # Three in a line: the middle one is no corner, and changes nothing.
    line = Frontier.of([Point("a", 0.0, 0.0), Point("b", 1.0, 0.25), Point("c", 2.0, 0.5)])
    assert line.at(1.0)[0] == 0.25


def test_the_verdict_by_hand():
    learned = [Point("l", 2.0, 0.62, 0.03), Point("m", 3.0, 0.5, 0.0), Point("fast", 0.5, 0.4, 0.01)]
    first, second = compare(learned, Frontier.of(POINTS))
    assert (first.name, second.name) == ("l", "m")
    assert first.margin == pytest.approx(0.12, rel=1e-12)
    assert first.stderr == pytest.approx(0.05, rel=1e-14)  # hypot(0.03, 0.04)
    assert first.clear
    assert first.words == "above"
    assert second.margin == pytest.approx(0.5 - 0.55, rel=1e-12)
    assert not compare([Point("l", 2.0, 0.59, 0.03)], Frontier.of(POINTS))[0].clear  # 0.09 is under 2 · 0.05
    assert not compare([Point("l", 2.0, 0.99, None)], Frontier.of(POINTS))[0].clear


# Tables and sentences.


def cells(table):
    """The rows by their first cell, as {column: cell}."""
    return {row[0].text: dict(zip(table.header, row, strict=True)) for row in table.rows}


def test_the_main_table_by_hand(tmp_path):
    run = make(tmp_path / "run", [
        record("pgm-3", "PGM-20", 0.75, seed=0), record("pgm-3", "CW-20", 0.5, seed=0),
        record("pgm-3", "PGM-20", 0.625, seed=1, seconds=20.0), record("pgm-3", "CW-20", 0.75, seed=1, seconds=20.0),
        record("grad-l2l", "PGM-20", 0.5, clean=0.8), record("grad-l2l", "CW-20", 0.4, clean=0.8),
    ])  # fmt: skip
    (table,) = summarise([run]).tables
    assert table.header[:4] == ("method", "strongest attack", "clean", "training, s")
    assert table.header[4] == "CW-20"  # of the attacks, the one that leaves least comes first
    rows = cells(table)
    assert list(rows) == ["pgm-3", "grad-l2l"]
    strongest = rows["pgm-3"]["strongest attack"]
    # The seeds' lowest are 0.5 (CW) and 0.625 (PGM): sd 0.125/√2, and by the images √(.25/100 + .234375/100)/2 = 3.48.
    assert strongest.text == "56.2"
    assert strongest.notes == ("CW-20", "worst 50.0, sd 8.8")
    assert strongest.error == "± 6.2"
    assert strongest.best
    assert rows["pgm-3"]["CW-20"].text == "62.5"
    assert rows["pgm-3"]["CW-20"].notes == ("worst 50.0", "sd 17.7")
    assert rows["pgm-3"]["training, s"].text == "15.0"
    assert rows["grad-l2l"]["strongest attack"].text == "40.0"
    assert rows["grad-l2l"]["strongest attack"].error == "± 4.9"
    assert not rows["grad-l2l"]["clean"].best
    assert table.learned == {1}
    assert "n = 100 images" in table.note


def test_the_kind_is_taken_from_the_record_before_the_name(tmp_path):
    records = [record("mine", "PGM-20", 0.5, kind="learned"), record("x-l2l", "PGM-20", 0.4, kind="hand-written")]
    assert summarise([make(tmp_path / "run", records)]).tables[0].learned == {0}


def test_auto_attack_leads_and_settings_stand_beside_the_numbers(tmp_path):
    records = [
        record("fgsm", "PGM-20", 0.5, steps=20, step_size=0.02, start="Center()"),
        record("fgsm", "AutoAttack", 0.4), record("plain", "PGM-20", 0.3, steps=20, step_size=0.02, start="Center()"),
    ]  # fmt: skip
    run = make(tmp_path / "run", records)
    (table,) = summarise([run]).tables
    assert table.header[:3] == ("method", "AutoAttack", "strongest attack")
    rows = cells(table)
    assert rows["fgsm"]["AutoAttack"].text == "40.0"
    assert rows["plain"]["AutoAttack"].text == "not run"
    assert "PGM-20: 20 steps of 0.02 from Center()." in table.note
    said = "AutoAttack was not run on plain, so that accuracies under attack are upper bounds: "
    said += f"bilevel evaluate {run.path} --attacks AutoAttack"
    assert table.note.startswith(said)
    assert said in texts(summarise([run]), caution=True)


def test_no_accuracy_under_pgm_stands_alone(tmp_path):
    run = make(tmp_path / "run", [record("fgsm", "PGM-20", 0.5)])
    summary = summarise([run])
    assert summary.tables[0].note.startswith("AutoAttack was not run, so that accuracies under attack are upper bounds")
    assert "--attacks AutoAttack" in texts(summary, caution=True)
    whole = make(tmp_path / "whole", [record("fgsm", "PGM-20", 0.5), record("fgsm", "AutoAttack", 0.4)])
    assert "not run" not in summarise([whole]).tables[0].note


def finding(method, name, verdict, text="Because.", **other):
    item = {"finding": name, "item": f"{name} holds.", "verdict": verdict, "text": text}
    return {"task": "dro", "method": method, "data": "digits", "seed": 0, "split": "test", "eps": 0.2} | item | other


def test_the_masking_check_is_shown_the_worst_first(tmp_path):
    records = [record("fgsm", "AutoAttack", 0.5), finding("fgsm", "a", "passed"), finding("fgsm", "b", "warning"),
               finding("fgsm", "c", "not measured"), finding("fgsm", "d", "not decidable")]  # fmt: skip
    run = make(tmp_path / "run", records)
    assert "The masking check warns of fgsm" in texts(summarise([run]), caution=True)
    page = Page(write_report([run], run.path, title="").read_text())
    assert "Masking check" in page.headings
    shown = [row[0] for row in page.rows if row[-1] in {"a", "b", "c", "d"}]
    assert shown == ["warning", "not measured", "not decidable", "passed"]
    assert "Other results" not in page.headings


def test_of_several_seeds_the_worst_finding_counts(tmp_path):
    records = [record("fgsm", "AutoAttack", 0.5), record("plain", "AutoAttack", 0.1)]
    records += [finding("fgsm", "a", "passed"), finding("fgsm", "a", "warning", "In seed one.", seed=1)]
    records += [finding("plain", "a", "passed")]
    run = make(tmp_path / "run", records)
    page = Page(write_report([run], run.path, title="").read_text())
    assert ["fgsm", "1", "0", "0", "0"] in page.rows
    assert ["plain", "0", "0", "0", "1"] in page.rows
    assert ["fgsm", "a holds.", "In seed one. (seed 1)"] in page.rows
    assert "no sign of masked gradients in plain" in texts(summarise([run]), caution=False)


def test_settings_do_not_mix(tmp_path):
    records = [record("fgsm", "PGM-20", 0.5), record("fgsm", "PGM-20", 0.7, eps=0.1),
               record("fgsm", "PGM-20", 0.6, split="validation")]  # fmt: skip
    tables = summarise([make(tmp_path / "run", records)]).tables
    assert [table.rows[0][1].text for table in tables] == ["50.0", "70.0", "60.0"]  # validation last


def texts(summary, *, caution):
    return " ".join(notice.text for notice in summary.notices if notice.caution == caution)


def test_above_the_frontier_in_words(tmp_path):
    # At 2 s the frontier is b: 50 ± 5 (n = 100). The learned method: 80 ± 4, so +30 ± hypot(4, 5) = 6.4.
    run = make(tmp_path / "run", [*hand_written(), record("grad-l2l", "PGM-20", 0.8, seconds=2.0)])
    said = texts(summarise([run]), caution=False)
    assert "grad-l2l lies 30.0 points (standard error 6.4) above the frontier" in said
    assert "grad-l2l is the most robust: 80.0 ± 4.0 %" in said
    level = make(tmp_path / "level", [*hand_written(), record("grad-l2l", "PGM-20", 0.6, seconds=2.0)])
    said = texts(summarise([level]), caution=False)
    assert "No learned method lies above the frontier" in said
    assert "Not distinguishable from the frontier: grad-l2l (+10.0 points, standard error 7.0)" in said


def test_a_method_that_was_spared_an_attack_is_not_compared(tmp_path):
    strong = [record(p.name, "CW-100", p.accuracy / 2, seconds=p.seconds) for p in POINTS]
    run = make(tmp_path / "run", [*hand_written(), *strong, record("grad-l2l", "PGM-20", 0.9, seconds=2.0)])
    summary = summarise([run])
    assert "grad-l2l did not meet CW-100" in texts(summary, caution=True)
    assert "frontier" not in texts(summary, caution=False)
    assert "d is the most robust" in texts(summary, caution=False)


def test_attacks_on_fewer_images_are_named(tmp_path):
    few = record("fgsm", "AutoAttack", 0.4) | {"n": 20}
    whole = make(tmp_path / "whole", [record("fgsm", "PGM-20", 0.5), record("fgsm", "AutoAttack", 0.4)])
    assert "fewer images" not in texts(summarise([whole]), caution=True)
    said = texts(summarise([make(tmp_path / "few", [record("fgsm", "PGM-20", 0.5), few])]), caution=True)
    assert "fgsm met AutoAttack (20) on fewer images than the " in said


def test_a_seed_that_was_spared_an_attack_is_left_out(tmp_path):
    records = [record("fgsm", "PGM-20", 0.6), record("fgsm", "CW-20", 0.5), record("fgsm", "PGM-20", 0.8, seed=1)]
    summary = summarise([make(tmp_path / "run", records)])
    assert cells(summary.tables[0])["fgsm"]["strongest attack"].text == "50.0"
    assert "(fgsm: 1)" in texts(summary, caution=True)


@pytest.mark.parametrize(
    ("attacks", "said"),
    [
        ({"PGM-20": 0.7, "CW-20": 0.4}, "CW-20 takes 30.0 points more from fgsm"),
        ({"PGM-20": 0.7, "PGM-100 + CW-100": 0.4}, "PGM-100 + CW-100 takes 30.0 points more from fgsm"),
        ({"PGM-20": 0.7, "Random-1000": 0.4}, "fgsm falls further to Random-1000"),
    ],
)
def test_signs_of_masking_are_pointed_out(tmp_path, attacks, said):
    run = make(tmp_path / "run", [record("fgsm", attack, robust) for attack, robust in attacks.items()])
    assert said in texts(summarise([run]), caution=True)
    honest = make(tmp_path / "honest", [record("fgsm", attack, 0.7) for attack in attacks])
    assert "gradient masking" not in texts(summarise([honest]), caution=True)
    assert "flatters" not in texts(summarise([honest]), caution=True)


def line(method, *points):
    xs, ys = (tuple(map(float, values)) for values in zip(*points, strict=True))
    return Line(method, "learned", xs, ys, ys, ys)


def test_what_curves_show():
    falling = Panel("iterations", "PGM", "", (line("m", (10, 0.6), (100, 0.58)), line("k", (10, 0.6), (100, 0.599))))
    (notice,) = curve_notices([falling])
    assert notice.caution
    assert "m (−2.0 points from 10 to 100)" in notice.text
    assert "k (" not in notice.text
    masked = Panel(
        "eps", "PGM-20", "", (line("m", (0.1, 0.6), (0.2, 0.5), (1.0, 0.55)), line("k", (0.1, 0.6), (1.0, 0)))
    )
    rising, left = curve_notices([masked])
    assert rising.caution
    assert "rises with ε somewhere on the curve of m " in rising.text
    assert "m (55.0 % at ε = 1)" in left.text
    (gone,) = curve_notices([Panel("eps", "PGM-20", "", (line("k", (0.1, 0.6), (1.0, 0.0)),))])
    assert not gone.caution


def test_curves_average_the_seeds_and_join_the_iterations():
    records = [{"method": "fgsm", "kind": "hand-written", "seed": seed, "curve": "iterations", "x": x,
                "robust": robust, "n": 10, "attack": f"PGM-{x}"}
               for seed, x, robust in [(0, 10, 0.5), (1, 10, 0.75), (0, 1, 0.75), (1, 1, 1.0)]]  # fmt: skip
    (panel,) = panels(records)
    assert panel.attack == "PGM"
    assert panel.lines == (Line("fgsm", "hand-written", (1.0, 10.0), (0.875, 0.625), (0.75, 0.5), (1.0, 0.75)),)


# Several runs.


def test_seeds_of_several_runs_are_pooled(tmp_path):
    runs = [make(tmp_path / f"run{seed}", [record("fgsm", "PGM-20", value, seed=seed)], seed=seed)
            for seed, value in enumerate((0.5, 0.75))]  # fmt: skip
    row = cells(summarise([*runs, runs[0]]).tables[0])["fgsm"]
    assert row["PGM-20"].text == "62.5"
    assert row["PGM-20"].notes == ("worst 50.0", "sd 17.7")


def test_the_same_method_and_seed_in_two_runs_are_two_things(tmp_path):
    runs = [make(tmp_path / name, [record("fgsm", "PGM-20", value)]) for name, value in (("one", 0.5), ("two", 0.75))]
    assert list(cells(summarise(runs).tables[0])) == ["fgsm (two)", "fgsm (one)"]


# Drawing.


def test_labels_do_not_overlap():
    anchors = [(100.0 + 3 * i, 100.0 + 2 * (i % 3)) for i in range(8)]
    obstacles = [Box(x - 7, y - 7, x + 7, y + 7) for x, y in anchors]
    bounds = Box(0.0, 0.0, 400.0, 300.0)
    boxes = place(anchors, [(70.0, 14.0)] * 8, obstacles, bounds)
    for i, box in enumerate(boxes):
        assert box.left >= 0
        assert box.bottom >= 0
        assert box.right <= 400
        assert box.top <= 300
        assert not any(overlap(box, other) for other in [*boxes[:i], *obstacles])


def overlap(a, b):
    return a.left < b.right and b.left < a.right and a.bottom < b.top and b.bottom < a.top


def test_spread_moves_as_little_as_needed():
    assert spread([0.0, 1.0, 5.0], 1.0, 0.0, 10.0) == [0.0, 1.0, 5.0]
    assert spread([5.0, 5.0], 1.0, 0.0, 10.0) == [4.5, 5.5]
    assert spread([3.0, 1.0, 3.0], 2.0, 0.0, 10.0) == pytest.approx([7 / 3, 1 / 3, 13 / 3])
    assert spread([10.0, 10.0], 1.0, 0.0, 10.0) == [9.0, 10.0]
    assert spread([1.0] * 5, 1.0, 0.0, 2.0) == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0])


def test_looks_differ_between_methods_and_without_colour_between_kinds():
    looks = styles([(f"h{i}", "hand-written") for i in range(12)] + [(f"l{i}", "learned") for i in range(12)])
    assert len({(look.color, look.marker, look.learned) for look in looks.values()}) == 24
    learned, other = looks["l0"], looks["h0"]
    assert (learned.face == learned.color, learned.dashes) != (other.face == other.color, other.dashes)
    lights = [light for light, _ in THEME.values()]
    assert len(set(lights)) == len(lights)  # a colour is turned into its variable by its light value


# The files.


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    records = [*hand_written(), record("grad-l2l", "PGM-20", 0.8, seconds=2.0), record(NASTY, "PGM-20", 0.3)]
    records += [one | {"attack": "CW-20", "robust": one["robust"] / 2} for one in records]
    curves = [{"method": m, "seed": 0, "curve": c, "x": x, "robust": 0.5 / (1 + x), "n": 100, "attack": "PGM-20"}
              for m in ("a", "grad-l2l", NASTY) for c in ("eps", "iterations") for x in (0, 1, 10, 100)]  # fmt: skip
    run = make(folder / "run", records, curves, note=NASTY, command=["bilevel", "demo", "--note", NASTY])
    run.metrics.write_text("epoch,step,leader_loss,seconds\n1,10,2.0,1.0\n2,20,1.0,1.0\n3,30,nan,1.0\n")
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    (run.figures / "examples-grad-l2l.png").write_bytes(base64.b64decode(pixel))
    (run.figures / "other.png").write_bytes(base64.b64decode(pixel))
    target = write_report([run], folder / "report.html", title=f"Title {NASTY}")
    return target.read_text(encoding="utf-8"), (folder / "report.md").read_text(encoding="utf-8"), folder


class Page(HTMLParser):
    """Collects a page's elements, identifiers, visible texts and tables."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.rows, self.headings, self.open = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
        if tag in {"h1", "h2", "h3"}:
            self.headings.append("")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data
        if self.open and self.open[-1] in {"h1", "h2", "h3"}:
            self.headings[-1] += data


def test_the_page_loads_nothing(report):
    page = Page(report[0])
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "base"}
        for name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/png;base64,", "#")), (tag, name, value)
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"url\((?!#)", report[0])
    assert "@import" not in report[0]
    assert "http" not in report[0]


def test_identifiers_are_unique_and_found(report):
    page = Page(report[0])
    assert len(page.ids) == len(set(page.ids))
    asked = re.findall(r'href="#([^"]*)"', report[0]) + re.findall(r"url\(#([^)]*)\)", report[0])
    assert asked
    assert set(asked) <= set(page.ids)


def test_figures_follow_the_mode_of_the_page(report):
    drawings = re.findall(r"<svg.*?</svg>", report[0], flags=re.DOTALL)
    assert len(drawings) == 5  # the frontier wide and narrow, two curves, one column of metrics
    for drawing in drawings:
        ET.fromstring(drawing)
        assert "var(--ink)" in drawing
        assert set(re.findall(r"var\(--([\w-]+)\)", drawing)) <= set(THEME)
        assert not re.search(r"#[0-9a-f]{6}\b", drawing)


def test_users_text_is_text(report):
    html, markdown, _ = report
    assert "<script" not in html
    assert f"Title {NASTY}" in Page(html).headings
    assert any(row[0].startswith(NASTY) for row in Page(html).rows)
    assert not re.search(r"(?<!\\)<", markdown.split("```")[0])
    assert r"a \<script\>alert('1')\</script\> \| \$x\_1\$ & \*b\* \[c\](d)" in markdown


def markdown_rows(text):
    rows = [re.split(r"(?<!\\)\|", row)[1:-1] for row in text.splitlines() if row.startswith("|")]
    rows = [row for row in rows if not all(re.fullmatch(r" -+:? ", cell) for cell in row)]
    return [[re.sub(r"\\(.)", r"\1", cell.replace("**", "")).strip() for cell in row] for row in rows]


def bare(cell):
    """A cell without what the two forms write differently: blanks, and brackets around notes."""
    return re.sub(r"[\s();]", "", cell)


def test_html_and_markdown_agree(report):
    html, markdown, folder = report
    page = Page(html)
    assert [[bare(cell) for cell in row] for row in page.rows] == [
        [bare(cell) for cell in row] for row in markdown_rows(markdown)
    ]
    assert len(page.rows) == 16
    written = [re.sub(r"\\(.)", r"\1", line.lstrip("# ")) for line in markdown.splitlines() if line.startswith("#")]
    assert written == page.headings
    pictures = re.findall(r"\]\((report_files/[\w-]+\.png)\)", markdown)
    assert len(pictures) == html.count("<figure") == 6
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in pictures)


def test_the_same_runs_give_the_same_page(report):
    html, _, folder = report
    again = write_report([Run.open(folder / "run")], folder / "report.html", title=f"Title {NASTY}")
    assert again.read_text(encoding="utf-8") == html


def test_the_command_is_shown(report):
    assert "bilevel demo --note " in report[0]
    assert "bilevel report " in report[0]


def test_parts_that_are_missing_are_left_out(tmp_path):
    run = make(tmp_path / "run", [record("fgsm", "PGM-20", 0.5)])
    target = write_report([run], run.path, title="One")
    assert target == run.path / "report.html"
    assert Page(target.read_text()).headings[:2] == ["One", "What to notice"]
    assert not {"Curves", "Training", "Robustness against cost", "Examples and figures"} & set(
        Page(target.read_text()).headings
    )


def test_metrics_and_results_of_another_kind_suffice(tmp_path):
    run = make(tmp_path / "run", [{"task": "toy", "method": "learned", "seed": 0, "distance": 1e-7}])
    (run.part("learned") / "metrics.csv").write_text("step,distance\n1,1.0\n2,0.5\n")
    page = Page(write_report([run], run.path, title="Toy").read_text())
    assert page.rows[:2] == [["task", "method", "seed", "distance"], ["toy", "learned", "0", "1e-07"]]
    assert "Training" in page.headings


def test_what_cannot_be_reported_is_said(tmp_path):
    with pytest.raises(ConfigurationError, match="at least one run"):
        write_report([], tmp_path / "report.html", title="")
    with pytest.raises(RunError, match="nothing to report yet"):
        write_report([make(tmp_path / "empty")], tmp_path / "report.html", title="")
    percent = make(tmp_path / "percent", [record("fgsm", "PGM-20", 62.5)])
    with pytest.raises(ConfigurationError, match=r"robust = 62\.5"):
        write_report([percent], tmp_path / "report.html", title="")
    good = make(tmp_path / "good", [record("fgsm", "PGM-20", 0.5)])
    with pytest.raises(ConfigurationError, match=r"report\.html"):
        write_report([good], tmp_path / "report.pdf", title="")
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot make the folder"):
        write_report([good], tmp_path / "file" / "report.html", title="")
