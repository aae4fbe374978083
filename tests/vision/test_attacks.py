"""Attacks: exact answers on linear classifiers, the textbook's loop, and nothing left behind."""

from __future__ import annotations

import copy

import pytest
import torch
from small_classifiers import Counting, Mixed, TwoClasses, two_classes
from torch import nn
from torch.nn import functional as F

import bilevel
from bilevel.errors import ConfigurationError, TaskError
from bilevel.learned import Convolutional, Direction, Iterate, Noise, Sign, Small
from bilevel.rules import SignGradient
from bilevel.starts import Center, Gaussian, Uniform
from tasks.vision.attacks import (
    APGD,
    PGM,
    Attack,
    AutoAttack,
    CrossEntropy,
    Learned,
    Margin,
    Random,
    Square,
    TargetedAPGD,
    TauSearch,
    Transfer,
    Worst,
    auto_attack,
    cw,
    fgsm,
    named,
    pgm,
)
from tasks.vision.attacks.auto_attack import AutoAttackPart
from tasks.vision.data import ImageBatch


def images(n=12, *, channels=1, classes=4, dtype=torch.float32, low=0.0, high=1.0) -> ImageBatch:
    draw = torch.Generator().manual_seed(1)
    x = low + (high - low) * torch.rand(n, channels, 4, 4, generator=draw, dtype=dtype)
    return ImageBatch(x, torch.randint(0, classes, (n,), generator=draw))


def learned_rule(*, noise: bool = False) -> Convolutional:
    inputs = (Iterate(), Direction(Sign()), *((Noise(),) if noise else ()))
    return Convolutional(1, Small(width=4), scale=0.2, inputs=inputs)


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


# The textbook.


@pytest.mark.parametrize("steps", [1, 10, 23])
def test_from_the_centre_it_is_the_textbook_s_loop_to_the_bit(steps):
    model, batch = Mixed().eval(), images()
    x, y = batch.x, batch.y
    eta, eps = 0.03, 0.1
    adv = x
    for _ in range(steps):
        z = adv.clone().requires_grad_()
        (g,) = torch.autograd.grad(F.cross_entropy(model(z), y), z)
        adv = torch.clamp(x + torch.clamp(adv + eta * torch.sign(g) - x, -eps, eps), 0, 1)
    assert torch.equal(PGM(eps, steps, eta)(model, ImageBatch(x, y)), adv)


def test_fgsm_is_one_step_to_the_border():
    model, batch = Mixed().eval(), images()
    z = batch.x.clone().requires_grad_()
    (g,) = torch.autograd.grad(F.cross_entropy(model(z), batch.y), z)
    torch.testing.assert_close(fgsm(0.1)(model, batch), (batch.x + 0.1 * g.sign()).clamp(0, 1))


def test_the_path_is_one_run():
    model, batch = Counting(Mixed().eval()), images()
    attack = PGM(0.1, 1, 0.02, start=Uniform(0.1), seed=4)
    path = attack.path(model, batch, [0, 1, 5, 12])
    assert len(model.sizes) == 12
    for steps, z in zip([1, 5, 12], path[1:], strict=True):
        assert torch.equal(z, PGM(0.1, steps, 0.02, start=Uniform(0.1), seed=4)(model, batch))


# Linear classifiers, where the strongest attack is known.


@pytest.mark.parametrize("loss", [CrossEntropy(), Margin()], ids=["cross-entropy", "margin"])
@pytest.mark.parametrize(("low", "high"), [(0.3, 0.7), (0.0, 1.0)], ids=["inside", "at the border"])
def test_pgm_finds_the_strongest_attack_on_a_linear_classifier(loss, low, high):
    model, batch = two_classes(), images(40, classes=2, dtype=torch.float64, low=low, high=high)
    found = PGM(0.2, 6, 0.05, loss=loss)(model, batch)
    assert torch.equal(found, model.strongest(batch.x, batch.y, 0.2))
    if low > 0.2:
        lost = model.lead(batch.x, batch.y) - model.lead(found, batch.y)
        torch.testing.assert_close(lost, (0.2 * model.w.detach().abs().sum()).expand(40), rtol=0, atol=1e-12)


