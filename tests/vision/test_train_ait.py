"""Adversarial interpolation as a user trains it, and what its configuration and that of DRO make of their settings."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
import yaml

from bilevel.checkpoint import CheckpointFolder
from bilevel.errors import ConfigurationError
from bilevel.starts import Gaussian, Uniform
from tasks.cli import main
from tasks.settings import from_dict, to_dict
from tasks.vision.config import AITConfig, DROConfig
from tasks.vision.games import Away, Interpolation, Mixed, RandomOther, Trades
from tasks.vision.methods import AIT_METHODS, METHODS, Stability
from tasks.vision.norm_modes import TrainModeNorm
from tasks.vision.presets import AIT_PRESETS, DEFAULT

QUICK = ["--epochs", "2", "--threads", "1", "--width", "4"]


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def weights(folder):
    return CheckpointFolder(folder / "checkpoints").latest()[1]["solver"]


def test_train_resume_and_evaluate(tmp_path, capsys):
    """A run that stopped after an epoch goes on to the weights of an unbroken one; its own attacker attacks it."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    words = ["train", "ait", "--method", "grad-l2l", "--pairing", "random", *QUICK]
    words += ["--schedule", "constant", "--warmup", "0", "--train-images", "200", "--test-images", "40"]
    assert main([*words, "--run", str(whole)]) == 0
    config = yaml.safe_load((whole / "config.yaml").read_text())
    assert (config["task"], config["pairing"], config["play"]) == ("ait", "random", "follower-first-same-answer")
    assert config["command"].startswith("bilevel train ait ")
    assert main([*words, "--epochs", "1", "--run", str(parts)]) == 0
    (parts / "config.yaml").write_text((parts / "config.yaml").read_text().replace("epochs: 1\n", "epochs: 2\n"))
    assert main(["resume", str(parts)]) == 0
    assert same(weights(parts), weights(whole))
    capsys.readouterr()
    assert main(["evaluate", str(whole), "--attacks", "FGSM", "own", "--no-curves"]) == 0
    records = [r for r in json.loads((whole / "results.json").read_text()) if r.get("robust") is not None]
    assert {(r["task"], r["method"], r["kind"]) for r in records} == {("ait", "ait-grad-l2l", "learned")}
    assert {r["attack"] for r in records} == {"FGSM", "own attacker"}
    assert all(0 <= r["robust"] <= r["clean"] <= 1 for r in records)
    assert "ait-grad-l2l" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["trades", "stability", "teacher-l2l"])
def test_the_other_games_train_from_the_command_line(method, tmp_path):
    folder = tmp_path / "run"
    words = ["train", "dro", "--method", method, *QUICK, "--pgm-steps", "2", "--epochs", "1"]
    assert main([*words, "--run", str(folder)]) == 0
    assert all(value.isfinite().all() for value in torch.utils._pytree.tree_leaves(weights(folder)["leader"]))


@pytest.mark.parametrize("name", AIT_PRESETS)
def test_presets_survive_the_way_to_plain_values_and_back(name):
    config = AIT_PRESETS[name]
    assert from_dict(AITConfig, yaml.safe_load(yaml.safe_dump(to_dict(config)))) == config
    assert DEFAULT in AIT_PRESETS


def test_the_names_in_tables():
    labels = [AITConfig(method=name).label for name in AIT_METHODS]
    assert labels[:2] == ["ait", "ait-naive-l2l"]
    assert AITConfig(ait_steps=2).label == "2-step-ait"
    assert AITConfig(method="k-step-l2l", k_steps=2).label == "ait-k-step-l2l-2"
    assert DROConfig(method="trades", pgm_steps=7).label == "trades-7"
    assert not {*labels} & {DROConfig(method=name).label for name in METHODS}


def test_the_settings_of_adversarial_interpolation_reach_the_method():
    config = AITConfig(
        feature="away", pairing="random", label_eps=0.3, ait_steps=2, ait_step=0.5, ait_start="gaussian",
        ait_start_size=0.1, ait_norm="train",
    )  # fmt: skip
    method = config.make_method()
    assert method.game == Interpolation(0.3, Away(), RandomOther())
    assert (method.steps, method.step, method.start, method.norm) == (2, 0.5, Gaussian(0.1), TrainModeNorm())
    learned = replace(config, method="2-step-l2l", attacker_scale=0.5).make_method()
    assert (learned.game, learned.steps, learned.scale) == (method.game, 2, 0.5)


def test_the_settings_of_trades_stability_and_the_mixture_reach_the_methods():
    trades = DROConfig(method="trades", pgm_steps=3, pgm_step=0.5, trades_beta=2.0)
    method = trades.make_method()
    assert (method.game, method.steps, method.step) == (Trades(2.0), 3, 0.5)
    assert method.start == METHODS["trades"].start
    assert replace(trades, pgm_start="uniform-unprojected").make_method().start == Uniform(1.0, feasible=False)
    assert DROConfig(method="fgsm", pgm_beta=2.0).make_method().game == Mixed(2.0)
    taught = DROConfig(method="teacher-l2l")
    assert (taught.make_method().attacker.base, taught.make_method().attacker.start) == (1.25, Uniform(1.0))
    assert replace(taught, attacker_base=0.0).make_method().attacker.base is None
    noisy = DROConfig(method="stability", stability_alpha=0.5, stability_noise=0.1)
    assert noisy.make_method() == Stability(0.5, 0.1)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("method", "pgm", "no method of adversarial interpolation 'pgm'.*Known are: ait, naive-l2l"),
        ("feature", "forwards", "towards, away"),
        ("pairing", "mixed", "reversed, random"),
        ("ait_start", "zero", "uniform-unprojected"),
        ("ait_norm", "none", "eval, train, batch"),
        ("label_eps", 1.5, r"label_eps.*in \[0, 1\], got 1.5"),
        ("label_eps", -0.5, "label_eps"),
        ("ait_steps", 0, "ait_steps must be above 0"),
        ("ait_step", 0.0, "ait_step must be above 0"),
        ("ait_start_size", -1.0, "ait_start_size must be above 0"),
        ("batch_size", 1, "batch_size must be at least 2"),
        ("eps", 8.0, "grey levels"),
        ("attacker", "large", "small, wide, wide-code, slim"),
    ],
)
def test_settings_out_of_range_are_named(field, value, message):
    with pytest.raises(ConfigurationError, match=message):
        replace(AITConfig(), **{field: value})


@pytest.mark.parametrize("field", ["trades_beta", "stability_alpha", "stability_noise"])
def test_settings_of_dro_out_of_range_are_named(field):
    with pytest.raises(ConfigurationError, match=f"{field} must be above 0"):
        replace(DROConfig(), **{field: 0.0})


def test_trades_from_the_clean_image_is_refused_before_a_folder_is_made(tmp_path, capsys):
    words = ["train", "dro", "--method", "trades", "--pgm-start", "center", "--run", str(tmp_path / "run")]
    assert main(words) == 2
    assert "TRADES cannot attack from the clean image" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
