"""The page needs nothing but itself, and says the same as HTML and as Markdown."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET

import pytest
from report_cases import NASTY, Page, hand_written, make, record

from tasks.report import write_report
from tasks.report.drawing.style import THEME
from tasks.run import Run


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