@pytest.mark.parametrize("attack", [pgm, cw])
def test_exactly_the_samples_whose_lead_is_below_the_bound_are_lost(attack):
    model, batch = two_classes(), images(300, classes=2, dtype=torch.float64, low=0.3, high=0.7)
    y = model(batch.x).argmax(1)
    bound = 0.05 * model.w.detach().abs().sum()
    stands = model(attack(0.05, 20)(model, ImageBatch(batch.x, y))).argmax(1) == y
    assert torch.equal(stands, model.lead(batch.x, y) > bound)
    assert 20 < stands.sum() < 280


# Losses.


def test_the_margin_is_the_lead_of_the_best_other_class():
    logits = torch.tensor([[3.0, 1.0, 2.5], [0.0, 9.0, -1.0]], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0, 2])
    assert Margin(50.0)(logits, y).item() == (2.5 - 3) + (9 + 1)
    assert Margin(4.0)(logits, y).item() == (2.5 - 3) + 4
    (g,) = torch.autograd.grad(Margin(4.0)(logits, y), logits)
    assert g.tolist() == [[-1, 0, 1], [0, 0, 0]]


def test_a_sample_that_errs_confidently_stays_where_it_is():
    model, batch = two_classes(), images(30, classes=2, dtype=torch.float64)
    found = PGM(0.2, 3, 0.1, loss=Margin(confidence=1.0))(model, batch)
    stayed = (found == batch.x).flatten(1).all(1)
    assert torch.equal(stayed, -model.lead(batch.x, batch.y) > 1)
    assert stayed.any()
    assert not stayed.all()


def test_the_margin_still_has_a_gradient_where_the_cross_entropy_has_none():
    model = TwoClasses(1000 * torch.ones(1, 4, 4), b=-4000.0)
    batch = ImageBatch(torch.full((1, 1, 4, 4), 0.6), torch.tensor([1]))
    assert torch.equal(pgm(0.5, 20)(model, batch).sub(batch.x).abs().amax() < 0.01, torch.tensor(True))
    assert model(cw(0.5, 20)(model, batch)).argmax() == 0


# Random search.


def test_one_random_draw_is_a_uniform_draw_clipped():
    model, batch = two_classes(torch.float32), images(classes=2)
    found = Random(0.3, draws=1, seed=7)(model, batch)
    noise = torch.empty_like(batch.x).uniform_(-0.3, 0.3, generator=torch.Generator().manual_seed(7))
    assert torch.equal(found, (batch.x + noise).clamp(0, 1))


def test_random_search_succeeds_as_often_as_its_definition_says():
    n, draws = 4000, 5
    model = TwoClasses(torch.ones(1, 1, 1), b=-0.66)  # a draw from 0.5 ± 0.2 is above 0.66 with probability 0.1
    batch = ImageBatch(torch.full((n, 1, 1, 1), 0.5), torch.zeros(n, dtype=torch.int64))
    stands = (model(Random(0.2, draws)(model, batch)).argmax(1) == 0).double().mean().item()
    deviation = (0.9**draws * (1 - 0.9**draws) / n) ** 0.5
    assert abs(stands - 0.9**draws) < 4 * deviation


def test_a_fooled_sample_gets_no_more_draws_and_no_pass_is_larger_than_the_batch():
    model = Counting(TwoClasses(torch.zeros(1, 4, 4), b=-1.0))  # always class 0
    x = torch.full((10, 1, 4, 4), 0.5)
    y = torch.tensor([0, 1] * 5)
    Random(0.2, draws=9)(model, ImageBatch(x, y))
    assert model.sizes == [10] * 5  # 10 first draws, and the 8 others of the 5 that stand, two at a time
    model.sizes.clear()
    Random(0.2, draws=9)(model, ImageBatch(x[:4], y[:4]))
    assert sum(model.sizes) == 2 + 2 * 9
    assert max(model.sizes) == 4


def test_the_first_success_is_kept():
    model = TwoClasses(torch.ones(1, 1, 1), b=-0.55)
    batch = ImageBatch(torch.full((50, 1, 1, 1), 0.5), torch.zeros(50, dtype=torch.int64))
    few, many = (Random(0.2, draws, seed=3)(model, batch) for draws in (1, 40))
    fooled = model(few).argmax(1) == 1
    assert fooled.any()
    assert torch.equal(few[fooled], many[fooled])
    assert (model(many).argmax(1) == 1).all()


# Several attacks as one.


