"""Reports of runs that hold only some parts, or nothing that can be reported."""

from __future__ import annotations

import pytest
from report_cases import Page, make, record

from bilevel.errors import ConfigurationError
from tasks.report import write_report
from tasks.run import RunError


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
