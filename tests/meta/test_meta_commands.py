"""Rules from the command line, in any loop, and the one that comes with the package."""

from __future__ import annotations

import queue
import shlex
from dataclasses import replace

import pytest
import torch
from meta_cases import QUICK
from real_data import DATA, needs
from torch import nn

from bilevel.learned import load, save
from tasks.cli import main
from tasks.meta import generalisation
from tasks.meta.build import build, rule_of
from tasks.meta.config import MetaConfig
from tasks.meta.generalisation import FURTHER
from tasks.meta.mixture import CLEAN
from tasks.meta.presets import PRESETS
from tasks.meta.shipped import SHIPPED
from tasks.meta.study import FIGURES, SCALES
from tasks.meta.sweep import RULE
from tasks.meta.transfer import Trial
from tasks.run import Run
from tasks.settings import flags, to_dict


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_configurations_whose_plan_fits(name):
    assert PRESETS[name].windows % PRESETS[name].windows_per_row == 0


def test_the_command_leaves_a_rule_that_runs_in_any_loop(tmp_path, capsys):
    run = tmp_path / "run"
    words = ["--windows", "2", "--windows-per-row", "1", "--truncation", "2", "--horizon", "2"]
    words += ["--hidden", "3", "--rule-hidden", "2", "--networks", "1"]
    assert main(["train", "meta", *words, "--run", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "New networks on digits, FGSM, ε = 0.1" in shown
    assert "The rule:" in shown
    saved = load(run / RULE)
    assert saved.about["command"].startswith("bilevel train meta --hidden 3")
    assert MetaConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in saved.about.items() if k != "command"})
    model = nn.Linear(2, 2)
    optimizer = saved.as_optimizer(model)
    model(torch.ones(1, 2)).square().sum().backward()
    optimizer.step()
    assert (run / "report.html").is_file()
    assert (run / "figures" / "transfer-robust.png").read_bytes().startswith(b"\x89PNG")
    before = Run.open(run).results()
    assert main(["resume", str(run)]) == 0
    assert Run.open(run).results() == before
    assert main(["train", "meta", *words, "--horizon", "3", "--run", str(tmp_path / "other")]) == 2
    assert "The horizon must be a multiple of the truncation" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_how_far_a_rule_reaches_as_a_command(tmp_path, capsys):
    assert main(["reproduce", "generalisation", "--rule", str(tmp_path / "none")]) == 1
    assert "There is no file" in capsys.readouterr().err
    save(rule_of(QUICK), tmp_path / "rule", about=to_dict(QUICK))
    assert main(["reproduce", "generalisation", "--rule", str(tmp_path / "rule"), "--scale", "huge"]) == 2
    assert "There is no scale 'huge'" in capsys.readouterr().err
    for about, holds in (({}, "holds nothing"), ({"trained on": "mistakes"}, "holds 'trained on'")):
        save(rule_of(QUICK), tmp_path / "foreign", about=about)
        assert main(["reproduce", "generalisation", "--rule", str(tmp_path / "foreign")]) == 2
        said = capsys.readouterr().err
        assert f"{tmp_path / 'foreign'} does not say what its rule learned on" in said
        assert holds in said


