"""Our PGM beside that of other packages, on the same model: the same images, to the bit."""

from __future__ import annotations

import pytest
import torch
from digits_classifier import EPS, robust_digits

from tasks.vision.attacks import PGM, fgsm

STEPS, STEP = 20, 0.02


@pytest.fixture
def problem():
    model, images = robust_digits()
    return model, images.subset(slice(0, 64)).batch()


def test_torchattacks(problem):
    torchattacks = pytest.importorskip("torchattacks", reason="torchattacks is not installed (it needs torchvision)")
    model, batch = problem
    theirs = torchattacks.PGD(model, eps=EPS, alpha=STEP, steps=STEPS, random_start=False)(batch.x, batch.y)
    assert torch.equal(PGM(EPS, STEPS, STEP)(model, batch), theirs)
    assert torch.equal(fgsm(EPS)(model, batch), torchattacks.FGSM(model, eps=EPS)(batch.x, batch.y))


def test_foolbox(problem):
    foolbox = pytest.importorskip("foolbox", reason="foolbox is not installed: pip install 'bilevel[test]'")
    model, batch = problem
    attack = foolbox.attacks.LinfPGD(abs_stepsize=STEP, steps=STEPS, random_start=False)
    _, theirs, _ = attack(foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), batch.x, batch.y, epsilons=EPS)
    assert torch.equal(PGM(EPS, STEPS, STEP)(model, batch), theirs)


def test_art(problem):
    pytest.importorskip("art", reason="adversarial-robustness-toolbox is not installed")
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    model, batch = problem
    classifier = PyTorchClassifier(
        model, torch.nn.CrossEntropyLoss(), tuple(batch.x.shape[1:]), 10, clip_values=(0, 1), device_type="cpu"
    )
    attack = ProjectedGradientDescentPyTorch(
        classifier, eps=EPS, eps_step=STEP, max_iter=STEPS, num_random_init=0, batch_size=64, verbose=False
    )
    theirs = torch.from_numpy(attack.generate(batch.x.numpy(), batch.y.numpy()))
    # It adds the perturbation to the image after every step, and so rounds otherwise in the last bit.
    torch.testing.assert_close(PGM(EPS, STEPS, STEP)(model, batch), theirs, rtol=0, atol=1e-6)
