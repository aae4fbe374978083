"""How often each method passes through the classifier, and that passes for the image compute nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from bilevel.learned import Small
from bilevel.play import FollowerFirst, LeaderFirst, Simultaneous
from bilevel.rule_loss import SummedOverSteps
from bilevel.starts import Uniform
from tasks.vision.data import ImageBatch
from tasks.vision.games import Mixed, Trades
from tasks.vision.methods import AIT_METHODS, L2L, METHODS, SignSteps
from tasks.vision.networks import SmallConvNet
from tasks.vision.norm_modes import BatchStatisticsNorm, TrainModeNorm


class Passes(TorchDispatchMode):
    """Counts the passes of a classifier by what its layers are asked for, whatever they are called.

    A backward pass through a convolution or a batch norm says by its mask which gradients it computes; the linear layer
    computes its weight's gradient by a product of the weight's shape.
    """

    def __init__(self, model):
        super().__init__()
        self.model = model
        layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
        self.layers = {m.weight.data_ptr(): i for i, m in enumerate(layers)}
        self.counts = {i: {"input": 0, "weight": 0, "both": 0} for i in range(len(layers))}
        self.forwards = 0
        self.linear_weight = 0
        self._hook = layers[0].register_forward_pre_hook(self._forward)

    def _forward(self, *_):
        self.forwards += 1

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket
        if name in (torch.ops.aten.convolution_backward, torch.ops.aten.native_batch_norm_backward):
            self._count(args[2], args[-1])
        elif name is torch.ops.aten.mm and result.shape == self.model.classify.weight.shape:
            self.linear_weight += 1
        return result

    def _count(self, weight, mask):
        layer = self.layers.get(weight.data_ptr())
        if layer is not None:
            kind = "both" if mask[0] and mask[1] else "weight" if mask[1] else "input"
            self.counts[layer][kind] += 1

    def summary(self):
        """Return forward passes, backward passes for the input alone, and full ones."""
        first, *rest = self.counts.values()
        assert all(layer["weight"] == 0 for layer in rest)  # below the top, weights never come without their input
        full = [layer["weight"] + layer["both"] for layer in self.counts.values()]
        assert len({*full, self.linear_weight}) == 1
        assert len({layer["input"] for layer in self.counts.values()}) == 1
        return self.forwards, first["input"], full[0]


def batch(n=6):
    return ImageBatch(torch.rand(n, 1, 8, 8), torch.arange(n) % 10, torch.arange(n))


def quick(method):
    return replace(method, network=Small(width=4)) if isinstance(method, L2L) else method


def passes_of(method):
    model = SmallConvNet(width=3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    solver = quick(method).solver(model, eps=0.2, channels=1, samples=64, leader_optimizer=optimizer)
    solver.step(batch())
    with Passes(model) as passes:
        solver.step(batch())
    return passes.summary()


EXPECTED = {
    "plain": (1, 0, 1),
    "fgsm": (2, 1, 1),
    "fgsm-rs": (2, 1, 1),
    "pgm": (11, 10, 1),
    "stability": (2, 0, 2),
    # Its constant, ten steps, and a full pass of the clean and of the perturbed images.
    "trades": (13, 10, 2),
    "naive-l2l": (1, 0, 1),
    "grad-l2l": (2, 1, 1),
    "grad-only-l2l": (2, 1, 1),
    "2-step-l2l": (3, 2, 1),
    "2-step-grad-only-l2l": (3, 2, 1),
    "k-step-l2l": (4, 3, 1),
    # Between two lessons.
    "teacher-l2l": (2, 1, 1),
    # What these keep of an image comes out of the classifier's own backward pass.
    "warm-fgsm": (2, 1, 1),
    "warm-l2l": (2, 1, 1),
}


@pytest.mark.parametrize("name", METHODS)
def test_passes_of_every_method(name):
    assert passes_of(METHODS[name]) == EXPECTED[name]


AIT_EXPECTED = {
    # The partners, the step, the classifier.
    "ait": (3, 1, 1),
    # The attacker is trained in a pass of its own, as it is in evaluation mode.
    "naive-l2l": (3, 1, 1),
    # From the clean images the partners' features come out of the first step's pass.
    "grad-l2l": (3, 2, 1),
    "grad-only-l2l": (3, 2, 1),
    "2-step-l2l": (4, 3, 1),
    "2-step-grad-only-l2l": (4, 3, 1),
    "k-step-l2l": (5, 4, 1),
}


@pytest.mark.parametrize("name", AIT_METHODS)
def test_passes_of_every_method_of_adversarial_interpolation(name):
    assert passes_of(AIT_METHODS[name]) == AIT_EXPECTED[name]


def test_in_simultaneous_play_the_features_and_the_logits_are_of_one_pass():
    assert passes_of(replace(AIT_METHODS["grad-l2l"], play=Simultaneous())) == (2, 2, 1)
    assert passes_of(L2L(game=Trades(), start=Uniform(0.1), steps=2, play=Simultaneous())) == (5, 3, 2)


@pytest.mark.parametrize("steps", [1, 3, 7])
def test_pgm_takes_as_many_input_passes_as_steps(steps):
    assert passes_of(SignSteps(steps=steps)) == (steps + 1, steps, 1)


@pytest.mark.parametrize("norm", [TrainModeNorm(), BatchStatisticsNorm()])
def test_the_batch_norm_mode_changes_no_count(norm):
    assert passes_of(L2L(steps=2, norm=norm)) == (3, 2, 1)


def test_a_loss_over_all_steps_costs_no_pass():
    assert passes_of(L2L(steps=2, rule_loss=SummedOverSteps())) == (3, 2, 1)


def test_clean_images_cost_one_full_pass_more_and_none_in_the_attack():
    assert passes_of(SignSteps(steps=3, game=Mixed(1.0))) == (5, 3, 2)


@pytest.mark.parametrize(
    ("play", "expected"),
    [
        (LeaderFirst(), (4, 3, 1)),
        (FollowerFirst(), (4, 3, 1)),
        (LeaderFirst(same_answer=True), (3, 2, 1)),
        (FollowerFirst(same_answer=True), (3, 2, 1)),
    ],
)
def test_alternating_play_never_computes_weight_gradients_for_the_attacker(play, expected):
    assert passes_of(L2L(play=play)) == expected


def test_the_counter_sees_weight_gradients_that_nobody_uses():
    """The counter itself: a backward() that is only wanted for the image is a full pass all the same."""
    model, b = SmallConvNet(width=3), batch()
    z = b.x.clone().requires_grad_()
    with Passes(model) as passes:
        torch.nn.functional.cross_entropy(model(z), b.y).backward()
        torch.autograd.grad(torch.nn.functional.cross_entropy(model(z), b.y), z)
    assert passes.summary() == (2, 1, 1)
    assert passes.counts[0]["both"] == 1
