"""What holds for all attacks: the ball, evaluation mode, the same each time, and nothing left behind."""

from __future__ import annotations

import copy

import pytest
import torch
from attack_cases import images, learned_rule
from small_classifiers import Mixed
from torch import nn

from bilevel.starts import Gaussian, Uniform
from tasks.vision.attacks import (
    APGD,
    PGM,
    Attack,
    AutoAttack,
    Learned,
    Random,
    Square,
    TargetedAPGD,
    TauSearch,
    Transfer,
    Worst,
    auto_attack,
    cw,
    fgsm,
    pgm,
)
from tasks.vision.attacks.auto_attack import AutoAttackPart


def every_attack() -> list[Attack]:
    return [
        fgsm(0.1),
        pgm(0.1, 12),
        PGM(0.1, 3, 0.05, start=Gaussian(0.1, feasible=False)),
        cw(0.1, 3),
        Random(0.1, draws=5),
        Learned(learned_rule(noise=True), 0.1, steps=2, start=Uniform(0.1)),
        Worst(pgm(0.1, 2), Random(0.1, draws=3)),
        APGD(0.1, 7),
        TargetedAPGD(0.1, 4, targets=3),
        Square(0.1, 9),
        TauSearch(0.1, 4),
        Transfer(surrogate(), PGM(0.1, 2, 0.05, start=Uniform(0.1))),
        *([AutoAttackPart(0.1, part) for part in ("apgd-ce", "fab-t")] if auto_attack.installed() else []),
    ]


def surrogate() -> Mixed:
    """Return another classifier than the one that is attacked, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return Mixed()


def names(attack: Attack) -> str:
    return attack.name


@pytest.mark.parametrize("attack", every_attack(), ids=names)
def test_the_images_stay_within_the_ball_and_the_range(attack):
    batch = images(dtype=torch.float32)
    found = attack(Mixed(), batch)
    assert found.shape == batch.x.shape
    assert not found.requires_grad
    assert found.min() >= 0
    assert found.max() <= 1
    # Two of them look for the smallest perturbation that does.
    smallest = attack.name.startswith(("CW-search", "AutoAttack fab"))
    assert (0 if smallest else 0.05) < (found - batch.x).abs().max() <= 0.1 + 1e-7


@pytest.mark.parametrize("attack", every_attack(), ids=names)
def test_the_model_is_attacked_in_evaluation_mode(attack):
    model, batch = Mixed(), images()
    model.norm.running_mean.normal_()
    assert torch.equal(attack(model.train(), batch), attack(model.eval(), batch))


class Fails(Mixed):
    """Breaks down at its second pass."""

    passes = 0

    def forward(self, x):
        self.passes += 1
        if self.passes == 2:
            raise RuntimeError("broken")
        return super().forward(x)


@pytest.mark.parametrize("breaks", [False, True])
@pytest.mark.parametrize(
    "attack", [*every_attack(), *([AutoAttack(0.1)] if auto_attack.installed() else [])], ids=names
)
def test_nothing_is_left_behind(attack, breaks):
    model, batch = Fails() if breaks else Mixed(), images()
    rule = attack.rule if isinstance(attack, Learned) else nn.Identity()
    other = attack.surrogate if isinstance(attack, Transfer) else nn.Identity()
    modules = nn.ModuleList([model, rule, other]).train()
    # Modes and flags that differ from part to part, and gradients on some.
    model.drop.eval()
    model.conv.bias.requires_grad_(False)
    model.head.weight.grad = torch.ones_like(model.head.weight)
    state = copy.deepcopy(modules.state_dict())
    modes = [part.training for part in modules.modules()]
    flags = [p.requires_grad for p in modules.parameters()]
    gradients = [(p.grad, None if p.grad is None else p.grad.clone()) for p in modules.parameters()]
    clean, random = batch.x.clone(), torch.get_rng_state()
    # FGSM makes one pass, a transfer none; the surrogate's are its own.
    if breaks and attack.name != "FGSM" and not isinstance(attack, Transfer):
        with pytest.raises(RuntimeError, match="broken"):
            attack(model, batch)
    else:
        attack(model, batch)
    assert [part.training for part in modules.modules()] == modes
    assert [p.requires_grad for p in modules.parameters()] == flags
    for p, (grad, value) in zip(modules.parameters(), gradients, strict=True):
        assert p.grad is grad
        assert grad is None or torch.equal(grad, value)
    assert all(torch.equal(value, state[key]) for key, value in modules.state_dict().items())
    assert torch.equal(batch.x, clean)
    assert not batch.x.requires_grad
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("attack", every_attack(), ids=names)
def test_the_same_images_come_out_whatever_was_drawn_before(attack):
    model, batch = Mixed(), images()
    first = attack(model, batch)
    torch.rand(7)
    assert torch.equal(attack(model, batch), first)


@pytest.mark.parametrize("make", [pgm, cw, lambda eps, seed: Random(eps, 3, seed=seed)], ids=["pgm", "cw", "random"])
def test_another_seed_draws_other_numbers(make):
    model, batch = Mixed(), images()
    assert not torch.equal(make(0.1, seed=0)(model, batch), make(0.1, seed=1)(model, batch))
