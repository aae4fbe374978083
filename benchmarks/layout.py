"""What the memory layout of images, and compiling, do to a training step of a classifier.

    python benchmarks/layout.py [DEVICE] [DEPTH] [WIDTH] [BATCH] [ROUNDS]

The same network in the usual layout, with `channels_last`, and compiled in the latter; forward and backward, of the
weights' gradient and of the images' gradient as an attack takes it. By default WRN-16-1 on the CPU.
"""

from __future__ import annotations

import sys
import time

import torch
from timing import interleaved, ratio, row
from torch import Tensor, nn
from torch.nn import functional

from tasks.vision.compilation import compile_or_warn
from tasks.vision.networks import WideResNet


def network(depth: int, width: int, device: str, *, last: bool) -> nn.Module:
    torch.manual_seed(0)
    model = WideResNet(depth, width).to(device)
    return model.to(memory_format=torch.channels_last) if last else model


def weights(model: nn.Module, x: Tensor, y: Tensor) -> None:
    model.requires_grad_(True).train()
    torch.autograd.grad(functional.cross_entropy(model(x), y), list(model.parameters()))


def images(model: nn.Module, x: Tensor, y: Tensor) -> None:
    model.requires_grad_(False).eval()
    z = x.clone().requires_grad_()
    torch.autograd.grad(functional.cross_entropy(model(z), y), z)


def main(device: str = "cpu", depth: int = 16, width: int = 1, batch: int = 128, rounds: int = 15) -> None:
    x, y = torch.rand(batch, 3, 32, 32, device=device), torch.randint(0, 10, (batch,), device=device)
    models = {"usual": network(depth, width, device, last=False)}
    models["channels_last"] = network(depth, width, device, last=True)
    models["compiled"] = network(depth, width, device, last=True)
    begin = time.perf_counter()
    compile_or_warn(models["compiled"], x)
    for step in (weights, images):
        step(models["compiled"], x, y)
    print(f"WRN-{depth}-{width}, batch {batch}, {device}; compiling took {time.perf_counter() - begin:.0f} s")
    for step in (weights, images):
        candidates = {name: lambda m=model, s=step: s(m, x, y) for name, model in models.items()}
        seconds = interleaved(candidates, rounds=rounds, warmup=2)
        print(f"gradient of the {step.__name__}")
        for name, values in seconds.items():
            middle, low, high = ratio(seconds, name, "usual")
            print(f"{row(name, values)}   ratio {middle:.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
