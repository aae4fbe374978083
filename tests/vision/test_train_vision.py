"""Adversarial training from a configuration: its checks, its course, its resumption."""

from __future__ import annotations

import ast
import csv
import inspect
import math
import subprocess
import sys
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import pairwise

import pytest
import torch

from bilevel.errors import CheckpointError, ConfigurationError
from tasks.settings import check_types, from_dict, to_dict
from tasks.vision import tables
from tasks.vision.config import CONFIGS, DROConfig
from tasks.vision.data import Split, digits
from tasks.vision.datasets import DATASETS
from tasks.vision.evaluation import accuracy
from tasks.vision.machine import fabric_of, precision_of
from tasks.vision.methods import AIT_METHODS, METHODS
from tasks.vision.presets import DEFAULT, PRESETS
from tasks.vision.train import build, restore, train

QUICK = DROConfig(
    method="2-step-l2l", epochs=2, batch_size=32, width=4, attacker_width=4, attacker_start="uniform",
    schedule="constant", device="cpu",
)  # fmt: skip


@pytest.fixture(scope="module")
def split():
    """Some of the digits, and no test images at all: training must do without them."""
    whole = digits(0)
    return Split(
        whole.train.subset(slice(0, 100)), whole.validation.subset(slice(0, 40)), whole.test.subset(slice(0, 0))
    )


def state(training):
    rule = training.solver.rule
    return [*training.model.state_dict().values(), *(rule.state_dict().values() if hasattr(rule, "state_dict") else ())]


def same(one, other):
    return len(one) == len(other) and all(map(torch.equal, one, other))


def run(config, split, folder=None, **settings):
    return train(config, folder, split=split, progress=False, **settings)


def test_training_depends_on_the_seed_alone_and_needs_no_test_images(split):
    first = run(QUICK, split)
    torch.rand(3)
    assert same(state(first), state(run(QUICK, split)))
    assert not same(state(first), state(run(replace(QUICK, seed=1), split)))
    assert first.solver.step_count == 2 * 4


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_and_changes_the_classifier_in_its_own_way(name, split):
    config = replace(QUICK, method=name, epochs=1, attacker_start="center")
    training = run(config, split)
    plain = run(replace(config, method="plain"), split)
    assert all(p.isfinite().all() for p in state(training))
    assert same(training.model.state_dict().values(), plain.model.state_dict().values()) == (name == "plain")


def test_a_resumed_training_reaches_the_same_weights(tmp_path, split):
    whole = run(QUICK, split, tmp_path / "whole")
    run(replace(QUICK, epochs=1), split, tmp_path / "parts")
    parts = run(QUICK, split, tmp_path / "parts", resume=True)
    assert same(state(whole), state(parts))


def test_the_log_has_the_accuracy_on_the_clean_validation_images(tmp_path, split):
    training = run(QUICK, split, tmp_path)
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert float(rows[-1]["validation_accuracy"]) == accuracy(training.model, split.validation)


def test_accuracy_counts_what_is_right(split):
    label_of = {tuple(i.flatten().tolist()): y for i, y in zip(split.train.batch().x, split.train.labels, strict=True)}

    class Knowing(torch.nn.Module):
        def forward(self, x):
            labels = torch.stack([label_of[tuple(one.flatten().tolist())] for one in x])
            labels[0] = (labels[0] + 1) % 10  # one mistake a batch
            return torch.nn.functional.one_hot(labels, 10).float()

    assert accuracy(Knowing(), split.train, batch_size=30) == 0.96


def test_a_trained_classifier_comes_back_from_its_folder(tmp_path):
    config = replace(QUICK, epochs=1, batch_size=512)
    trained = train(config, tmp_path, progress=False)
    before = torch.get_rng_state()
    found = restore(config, tmp_path)
    assert torch.equal(before, torch.get_rng_state())
    assert same(state(found), state(trained))
    assert not found.model.training
    assert not found.solver.rule.training
    with pytest.raises(CheckpointError, match="does not fit"):
        restore(replace(config, width=5), tmp_path)
    with pytest.raises(CheckpointError, match="train first"):
        restore(config, tmp_path / "nothing")


