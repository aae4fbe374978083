"""Black-box attacks: the matrix is what each pair gives by itself, and its images are made once."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from small_classifiers import Counting, Mixed, two_class_images, two_classes

from bilevel.errors import ConfigurationError, NonFiniteError
from tasks.vision.attacks import Transfer, fgsm, pgm
from tasks.vision.evaluation import evaluate
from tasks.vision.transfer_matrix import transfer_matrix


def classifiers(count):
    made = {}
    for seed in range(count):
        torch.manual_seed(20 + seed)
        made[f"net-{seed}"] = Mixed(classes=2)
    return made


def test_images_of_another_classifier_are_shown_to_this_one():
    images, model = two_class_images(two_classes()), two_classes()
    batch = images.batch()
    other = Mixed(classes=2)
    transfer = Transfer(other, fgsm(0.1), "other")
    assert torch.equal(transfer(model, batch), fgsm(0.1)(other, batch))
    assert transfer.name == "FGSM from other"
    assert transfer.describe() == fgsm(0.1).describe()
    assert transfer.looks == "surrogate"


def test_the_matrix_is_each_pair_by_itself():
    images, nets = two_class_images(two_classes(), n=80), classifiers(3)
    targets = {name: nets[name] for name in ("net-0", "net-1")}
    attacks = [fgsm(0.1), pgm(0.1, 10)]
    results = transfer_matrix(targets, nets, images, attacks, batch_size=80)
    assert [(r.surrogate, r.attack.split(" ")[0], r.target) for r in results] == [
        (surrogate, attack, target) for surrogate in nets for attack in ("FGSM", "PGM-10") for target in targets
    ]
    for result in results:
        attack = fgsm(0.1) if result.attack.startswith("FGSM") else pgm(0.1, 10)
        # Of all images at once, so that the start is drawn alike.
        model = targets[result.target].eval()
        right = model(images.batch().x).argmax(1) == images.labels
        x = attack(nets[result.surrogate], images.batch())
        stands = (model(x).argmax(1) == images.labels) & right
        assert result.robust == stands.double().mean().item()
        assert result.clean == right.double().mean().item()
        assert (result.eps, result.norm, result.steps, result.n) == (0.1, "linf", attack.steps, 80)
    assert len({r.robust for r in results}) > 3


def test_on_the_diagonal_it_is_the_white_box_attack():
    images, nets = two_class_images(two_classes(), n=60), classifiers(1)
    (result,) = transfer_matrix(nets, nets, images, [fgsm(0.1)])
    assert result.robust == evaluate(nets["net-0"], images, [fgsm(0.1)])[0].robust


def test_images_are_made_once_for_all_targets():
    images = two_class_images(two_classes(), n=60)
    surrogate = Counting(Mixed(classes=2))
    transfer_matrix(classifiers(3), {"one": surrogate}, images, [fgsm(0.1)], batch_size=30)
    assert surrogate.sizes == [30, 30]


def test_nothing_is_left_behind():
    images, nets = two_class_images(two_classes(), n=30), classifiers(2)
    for net in nets.values():
        net.train()
    state = {name: {k: v.clone() for k, v in net.state_dict().items()} for name, net in nets.items()}
    random = torch.get_rng_state()
    transfer_matrix(nets, nets, images, [pgm(0.1, 2)])
    assert torch.equal(torch.get_rng_state(), random)
    for name, net in nets.items():
        assert all(part.training for part in net.modules())
        assert all(p.grad is None and p.requires_grad for p in net.parameters())
        assert all(torch.equal(v, state[name][k]) for k, v in net.state_dict().items())


def test_records_are_flat_and_errors_clear():
    images, nets = two_class_images(two_classes(), n=30), classifiers(1)
    (record,) = (dataclasses.asdict(r) for r in transfer_matrix(nets, nets, images, [fgsm(0.1)]))
    assert record["looks"] == "surrogate"
    with pytest.raises(ConfigurationError, match="at least one target"):
        transfer_matrix(nets, {}, images, [fgsm(0.1)])
    broken = Mixed(classes=2)
    torch.nn.init.constant_(broken.head.bias, float("nan"))
    with pytest.raises(NonFiniteError):
        transfer_matrix(nets, {"broken": broken}, images, [fgsm(0.1)])


def test_the_table_has_a_row_a_target_and_a_column_a_surrogate_and_attack():
    from tasks.report.transfer_table import transfer_table

    images, nets = two_class_images(two_classes(), n=50), classifiers(2)
    results = transfer_matrix(nets, nets, images, [fgsm(0.1), pgm(0.1, 10)])
    table = transfer_table([dataclasses.asdict(result) for result in results])
    attacks = [f"{attack} from {name}" for name in nets for attack in ("FGSM", "PGM-10")]
    assert table.header == ("target", "clean", *attacks)
    by_place = {(r.target, r.attack): r for r in results}
    for row in table.rows:
        one = by_place[row[0].text, attacks[0]]
        assert row[1].text == f"{100 * one.clean:.1f}"
        assert [cell.text for cell in row[2:]] == [f"{100 * by_place[row[0].text, a].robust:.1f}" for a in attacks]
    assert "n = 50 images. ε = 0.1 (linf)." in table.note
    assert "FGSM from net-0: 1 step of 0.1 from Center()." in table.note
