"""Black-box tables: every target meets the images of every surrogate, which are made once."""

from __future__ import annotations

import pytest
from reproduce_cases import AS_PRINTED, ONE, Heard

from tasks.reproduce import black_box
from tasks.reproduce.black_box import BlackBox
from tasks.reproduce.experiments import EXPERIMENTS
from tasks.run import Run
from tasks.vision.assess import journal_of
from tasks.vision.build import build


def test_black_box_shows_every_target_the_images_of_every_surrogate(tmp_path):
    run, experiment = Run.create(tmp_path / "run", {}), EXPERIMENTS["blackbox"]
    assert {c.seed for c in experiment.configs(ONE)} == {1, 1001}
    experiment.work(run, ONE, Heard())
    (table,) = experiment.tables(run, AS_PRINTED)
    assert table.header[:3] == ("defence", "clean", "Plain: FGSM")
    assert len(table.rows) == 6
    measured = {r["attack"]: r for r in run.results() if r["method"] == "grad-l2l" and r.get("looks") == "surrogate"}
    assert set(measured) == {f"{a} from {s}" for a in ("FGSM", "PGM-10") for s in ("Plain", "FGSM Net", "PGM Net")}
    shown = table.rows[4][table.header.index("PGM Net: PGM-10")].text
    assert shown == f"{100 * measured['PGM-10 from PGM Net']['robust']:.1f} / 69.95"


def test_black_box_makes_its_images_once_and_is_gone_on_with(tmp_path, monkeypatch):
    run, experiment = Run.create(tmp_path / "run", {}), BlackBox("Transfer")
    monkeypatch.setattr(black_box, "sweep", lambda *_, **__: None)
    monkeypatch.setattr(black_box, "trained", lambda _run, config: build(config))
    matrix = black_box.transfer_matrix

    def stop(*arguments, **settings):
        matrix(*arguments, **settings)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(black_box, "transfer_matrix", stop)
        with pytest.raises(KeyboardInterrupt):
            experiment.work(run, ONE, Heard())
    assert journal_of(run).path.exists()
    experiment.work(run, ONE, Heard())
    assert not journal_of(run).path.exists()
    assert len(run.results()) == 6 * 6
    monkeypatch.setattr(black_box, "transfer_matrix", stop)
    experiment.work(run, ONE, Heard())