def test_bad_data_stop_a_training_before_it_makes_a_folder(tmp_path, split):
    too_bright = replace(split.train, levels=8)
    with pytest.raises(ConfigurationError, match="beyond levels"):
        run(QUICK, replace(split, train=too_bright), tmp_path / "run")
    with pytest.raises(ConfigurationError, match="100 images"):
        run(replace(QUICK, batch_size=101), split, tmp_path / "run")
    with pytest.raises(ConfigurationError, match="single image"):
        run(replace(QUICK, batch_size=99), split, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("schedule", tables.SCHEDULES)
@pytest.mark.parametrize("warmup", [0.0, 0.5])
def test_schedules(schedule, warmup, split):
    config = replace(
        QUICK,
        method="plain",
        schedule=schedule,
        epochs=4,
        milestones=(1, 3),
        decay=0.5,
        peak=0.25,
        lr=0.1,
        warmup=warmup,
    )
    training = build(config, split=split)
    optimizer = training.solver.leader_update.optimizer
    a_epoch = len(training.batches)
    rates = []
    for step in range(4 * a_epoch):
        epoch, part = divmod(step, a_epoch)
        shape = {
            "cosine": 0.5 * (1 + math.cos(math.pi * (epoch + part / a_epoch) / 4)),
            "steps": [1, 0.5, 0.5, 0.25][epoch],
            "cyclic": min((epoch + part / a_epoch) / 1, (4 - epoch - part / a_epoch) / 3),
            "constant": 1,
        }[schedule]
        rise = min(1, (step + 1) / (0.5 * 4 * a_epoch)) if warmup else 1
        rates.append((optimizer.param_groups[0]["lr"], 0.1 * shape * rise))
        optimizer.step()
        training.scheduler.step()
    found, expected = zip(*rates, strict=True)
    assert found == pytest.approx(expected)


def test_in_mixed_precision_a_changed_weight_is_used_at_once():
    """Autocast's cached copies of the weights would outlive the optimizers' steps."""
    layer, x = torch.nn.Linear(4, 3), torch.rand(2, 4)
    with precision_of(fabric_of(replace(QUICK, precision="bf16-mixed"))):
        assert layer(x).dtype == torch.bfloat16
        with torch.no_grad():
            layer.weight.zero_()
            layer.bias.fill_(2.0)
        assert torch.equal(layer(x), torch.full((2, 3), 2.0, dtype=torch.bfloat16))
    assert torch.is_autocast_cache_enabled()
    assert layer(x).dtype == torch.float32


def test_a_device_that_is_not_there():
    if torch.backends.mps.is_available():
        pytest.skip("it is there")
    with pytest.raises(ConfigurationError, match="device mps"):
        train(replace(QUICK, device="mps"), progress=False)


# The configuration.


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_the_way_to_plain_values_and_back(name):
    import yaml

    config = PRESETS[name]
    assert from_dict(DROConfig, yaml.safe_load(yaml.safe_dump(to_dict(config)))) == config
    assert DEFAULT in PRESETS


def test_a_dictionary_with_an_unknown_setting():
    with pytest.raises(ConfigurationError, match=r"setting 'epoch'.*Did you mean epochs.*batch_size"):
        from_dict(DROConfig, {"epoch": 3})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("data", "minst", "Did you mean mnist.*digits, mnist, cifar10, cifar100, svhn, folder"),
        ("method", "pgd", "Did you mean pgm.*2-step-grad-only-l2l"),
        ("model", "vgg", "small, mnist, wide-resnet, resnet, preact-resnet"),
        ("schedule", "linear", "cosine, steps, cyclic, constant"),
        ("pgm_start", "zero", "center, uniform, gaussian"),
        ("attacker_start", "zero", "center, uniform, gaussian"),
        ("pgm_norm", "none", "eval, train, batch"),
        ("attacker_norm", "none", "eval, train, batch"),
        ("attacker", "large", "small, wide, wide-code, slim"),
        ("attacker_gradient", "max", "raw, batch-max, sample-rms, sign, log-sign"),
        ("attacker_loss", "first", "last, summed"),
        ("play", "both", "simultaneous"),
        ("device", "gpu", "auto, cpu, cuda, mps"),
        ("precision", "16-mixed", "32-true, bf16-mixed"),
        ("eps", 0.0, "eps must be above 0"),
        ("eps", -0.2, "eps must be above 0"),
        ("eps", 8.0, "grey levels"),
        ("eps", float("nan"), "eps must be a finite number"),
        ("epochs", 0, "epochs must be above 0"),
        ("batch_size", 0, "batch_size must be above 0"),
        ("lr", -0.1, "lr must be above 0"),
        ("lr", float("inf"), "lr must be a finite number"),
        ("momentum", 1.0, "momentum"),
        ("dropout", -0.1, "dropout"),
        ("peak", 0.0, "peak must be above 0"),
        ("peak", 1.0, "peak"),
        ("clip", 0.0, "clip must be above 0"),
        ("ema", 1.0, "ema"),
        ("ema", 0.0, "ema must be above 0"),
        ("ema_start", 1.0, "ema_start"),
        ("depth", 0, "depth must be above 0"),
        ("weight_decay", -1e-4, "weight_decay"),
        ("pgm_steps", 0, "pgm_steps must be above 0"),
        ("pgm_step", 0.0, "pgm_step must be above 0"),
        ("pgm_beta", 0.0, "pgm_beta must be above 0"),
        ("k_steps", -1, "k_steps must be above 0"),
        ("attacker_width", 0, "attacker_width"),
        ("attacker_lr", 0.0, "attacker_lr"),
        ("attacker_betas", (0.9, 1.0), "attacker_betas"),
        ("milestones", (60, 30), "ascending"),
        ("milestones", (0,), "ascending"),
        ("width", 0, "width must be above 0"),
        ("threads", 0, "threads must be above 0"),
        ("seed", -1, "seed must be at least 0"),
    ],
)
def test_settings_out_of_range_are_named(field, value, message):
    with pytest.raises(ConfigurationError, match=message):
        replace(DROConfig(), **{field: value})


