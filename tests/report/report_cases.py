"""Runs with records by hand, and what a report says of them."""

from __future__ import annotations

from html.parser import HTMLParser

from tasks.report.frontier import Point
from tasks.run import Run

NASTY = "a <script>alert('1')</script> | $x_1$ & *b* [c](d)"


def record(method, attack, robust, *, seed=0, clean=0.9, seconds=10.0, n=100, **other):
    return {
        "task": "dro", "method": method, "data": "digits", "attack": attack, "seed": seed, "split": "test",
        "clean": clean, "robust": robust, "seconds": seconds, "n": n, "eps": 0.2, "norm": "linf",
    } | other  # fmt: skip


def finding(method, name, verdict, text="Because.", **other):
    item = {"finding": name, "item": f"{name} holds.", "verdict": verdict, "text": text}
    return {"task": "dro", "method": method, "data": "digits", "seed": 0, "split": "test", "eps": 0.2} | item | other


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


def cells(table):
    """The rows by their first cell, as {column: cell}."""
    return {row[0].text: dict(zip(table.header, row, strict=True)) for row in table.rows}


def texts(summary, *, caution):
    return " ".join(notice.text for notice in summary.notices if notice.caution == caution)


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
