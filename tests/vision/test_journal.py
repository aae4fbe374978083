"""An evaluation that was stopped goes on: nothing is done twice, and the results are those of an unbroken one."""

from __future__ import annotations

import pytest
import torch
from small_classifiers import Counting, Mixed, two_class_images, two_classes
from torch import nn

from tasks.run_files import RunError
from tasks.vision.attacks import PGM, Attack, Learned, Random, Transfer, Worst, cw, fgsm, pgm, random_search
from tasks.vision.attacks.digest import digest
from tasks.vision.curves import accuracy_by_iterations, accuracy_by_radius
from tasks.vision.data import Images
from tasks.vision.evaluation import evaluate
from tasks.vision.journal import Journal
from tasks.vision.transfer_matrix import transfer_matrix


class Stop(Exception):
    """What ends an evaluation in its middle."""


def stopping(after):
    """Return a listener that stops an evaluation after so many batches."""
    left = after

    def progress(*_):
        nonlocal left
        left -= 1
        if left < 0:
            raise Stop

    return progress


def problem():
    torch.manual_seed(3)
    return Counting(Mixed(classes=2)), two_class_images(two_classes(), n=80)


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch):
    """Let random draws be made in rounds of 20, so that a few draws are several rounds."""
    monkeypatch.setattr(random_search, "ROUND", 20)


ATTACKS = [pgm(0.03, 3), fgsm(0.03), Random(0.03, 50), Worst(pgm(0.03, 5), cw(0.03, 4)), pgm(0.05, 2, seed=4)]


@pytest.mark.parametrize("after", [1, 5, 9, 11, 14])
def test_a_second_call_goes_on_to_the_same_results(tmp_path, after):
    model, images = problem()
    whole = evaluate(model.model, images, ATTACKS, batch_size=30)
    path = tmp_path / "evaluation.jsonl"
    with pytest.raises(Stop):
        evaluate(model, images, ATTACKS, batch_size=30, progress=stopping(after), journal=Journal(path))
    first = len(model.sizes)
    model.sizes.clear()
    # A new object, as a new process has it, in which other numbers were drawn before.
    torch.rand(5)
    assert evaluate(model, images, ATTACKS, batch_size=30, journal=Journal(path)) == whole
    second = len(model.sizes)
    model.sizes.clear()
    evaluate(model, images, ATTACKS, batch_size=30)
    clean = min(first, 3)  # batches of the clean pass, which is made each time
    assert first + second == len(model.sizes) + clean


def test_what_is_done_is_not_done_again(tmp_path):
    model, images = problem()
    results = evaluate(model, images, ATTACKS, journal=Journal(tmp_path / "j"))
    model.sizes.clear()
    assert evaluate(model, images, ATTACKS, journal=Journal(tmp_path / "j")) == results
    assert model.sizes == [80]  # the clean pass


@pytest.mark.parametrize("change", ["model", "images", "attack", "seed", "learned", "surrogate"])
def test_anything_else_finds_nothing(tmp_path, change):
    model, images = problem()
    torch.manual_seed(1)
    other = Mixed(classes=2)
    attacks = {"learned": Learned(_rule(0), 0.03), "surrogate": Transfer(other, fgsm(0.03))}
    attack = attacks.get(change, PGM(0.03, 3, 0.01))
    evaluate(model, images, [attack], journal=Journal(tmp_path / "j"))
    model.sizes.clear()
    if change == "model":
        with torch.no_grad():
            model.model.head.bias += 1e-6
    elif change == "images":
        images.pixels[0, 0, 0, 0] ^= 1
    elif change == "attack":
        attack = PGM(0.03, 3, 0.02)
    elif change == "seed":
        attack = PGM(0.03, 3, 0.01, seed=1)
    elif change == "learned":
        attack = Learned(_rule(1), 0.03)
    else:
        with torch.no_grad():
            other.head.bias += 1e-6
    evaluate(model, images, [attack], journal=Journal(tmp_path / "j"))
    assert len(model.sizes) > 1


class Nameless(Attack):
    """An attack without a repr of its own, as a user may write one."""

    name = "mine"

    def __init__(self, eps):
        self.eps = eps

    def describe(self):
        return {"eps": self.eps, "norm": "linf"}

    def __call__(self, model, batch):
        return pgm(self.eps, 5)(model, batch)


