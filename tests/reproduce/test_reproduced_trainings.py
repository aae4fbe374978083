"""Which trainings a reproduction makes: with the papers' settings, and none twice."""

from __future__ import annotations

from dataclasses import replace

from reproduce_cases import ONE, REQUEST

from tasks.reproduce.defences import DEFENCES, trainings
from tasks.reproduce.experiments import EXPERIMENTS
from tasks.reproduce.scale import SCALES
from tasks.vision.presets import PAPER
from tasks.vision.sweep import part_name


def test_the_trainings_are_the_scale_s_settings_but_for_what_names_the_row():
    made = trainings(PAPER, ("Plain", "2-Step L2L"), (3, 4))
    assert [c.seed for c in made["Plain"]] == [3, 4]
    for row, configs in made.items():
        assert configs[0] == replace(PAPER, seed=3, **DEFENCES[row])


def test_the_papers_scale_is_the_papers_settings():
    """Jiang et al. 2021, section 4."""
    base = SCALES["paper"].base
    assert (base.model, base.depth, base.width, base.epochs, base.batch_size) == ("wide-resnet", 34, 10, 100, 128)
    assert (base.eps, base.lr, base.momentum, base.weight_decay) == (0.031, 0.1, 0.9, 2e-4)
    assert (base.milestones, base.decay, base.pgm_steps, base.pgm_step * base.eps) == ((30, 60, 90), 0.1, 10, 0.007)
    assert SCALES["paper"].attacks["Random"] == "Random-100000"
    assert [next(iter(scale.attacks)) for scale in SCALES.values()] == ["AutoAttack", "AutoAttack"]


def test_the_slim_table_has_the_slim_attacker():
    request = replace(REQUEST, scale=SCALES["paper"], data="cifar10", seeds=(1,))
    assert {c.attacker for c in EXPERIMENTS["slim"].configs(request)} == {"slim"}
    assert {c.attacker for c in EXPERIMENTS["table2"].configs(request)} == {"wide"}


def test_learned_targets_of_black_box_attacks_are_slim_where_the_tables_say_so():
    """Captions of the preprint's Tables 4 to 6."""
    for data, attacker in (("cifar10", "slim"), ("cifar100", "slim"), ("svhn", "wide")):
        request = replace(REQUEST, scale=SCALES["paper"], data=data)
        rows = EXPERIMENTS["blackbox"].configs(request)
        assert {c.attacker for c in rows if c.method.endswith("l2l")} == {attacker}
        # The others are those of Table 2, which need not be trained again.
        others = [c for c in rows if not c.method.endswith("l2l") and c.seed == 1]
        assert data == "svhn" or set(others) < set(EXPERIMENTS["table2"].configs(request))


def test_no_training_is_made_twice_where_a_target_is_a_surrogate():
    names = [part_name(c) for c in EXPERIMENTS["blackbox"].configs(replace(ONE, seeds=(1, 1001), data="cifar10"))]
    assert len(names) == len(set(names)) == 6 + 6 + 3