@dataclass
class Settings:
    """Declared here, where annotations are not executed, as a user has them."""

    count: int = 1
    rate: float = 1.0
    pair: tuple[float, float] = (0.0, 1.0)
    several: tuple[int, ...] = ()
    maybe: int | None = None
    flag: bool = False
    name: str = ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("count", 1.5), ("count", "3"), ("count", True), ("count", None), ("rate", "0.1"), ("rate", float("nan")),
        ("rate", float("inf")), ("rate", False), ("pair", (0.1,)), ("pair", [0.1, 0.2]), ("pair", (0.1, "b")),
        ("several", (1, 2.5)), ("several", 3), ("maybe", 1.5), ("flag", 1), ("flag", "yes"), ("name", 3),
    ],
)  # fmt: skip
def test_values_of_another_type_are_named(field, value):
    with pytest.raises(ConfigurationError, match=f"^{field} must be "):
        check_types(Settings(**{field: value}))


def test_values_of_the_declared_types_pass():
    check_types(Settings(count=2, rate=1, pair=(1, 2.5), several=(1, 2, 3), maybe=None, flag=True, name="a"))
    check_types(Settings(several=(), maybe=7))


def test_depth_counts_for_residual_networks_only():
    assert DROConfig(depth=12).depth == 12
    for model, known in (("wide-resnet", "6n"), ("resnet", "18, 34, 50"), ("preact-resnet", "18, 34,")):
        with pytest.raises(ConfigurationError, match=known):
            DROConfig(model=model, depth=12)


@pytest.mark.parametrize("kind", CONFIGS.values())
def test_the_help_text_of_each_setting_lists_the_names_that_it_takes(kind):
    help_of = {
        node.target.id: after.value.value
        for group in reversed([one for one in kind.__mro__ if is_dataclass(one)])
        for node, after in pairwise(ast.parse(inspect.getsource(group)).body[0].body[1:])
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr)
    }
    assert set(help_of) == {field.name for field in fields(kind)}
    names = {
        "data": DATASETS, "method": METHODS if kind is DROConfig else AIT_METHODS, "model": tables.MODELS,
        "schedule": tables.SCHEDULES, "play": tables.PLAYS, "teacher_exam": tables.EXAMS,
        "pgm_start": tables.STARTS, "attacker_start": tables.STARTS, "pgm_norm": tables.NORM_MODES,
        "attacker_norm": tables.NORM_MODES, "attacker": tables.ATTACKERS, "attacker_gradient": tables.PREPROCESSES,
        "attacker_loss": tables.RULE_LOSSES, "device": tables.DEVICES, "precision": tables.PRECISIONS,
        "feature": tables.FEATURE_LOSSES, "pairing": tables.PAIRINGS, "ait_start": tables.STARTS,
        "ait_norm": tables.NORM_MODES,
    }  # fmt: skip
    for field, table in names.items():
        if field in help_of:
            assert [name for name in table if name not in help_of[field]] == [], field


def test_importing_does_no_work():
    script = (
        "import sys, torch\n"
        "before, threads = torch.get_rng_state(), torch.get_num_threads()\n"
        "import tasks.vision.train\n"
        "assert torch.equal(before, torch.get_rng_state()) and threads == torch.get_num_threads()\n"
        "print(*{'sklearn', 'lightning_fabric', 'matplotlib', 'tyro'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
