"""An evaluation whose images do not fit into memory takes fewer at a time."""

from __future__ import annotations

import pytest
import torch
from small_classifiers import two_class_images, two_classes
from torch import nn

from tasks.vision.attacks import fgsm, pgm
from tasks.vision.evaluation import evaluate


class Small(nn.Module):
    """Takes no more than so many images at a time."""

    def __init__(self, limit: int, error: Exception) -> None:
        super().__init__()
        self.model, self.limit, self.error = two_classes(), limit, error
        self.tried: list[int] = []

    def forward(self, x):
        self.tried.append(len(x))
        if len(x) > self.limit:
            raise self.error
        return self.model(x)


CPU = RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), CPU, MemoryError()], ids=str)
def test_the_batch_is_halved_when_memory_runs_out(error):
    model = Small(16, error)
    images = two_class_images(model.model, n=100, wrong=10)
    with pytest.warns(UserWarning, match="images at a time do not fit into memory") as caught:
        results = evaluate(model, images, [pgm(0.03, 3)], batch_size=200)
    assert results == evaluate(model.model, images, [pgm(0.03, 3)])
    assert [str(w.message).split(":")[1] for w in caught] == [f" going on with {n}." for n in (50, 25, 12)]
    assert model.tried[:3] == [100, 50, 25]
    assert max(model.tried[3:]) <= 12  # and never larger again


def test_memory_may_run_out_in_the_backward_pass():
    class Heavy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            if len(g) > 20:
                raise torch.OutOfMemoryError("out of memory")
            return g

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = two_classes()

        def forward(self, x):
            return self.model(Heavy.apply(x))

    model = Model()
    images = two_class_images(model.model, n=64)
    with pytest.warns(UserWarning, match="images at a time do not fit"):
        results = evaluate(model, images, [pgm(0.03, 3)])
    assert results == evaluate(model.model, images, [pgm(0.03, 3)])
    assert all(p.requires_grad for p in model.parameters())


def test_a_single_image_that_does_not_fit_is_an_error():
    model = Small(0, torch.OutOfMemoryError("out of memory"))
    with pytest.warns(UserWarning, match="images at a time do not fit"), pytest.raises(torch.OutOfMemoryError):
        evaluate(model, two_class_images(model.model, n=8), [fgsm(0.1)])
    assert model.tried == [8, 4, 2, 1]


def test_any_other_error_is_passed_on_at_once():
    model = Small(0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        evaluate(model, two_class_images(model.model, n=8), [fgsm(0.1)])
    assert model.tried == [8]