def test_a_sample_stands_against_the_worst_only_if_it_stands_against_each():
    model, batch = Mixed().eval(), images(200)
    y = model(batch.x).argmax(1)
    batch = ImageBatch(batch.x, y)
    attacks = [PGM(0.15, 1, 0.01, seed=1), PGM(0.15, 2, 0.1, start=Uniform(0.15)), Random(0.15, 40)]
    # A draw depends on the batch: each attack meets the samples that the ones before have left.
    left = torch.arange(len(y))
    for attack in attacks:
        rest = ImageBatch(batch.x[left], y[left])
        left = left[model(attack(model, rest)).argmax(1) == rest.y]
    worst = model(Worst(*attacks)(model, batch)).argmax(1) == y
    assert torch.equal(worst.nonzero().squeeze(1), left)
    for attack in attacks[:1]:
        alone = model(attack(model, batch)).argmax(1) == y
        assert not (worst & ~alone).any()
    assert 0 < worst.sum() < (model(attacks[0](model, batch)).argmax(1) == y).sum()


def test_the_worst_spares_the_fooled_the_next_attack():
    model, batch = two_classes(), images(40, classes=2, dtype=torch.float64)
    batch = ImageBatch(batch.x, model(batch.x).argmax(1))
    counting = Counting(model)
    lost = (model(fgsm(0.1)(model, batch)).argmax(1) != batch.y).sum().item()
    Worst(fgsm(0.1), PGM(0.1, 1, 0.1, start=Uniform(0.1)))(counting, batch)
    assert 0 < lost < 40
    assert counting.sizes == [40, 40, 40 - lost, 40 - lost]


def test_the_worst_needs_one_ball():
    with pytest.raises(ConfigurationError, match="same ball"):
        Worst(pgm(0.1), pgm(0.2))
    with pytest.raises(ConfigurationError, match="one or more attacks"):
        Worst()


# Learned attackers.


def test_the_sign_rule_as_a_learned_attack_is_pgm():
    model, batch = Mixed().eval(), images()
    assert torch.equal(Learned(SignGradient(0.03), 0.1, steps=12)(model, batch), PGM(0.1, 12, 0.03)(model, batch))


def test_a_learned_attack_is_the_rule_s_rollout_in_evaluation_mode():
    model, batch, rule = Mixed().eval(), images(), learned_rule()
    for part in rule.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
    found = Learned(rule, 0.1, steps=1)(model, batch)
    assert all(part.training for part in rule.modules())
    rule.eval()
    z = batch.x.clone().requires_grad_()
    (g,) = torch.autograd.grad(-F.cross_entropy(model(z), batch.y), z)
    with torch.no_grad():
        update, _ = rule.update(g, rule.init(batch.x), params=batch.x)
    assert torch.equal(found, bilevel.box(bilevel.linf_ball(batch.x + update, center=batch.x, radius=0.1)))


# What holds for all.


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


def test_a_step_is_one_forward_and_one_backward_in_the_images_alone():
    model, batch = Mixed(), images()
    asked: list[bool] = []
    passes = {"forward": 0, "backward": 0}

    def forward(module, args, output):
        passes["forward"] += 1
        asked.extend(p.requires_grad for p in module.parameters())

    model.register_forward_hook(forward)
    model.register_full_backward_hook(lambda *_: passes.update(backward=passes["backward"] + 1))
    pgm(0.1, 13)(model, batch)
    assert passes == {"forward": 13, "backward": 13}
    assert not any(asked)


# Names and bad input.


