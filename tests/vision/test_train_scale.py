"""What a training has for its scale: averaged weights, clipping, memory layout, compiling, several processes."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
import vision_processes
from torch import nn
from torch._inductor import config as inductor
from two_processes import in_two_processes

from bilevel.errors import CheckpointError, ConfigurationError
from tasks.vision.compilation import compile_or_warn
from tasks.vision.config import DROConfig
from tasks.vision.data import Split, digits
from tasks.vision.methods import METHODS
from tasks.vision.networks import SmallConvNet
from tasks.vision.train import build, restore, train

QUICK = DROConfig(method="fgsm", epochs=2, batch_size=32, width=4, schedule="constant", device="cpu")


@pytest.fixture(scope="module")
def split():
    whole = digits(0)
    return Split(*(part.subset(slice(0, 100)) for part in (whole.train, whole.validation, whole.test)))


def run(config, split, folder=None, **settings):
    return train(config, folder, split=split, progress=False, **settings)


def same(one, other):
    return all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


# Averaged weights.


def test_the_averaged_classifier_is_the_result_and_training_goes_on_as_without_it(tmp_path, split):
    raw, averaged = run(QUICK, split), run(replace(QUICK, ema=0.9), split, tmp_path)
    leader = averaged.solver.task.leader
    assert same(leader, raw.model)
    assert averaged.model is averaged.average.average
    assert averaged.average.steps == 8
    assert not same(averaged.model, leader)


def test_the_average_begins_after_its_share_of_the_training(split):
    training = build(replace(QUICK, ema=0.5, ema_start=0.25), split=split)
    assert training.average.start == 2


def test_the_averaged_classifier_comes_back_from_its_folder(tmp_path):
    config = replace(QUICK, ema=0.9, epochs=1, batch_size=512)
    trained = train(config, tmp_path, progress=False)
    found = restore(config, tmp_path)
    assert same(found.model, trained.model)
    assert same(found.solver.task.leader, trained.solver.task.leader)
    assert not found.model.training
    with pytest.raises(CheckpointError, match=r"its extras are \['averaged weights'\]"):
        train(replace(config, ema=None), tmp_path, progress=False, resume=True)


def test_a_training_with_an_average_goes_on_to_the_same_weights(tmp_path, split):
    config = replace(QUICK, ema=0.9)
    whole = run(config, split)
    run(replace(config, epochs=1), split, tmp_path)
    parts = run(config, split, tmp_path, resume=True)
    assert same(whole.model, parts.model)


# Clipping and memory layout.


def test_the_gradient_is_clipped(split):
    def lengths(config):
        training = build(config, split=split)
        leader = training.solver.task.leader
        before = [p.detach().clone() for p in leader.parameters()]
        training.solver.step(split.train.batch(slice(0, 32)))
        changes = [(p.detach() - b).square().sum() for p, b in zip(leader.parameters(), before, strict=True)]
        return math.sqrt(float(sum(changes)))

    torch.manual_seed(0)
    config = replace(QUICK, lr=1.0, weight_decay=0.0, momentum=0.0)
    assert lengths(replace(config, clip=1e-3)) == pytest.approx(1e-3, rel=1e-3)
    assert lengths(config) > 0.1


def test_the_memory_layout_changes_neither_names_nor_results(split):
    models = {}
    for last in (False, True):
        torch.manual_seed(0)
        training = build(replace(QUICK, method="grad-l2l", channels_last=last), split=split)
        training.solver.step(split.train.batch(slice(0, 32)))
        models[last] = training.model
        weight = training.model.features[3].weight
        assert weight.is_contiguous(memory_format=torch.channels_last) == last
    torch.testing.assert_close(models[True].state_dict(), models[False].state_dict(), rtol=1e-3, atol=1e-5)


# Compiling.


class Traceable(nn.Module):
    """Says of its output whether it was compiled."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x):
        return self.layer(x.flatten(1)) + (1 if torch.compiler.is_compiling() else 0)


def test_a_compiled_classifier_has_the_same_names_and_does_the_same():
    model, x = Traceable(), torch.rand(4, 1, 8, 8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    expected, random = model(x), torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert compile_or_warn(model, x)
    assert torch.equal(random, torch.get_rng_state())
    torch.testing.assert_close(model(x), expected + 1)
    assert list(model.state_dict()) == list(before)
    assert same(model, deepcopy(model))
    assert all(p.grad is None for p in model.parameters())


def test_without_a_compiler_the_classifier_stays_as_it_is():
    model, x = Traceable(), torch.rand(4, 1, 8, 8)
    before, expected = {name: value.clone() for name, value in model.state_dict().items()}, model(x)
    reason = "torch.compile failed, so the classifier runs as it is, uncompiled.*No working C.. compiler"
    torch.compiler.reset()  # what the test before has compiled would be found again
    nothing = inductor.patch({"cpp.cxx": ("no-such-compiler",), "force_disable_caches": True})
    with nothing, pytest.warns(UserWarning, match=reason):
        assert not compile_or_warn(model, x)
    torch.testing.assert_close(model(x), expected)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_what_differentiates_twice_is_not_compiled(split):
    with pytest.raises(ConfigurationError, match="Teaching differentiates the classifier twice"):
        run(replace(QUICK, compile=True), split, method=METHODS["teacher-l2l"])


# A classifier of one's own.


def own_model():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))