def test_an_attack_that_lies_where_another_lay_does_not_find_what_that_one_did(tmp_path):
    model, images, journal = two_classes(), two_class_images(two_classes(), n=80), Journal(tmp_path / "j")
    radii = (0.001, 0.05, 0.2)
    kept = [evaluate(model, images, [Nameless(eps)], journal=journal)[0].robust for eps in radii]
    assert kept == [evaluate(model, images, [Nameless(eps)])[0].robust for eps in radii]
    assert len(set(kept)) == 3


def _rule(seed):
    from bilevel.learned import Convolutional, Small

    torch.manual_seed(seed)
    return Convolutional(1, Small(width=4), scale=0.02)


class Shifted(nn.Module):
    """A classifier that is told what to subtract by a buffer that is not saved."""

    def __init__(self, shift):
        super().__init__()
        self.model = two_classes()
        self.register_buffer("shift", torch.tensor(shift), persistent=False)

    def forward(self, x):
        return self.model(x - self.shift)


def test_a_buffer_that_is_not_saved_is_part_of_a_classifier(tmp_path):
    _, images = problem()
    journal = Journal(tmp_path / "j")
    kept = [evaluate(Shifted(by), images, [fgsm(0.03)], journal=journal)[0] for by in (0.0, 0.02)]
    assert kept == [evaluate(Shifted(by), images, [fgsm(0.03)])[0] for by in (0.0, 0.02)]
    assert digest(Shifted(0.0)) != digest(Shifted(0.02))
    assert digest(Shifted(0.02)) == digest(Shifted(0.02))


def test_images_of_the_same_bytes_in_other_units_are_others(tmp_path):
    nets = {"one": two_classes()}
    first = two_class_images(two_classes(), n=40)
    other = Images(first.pixels, first.labels, first.classes, first.name, levels=first.levels * 2)
    journal = Journal(tmp_path / "j")
    kept = [transfer_matrix(nets, nets, images, [fgsm(0.03)], journal=journal) for images in (first, other)]
    assert kept == [transfer_matrix(nets, nets, images, [fgsm(0.03)]) for images in (first, other)]
    assert kept[0] != kept[1]


def test_a_line_that_was_cut_off_is_not_read(tmp_path):
    model, images = problem()
    path = tmp_path / "j"
    results = evaluate(model, images, ATTACKS[:3], batch_size=30, journal=Journal(path))
    for cut in (1, 20, 80):
        content = path.read_text()
        path.write_text(content[:-cut])
        model.sizes.clear()
        assert evaluate(model, images, ATTACKS[:3], batch_size=30, journal=Journal(path)) == results
        assert len(model.sizes) > 3
        model.sizes.clear()
        evaluate(model, images, ATTACKS[:3], batch_size=30, journal=Journal(path))
        assert len(model.sizes) == 3


def test_curves_and_transfers_are_kept_too(tmp_path):
    model, images = problem()
    path = tmp_path / "j"

    def all_of_it(journal):
        points = accuracy_by_radius(model, images, [0.0, 0.02, 1.0], journal=journal)
        points += accuracy_by_iterations(model, images, [1, 4], attack=pgm(0.03, 4), journal=journal)
        return points, transfer_matrix({"one": model}, {"two": model.model}, images, [fgsm(0.03)], journal=journal)

    first = all_of_it(Journal(path))
    model.sizes.clear()
    assert all_of_it(Journal(path)) == first == all_of_it(None)
    assert model.sizes[:3] == [80, 80, 80]


def test_when_it_is_finished_nothing_is_left(tmp_path):
    model, images = problem()
    journal = Journal(tmp_path / "j")
    evaluate(model, images, [fgsm(0.03)], journal=journal)
    assert journal.path.is_file()
    journal.finish()
    assert not journal.path.exists()
    journal.finish()


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path):
    (tmp_path / "j").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunError, match="cannot be read"):
        Journal(tmp_path / "j")
    model, images = problem()
    with pytest.raises(RunError, match=r"cannot write .*nowhere"):
        evaluate(model, images, [fgsm(0.03)], journal=Journal(tmp_path / "nowhere" / "j"))