def test_names_and_settings():
    assert [a.name for a in (fgsm(0.2), pgm(0.2), pgm(0.2, 100), cw(0.2), PGM(0.2, 1, 0.1))] == [
        "FGSM",
        "PGM-20",
        "PGM-100",
        "CW-20",
        "PGM-1",
    ]
    paper = pgm(0.031).describe()
    assert paper["step_size"] == pytest.approx(0.003)
    assert pgm(0.031).start.radius == pytest.approx(1e-4)
    assert (pgm(0.31).step_size, pgm(0.31).start.radius) == (pytest.approx(0.03), pytest.approx(1e-3))
    assert fgsm(0.2).describe() == {"eps": 0.2, "norm": "linf", "steps": 1, "step_size": 0.2, "start": "Center()"}
    assert cw(8 / 255).step_size == pytest.approx(2 / 255)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("fgsm", "FGSM"),
        ("PGM-7", "PGM-7"),
        ("cw-100", "CW-100"),
        ("random-50", "Random-50"),
        ("pgm-2 + cw-3", "PGM-2 + CW-3"),
        ("pgm-20:zero", "PGM-20:zero"),
        ("PGM-20:code", "PGM-20:code"),
        ("pgm-20:tiny", "PGM-20"),
        ("cw-search-50", "CW-search-50"),
        ("apgd-ce-100", "APGD-CE-100"),
        ("APGD-CW-10", "APGD-CW-10"),
        ("apgd-t-100", "APGD-T-100"),
        ("square-5000", "Square-5000"),
    ],
)
def test_attacks_by_name(text, name):
    attack = named(text, 0.2)
    assert attack.name == name
    assert attack.describe()["eps"] == 0.2
    assert named(attack.name, 0.2).describe() == attack.describe()


@pytest.mark.parametrize(
    "text", ["pgd-20", "pgm", "pgm-", "", "pgm-20+", "cw-1.5", "pgm-20:nowhere", "cw-20:zero", "apgd-100"]
)
def test_an_unknown_name_lists_the_known(text):
    with pytest.raises(ConfigurationError, match="Known are FGSM, PGM-<steps>"):
        named(text, 0.2)


def test_the_starts_are_those_of_the_papers_and_the_code():
    eps = 0.031
    starts = {name: named(f"pgm-20:{name}", eps).start for name in ("tiny", "zero", "ball", "code", "gaussian")}
    assert starts["zero"] == Center()
    assert starts["tiny"].radius == pytest.approx(1e-4)
    assert starts["ball"] == Uniform(eps)
    assert starts["code"] == Uniform(eps, feasible=False)
    assert starts["gaussian"].std == pytest.approx(0.001)
    model, batch = Mixed().eval(), images(low=0.0, high=0.1)
    seen = []
    model.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone()))
    for name, leaves in (("ball", False), ("code", True)):
        seen.clear()
        named(f"pgm-3:{name}", 0.2)(model, batch)
        assert (seen[0].min() < 0).item() is leaves  # where the first gradient is taken
        assert all(x.min() >= 0 for x in seen[1:])


@pytest.mark.parametrize("eps", [0.0, -0.1, 8.0, float("nan"), float("inf")])
@pytest.mark.parametrize(
    "make",
    [
        pgm, cw, fgsm, APGD, TargetedAPGD, Square, TauSearch,
        lambda eps: Random(eps, 3), lambda eps: Learned(SignGradient(0.1), eps),
    ],
    ids=["pgm", "cw", "fgsm", "apgd", "apgd-t", "square", "tau", "random", "learned"],
)  # fmt: skip
def test_a_radius_out_of_range_is_refused(make, eps):
    with pytest.raises(ConfigurationError, match="eps"):
        make(eps)


@pytest.mark.parametrize("count", [0, -1, True])
def test_a_number_of_steps_out_of_range_is_refused(count):
    for make in (lambda n: pgm(0.1, n), lambda n: Random(0.1, n), lambda n: Learned(SignGradient(0.1), 0.1, n)):
        with pytest.raises(ConfigurationError, match="whole number from 1"):
            make(count)
    with pytest.raises(ConfigurationError, match="whole number from 1"):
        named("pgm-0", 0.2)


def test_other_bad_settings_are_refused():
    for step in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigurationError, match="step_size"):
            PGM(0.1, 3, step)
    with pytest.raises(ConfigurationError, match="confidence"):
        Margin(-1.0)
    with pytest.raises(ConfigurationError, match="init and update"):
        Learned(SignGradient, 0.1)  # the class, not a rule
    for marks in ([], [-1], [2, 2], [3, 1]):
        with pytest.raises(ConfigurationError, match="ascending"):
            pgm(0.1).path(Mixed(), images(), marks)


def test_a_model_without_logits_is_named():
    with pytest.raises(TaskError, match=r"Flatten must return logits of shape \(n, classes\)|Identity must return"):
        Random(0.1, 2)(nn.Identity(), images())


def test_the_centre_is_the_default_start():
    assert PGM(0.1, 2, 0.05).start == Center()
    assert Learned(SignGradient(0.1), 0.1).start == Center()
