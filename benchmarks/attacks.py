"""Attacks on one classifier of digits: what each leaves, and APGD beside its authors' code, in turns on one core."""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn

from tasks.vision.attacks import APGD, Attack, Random, Square, TargetedAPGD, TauSearch, cw, fgsm, pgm
from tasks.vision.attacks.auto_attack import PARTS, AutoAttackPart
from tasks.vision.config import DROConfig
from tasks.vision.data import ImageBatch, Images
from tasks.vision.evaluation import evaluate
from tasks.vision.train import train

EPS = 0.2


def seconds(attack: Attack, model: nn.Module, batch: ImageBatch) -> float:
    """Return the processor time of one attack."""
    begin = time.process_time()
    attack(model, batch)
    return time.process_time() - begin


def accuracies(model: nn.Module, images: Images) -> None:
    attacks: list[Attack] = [
        fgsm(EPS), pgm(EPS, 20), pgm(EPS, 100), cw(EPS, 100), TauSearch(EPS), Random(EPS, 1000), Square(EPS, 5000),
        APGD(EPS), TargetedAPGD(EPS), *(AutoAttackPart(EPS, part) for part in PARTS),
    ]  # fmt: skip
    for result in evaluate(model, images, attacks):
        print(f"{result.attack:24s} {100 * result.robust:5.1f} %")
    print(f"{'clean':24s} {100 * result.clean:5.1f} %, n = {result.n}, eps = {EPS}")


def in_turns(model: nn.Module, images: Images) -> None:
    everything = images.batch()
    batch = images.subset((model(everything.x).argmax(1) == everything.y).nonzero().squeeze(1)).batch()
    print(f"\nprocessor seconds on the {len(batch.y)} images that are classified correctly")
    pairs = ((APGD(EPS), AutoAttackPart(EPS, "apgd-ce"), 7), (TargetedAPGD(EPS), AutoAttackPart(EPS, "apgd-t"), 3))
    for ours, theirs, rounds in pairs:
        times = [(seconds(ours, model, batch), seconds(theirs, model, batch)) for _ in range(rounds)]
        ratios = [b / a for a, b in times]
        a, b = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{ours.name:12s} {a:6.2f} s, pyautoattack {b:6.2f} s: {statistics.median(ratios):.2f} times as long "
              f"({min(ratios):.2f} to {max(ratios):.2f}, {rounds} rounds)")  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    training = train(DROConfig(method="fgsm-rs", epochs=15, threads=1), progress=False)
    model = training.model.eval()
    accuracies(model, training.split.test)
    in_turns(model, training.split.test)


if __name__ == "__main__":
    main()