def test_a_figure_is_drawn_and_gone_on_with(tmp_path, capsys, monkeypatch):
    """The smallest that there is: digits, one radius, one network a method, rules that move twice; in this process."""

    def one_after_another(jobs, *, workers, watch):
        for work, words in jobs.values():
            assert work(*words, queue.Queue())

    monkeypatch.setattr("tasks.meta.study.side_by_side", one_after_another)
    monkeypatch.setitem(FIGURES, "figure1", replace(QUICK, data="digits", threads=1))
    monkeypatch.setitem(SCALES, "cpu", {})
    for grid in ("ADAM_RATES", "MOMENTUM_RATES"):
        monkeypatch.setattr(f"tasks.meta.contestants.{grid}", (0.01,))
    words = ["--epsilons", "0.1", "--seeds", "1", "--windows", "2", "--workers", "1", "--run", str(tmp_path / "run")]
    assert main(["reproduce", "figure1", *words]) == 0
    shown, run = capsys.readouterr().out, Run.open(tmp_path / "run")
    assert "First 3 rules are trained" in shown
    methods = [record["method"] for record in run.results()]
    assert methods[:4] == ["L2L", "L2L-Transfer", "L2L-Transfer, bilevel", "Transfer-NOT, adversarial data"]
    assert {"Adam (best clean)", "Momentum (best adversarial)"} <= set(methods)
    assert (run.figures / "figure1-robust.png").read_bytes().startswith(b"\x89PNG")
    assert (run.figures / "figure1.csv").read_text().count("\n") > len(methods)
    assert "AutoAttack" not in (run.path / "report.md").read_text()  # which has nothing to attack here
    assert "4 steps" not in (run.path / "report.md").read_text()  # of the network, not of the attack
    assert main(["resume", str(run.path)]) == 0
    assert [record["method"] for record in run.results()] == methods


def test_a_rule_of_groups_is_tried_on_what_it_fits(tmp_path, capsys, monkeypatch):
    """A network without a hidden layer has no weights for one of its patterns: that is a line of the table too."""
    wanted = {name: FURTHER[name] for name in ("as learned", "no hidden layer", "tanh")}
    monkeypatch.setattr(generalisation, "FURTHER", wanted)
    monkeypatch.setattr(generalisation, "LONGER", ())
    config = replace(QUICK, groups=("features*", "*"))
    elsewhere = replace(config, device="cuda")  # where it learned, which need not be where it is tried
    save(build(config).rule, tmp_path / "rule", about=to_dict(elsewhere))
    words = ["--rule", str(tmp_path / "rule"), "--out", str(tmp_path / "run")]
    assert main(["reproduce", "generalisation", *words]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "no hidden layer" in line]
    assert any("does not fit" in line for line in lines)


def test_the_command_of_a_run_can_be_pasted():
    words = flags(replace(QUICK, groups=("convolutions*", "*"), data_dir="my data"), MetaConfig())
    assert shlex.split(shlex.join(words)) == words
    assert "'convolutions*' '*'" in shlex.join(words)
    assert "'my data'" in shlex.join(words)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_missing_gpu_is_said(tmp_path, capsys):
    assert main(["train", "meta", "--device", "cuda", "--run", str(tmp_path / "run")]) == 2
    assert "PyTorch finds no GPU here" in capsys.readouterr().err


@pytest.mark.skipif(not SHIPPED.is_file(), reason="no trained rule comes with this version yet")
def test_the_shipped_rule_trains_a_network_that_withstands_more_than_adam_s():
    assert SHIPPED.stat().st_size <= 100_000
    saved = load(SHIPPED)
    assert "bilevel train meta" in saved.about["command"]
    assert sum(p.numel() for p in saved.rule.parameters()) == sum(
        p.numel() for p in rule_of(PRESETS["mnist"]).parameters()
    )


@needs("mnist")
@pytest.mark.skipif(not SHIPPED.is_file(), reason="no trained rule comes with this version yet")
def test_the_shipped_rule_makes_robust_networks_by_clean_images_alone():
    config = replace(PRESETS["mnist"], data_dir=str(DATA / "mnist"), test_images=1000)
    training = build(config)
    data, attack = training.data, training.solver.task.judged.attack
    trial = Trial(training.problem, data.transfer, data.test, CLEAN, attack, steps=100, every=100)
    mine = trial.run(lambda network: load(SHIPPED).as_optimizer(network), seed=1).rows[-1]
    adam = [
        trial.run(lambda net, r=rate: torch.optim.Adam(net.parameters(), r), seed=1).rows[-1] for rate in (1e-3, 1e-2)
    ]
    assert mine["adversarial_loss"] < min(row["adversarial_loss"] for row in adam) - 0.3
    assert mine["robust"] > max(row["robust"] for row in adam) + 0.05
    assert mine["clean"] > 0.8
