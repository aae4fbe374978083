import pytest
import torch
from torch import nn, optim

from bilevel.clipping import ClipNorm
from bilevel.leader import step_along
from tasks.memory import peak_memory

OPTIMIZERS = {
    "adam": lambda p: optim.Adam(p, lr=0.1, weight_decay=0.1),
    "adam, foreach": lambda p: optim.Adam(p, lr=0.1, weight_decay=0.1, foreach=True),
    "adam, fused": lambda p: optim.Adam(p, lr=0.1, weight_decay=0.1, fused=True, amsgrad=True),
    "adam, maximize": lambda p: optim.Adam(p, lr=0.1, weight_decay=0.1, maximize=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.1),
    "sgd": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, foreach=True, weight_decay=0.1),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.1, centered=True, weight_decay=0.1),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.1, weight_decay=0.1),
}


def clipped(parameters: list[nn.Parameter]) -> optim.Optimizer:
    optimizer = optim.Adam(parameters, lr=0.1)
    optimizer.register_step_pre_hook(ClipNorm(1e-3))
    return optimizer


@pytest.mark.parametrize("make", [*OPTIMIZERS.values(), clipped], ids=[*OPTIMIZERS, "clipped"])
def test_the_gradient_is_as_it_was_after_the_step(make) -> None:
    parameters = [nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(4))]
    optimizer = make(parameters)
    gradients = [torch.randn(3, 2), torch.randn(4)]
    kept = [g.clone() for g in gradients]
    for _ in range(3):
        step_along(optimizer, list(zip(parameters, gradients, strict=True)))
    assert all(torch.equal(a, b) for a, b in zip(gradients, kept, strict=True))
    assert all(p.grad is None for p in parameters)


def test_adam_needs_no_copy_of_the_gradient() -> None:
    p, g = nn.Parameter(torch.randn(1000)), torch.randn(1000)
    optimizer = optim.Adam([p], lr=0.1, fused=True)
    step_along(optimizer, [(p, g)])
    assert peak_memory(lambda: step_along(optimizer, [(p, g)])) < 1000


def test_a_transposed_gradient_is_stepped_along_entry_by_entry() -> None:
    start, g = torch.randn(3, 2), torch.randn(2, 3).t()
    answers = []
    for gradient in (g, g.contiguous()):
        p = nn.Parameter(start.clone())
        step_along(optim.Adam([p], lr=0.1), [(p, gradient)])
        answers.append(p.detach())
    assert torch.equal(answers[0], answers[1])
