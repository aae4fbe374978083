"""The states of the random number generators."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from bilevel.checkpoint import CheckpointFolder, read
from bilevel.rng import RandomSources


class Data:
    def __init__(self) -> None:
        self.generator = torch.Generator()
        self.sampler = self


def draw(generator: torch.Generator) -> list[float]:
    # An odd number of normal draws: the generators keep the second one of a pair.
    numbers = [
        random.gauss(0, 1),
        np.random.normal(),  # noqa: NPY002
        float(torch.randn(())),
        float(torch.rand((), generator=generator)),
    ]
    if torch.cuda.is_available():
        numbers.append(float(torch.randn((), device="cuda")))
    return numbers


def test_every_source_goes_back_to_where_it_was(tmp_path):
    data = Data()
    sources = RandomSources.of(data)
    assert sources.generators == (data.generator,)
    draw(data.generator)
    path = CheckpointFolder(tmp_path).save(1, {"random": sources.capture()})
    # The checker of the annotations has drawn from Python's generator since, so the first draws are not compared.
    sources.restore(read(path)["random"])
    first = [draw(data.generator) for _ in range(5)]
    draw(data.generator)
    sources.restore(read(path)["random"])
    assert [draw(data.generator) for _ in range(5)] == first


def test_kept_aside():
    data = Data()
    sources = RandomSources.of(data)
    state = sources.capture()
    expected = draw(data.generator)
    sources.restore(state)
    with pytest.raises(ZeroDivisionError), sources.kept_aside():
        _ = len(draw(data.generator)) / 0
    assert draw(data.generator) == expected


def test_another_number_of_generators():
    state: dict[str, Any] = RandomSources.of(Data()).capture()
    with pytest.raises(ValueError, match="1 generators of the data, these data have 0"):
        RandomSources.of([]).restore(state)
