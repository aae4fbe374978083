"""What an evaluation writes into its run: what is compared is of the same images and the same ball."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bilevel.errors import ConfigurationError
from tasks.report.lines import panels
from tasks.run import Run
from tasks.vision import assess
from tasks.vision.attacks import cw, pgm
from tasks.vision.config import DROConfig
from tasks.vision.rivals import attackers, transfers
from tasks.vision.subject import first_images
from tasks.vision.train import train

CONFIG = DROConfig(method="fgsm", epochs=2, width=8, threads=1, test_images=60)


@pytest.fixture(scope="module")
def training():
    return train(CONFIG, progress=False)


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "run", {})


def findings(run, eps):
    return {r["finding"]: r for r in run.results() if r.get("finding") is not None and r["eps"] == eps}


def test_curves_over_iterations_at_two_radii_are_two_curves(training, run):
    assess.write_curves(training, run, iterations=(1, 5), radii=(1.0,))
    first = run.curves()
    assess.write_curves(training, run, iterations=(1, 5), radii=(1.0,), eps=0.02)
    assert all(point in run.curves() for point in first)
    found = [panel.attack for panel in panels(run.curves()) if panel.curve == "iterations"]
    assert found == ["PGM, ε = 0.02", "PGM, ε = 0.2"]


def test_the_masking_check_looks_at_the_curve_of_its_own_radius(training, run):
    assess.write_curves(training, run, iterations=(1, 5, 7), radii=(1.0,), eps=0.02)
    assess.write_results(training, run, [pgm(0.02, 2), pgm(0.2, 2)])
    said = "PGM was looked at after 3 numbers of iterations."
    assert findings(run, 0.02)["iterations"]["text"] == said
    assert findings(run, 0.2)["iterations"]["text"] != said


def test_the_masking_check_does_not_compare_accuracies_on_different_images(training, run):
    assess.write_results(training, run, [pgm(0.2, 2)])
    assess.write_results(first_images(training, "test", 20), run, [cw(0.2, 2)])
    found = findings(run, 0.2)
    assert found["carlini-3"]["text"].endswith("on 20 images.")
    assert found["losses"]["verdict"] == "not measured"


def test_it_is_assessed_when_the_findings_are_there(training, run, monkeypatch):
    assert not assess.is_assessed(run)

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(assess, "write_findings", stop)
        with pytest.raises(KeyboardInterrupt):
            assess.write_results(training, run, [pgm(0.2, 2)])
    assert not assess.is_assessed(run)
    assess.write_results(training, run, [pgm(0.2, 2)])
    assert assess.is_assessed(run)
    assert findings(run, 0.2)


def test_runs_of_the_same_name_are_refused(training):
    other = replace(training, config=replace(CONFIG, seed=1))
    assert len(transfers(training, [training, other], 0.2)) == 4
    for made in (lambda: transfers(training, [training, training], 0.2), lambda: attackers([training, training], 0.2)):
        with pytest.raises(ConfigurationError, match="Two of the runs are called fgsm-seed0"):
            made()