def test_a_classifier_of_ones_own_is_trained_and_comes_back(tmp_path):
    model = own_model()
    config = replace(QUICK, epochs=1, batch_size=512)
    trained = train(config, tmp_path, model=model, progress=False)
    assert trained.model is model
    assert same(restore(config, tmp_path, model=own_model()).model, model)
    with pytest.raises(CheckpointError, match="does not fit"):
        restore(config, tmp_path)


def test_a_training_on_data_of_ones_own_comes_back_with_their_normalisation(tmp_path, split):
    dark = Split(*(replace(part, pixels=part.pixels // 4) for part in (split.train, split.validation, split.test)))
    config = replace(QUICK, epochs=1, normalise=True)
    trained = train(config, tmp_path, split=dark, method=METHODS["grad-l2l"], progress=False)
    x = dark.test.batch().x
    mine = restore(config, tmp_path, split=dark, method=METHODS["grad-l2l"])
    assert mine.split.test.pixels.equal(dark.test.pixels)
    assert same(mine.solver.rule, trained.solver.rule)
    others = restore(config, tmp_path, split=split, method=METHODS["grad-l2l"])  # whose normalisation is another one
    for found in (mine, others):
        torch.testing.assert_close(found.model(x), trained.model.eval()(x))


def test_what_nothing_can_be_learned_by_is_refused(split):
    with pytest.raises(ConfigurationError, match=r"Flatten has no parameters"):
        build(QUICK, model=nn.Flatten(), split=split)
    single = replace(split.train, labels=torch.zeros_like(split.train.labels), classes=1)
    with pytest.raises(ConfigurationError, match=r"digits has 1 class, .*at least two"):
        build(QUICK, split=replace(split, train=single))


class Pair(nn.Module):
    def forward(self, x):
        return x.flatten(1), x


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 9)), r"\(2, 10\) for 2 images of digits; it returns shape \(2, 9\)"),
        (nn.Conv2d(1, 10, 3), r"returns shape \(2, 10, 6, 6\)"),
        (Pair(), "returns tuple"),
        (nn.Conv2d(3, 10, 3), r"cannot take the images of digits, whose shape is \(2, 1, 8, 8\)"),
    ],
)
def test_a_model_that_is_no_classifier_of_these_images(model, message, split):
    model.spare = nn.Parameter(torch.ones(()))
    with pytest.raises(ConfigurationError, match=message):
        build(QUICK, model=model, split=split)


# Several processes.


def test_two_processes_learn_what_one_does(tmp_path):
    alone = vision_processes.trained(0, None)
    for found in in_two_processes(vision_processes.trained, tmp_path):
        torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("images", "batch_size", "message"), [(66, 64, "in 2 processes.*single"), (64, 2, "single")])
def test_shares_of_a_single_image_are_refused_beside_batch_norm(images, batch_size, message):
    from tasks.vision.checks import check_training

    part = digits(0).train.subset(slice(0, images))
    check_training(part, batch_size, SmallConvNet())
    with pytest.raises(ConfigurationError, match=message):
        check_training(part, batch_size, SmallConvNet(), processes=2)


def test_the_command_starts_a_process_for_each_device(tmp_path):
    command = [sys.executable, "-m", "tasks", "train", "dro", "--epochs", "1", "--device", "cpu"]
    settings = ["--devices", "2", "--method", "grad-l2l", "--out", str(tmp_path / "run"), "--train-images", "128"]
    done = subprocess.run([*command, *settings], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The run is in") == 1
    files = sorted(path.name for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert files == ["config.yaml", "metrics.csv", "step-00000000.pt", "step-00000002.pt"]
    found = restore(DROConfig(method="grad-l2l", train_images=128), tmp_path / "run")
    assert found.solver.step_count == 2


@pytest.mark.parametrize("present", [0, 1])
def test_more_devices_than_there_are(present, monkeypatch):
    if present and not torch.cuda.is_available():  # Lightning has another error for a machine that has some
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr("lightning_fabric.accelerators.cuda.num_cuda_devices", lambda: present)
        monkeypatch.setattr("lightning_fabric.accelerators.cuda._get_all_visible_cuda_devices", lambda: [0])
    with pytest.raises(ConfigurationError, match="The device 200 x cuda cannot be used"):
        train(replace(QUICK, device="cuda", devices=200), progress=False)
