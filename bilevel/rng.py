"""The states of all random number generators that training draws from."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch


@final
@dataclass(frozen=True)
class RandomSources:
    """The global generators (torch on the CPU and on every CUDA device, NumPy, Python) and a data set's own.

    Args:
        generators: further torch generators, such as the one that a `DataLoader` was given.
    """

    generators: tuple[torch.Generator, ...] = ()

    @classmethod
    def of(cls, data: object) -> RandomSources:
        """Return the global sources and the torch generators that ``data`` or its sampler hold."""
        sampler = getattr(data, "sampler", None)
        found = [getattr(owner, "generator", None) for owner in (data, sampler)]
        return cls(tuple({id(g): g for g in found if isinstance(g, torch.Generator)}.values()))

    def capture(self) -> dict[str, Any]:
        """Return all states, as tensors and plain Python values."""
        # Asking a device that nobody has used yet would start it.
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
        name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002
        version, words, gauss = random.getstate()
        return {
            "torch": torch.get_rng_state(),
            "cuda": cuda,
            "numpy": (str(name), torch.from_numpy(np.asarray(keys, np.int64)), position, has_gauss, cached),
            "python": (version, torch.tensor(words, dtype=torch.int64), gauss),
            "generators": [g.get_state() for g in self.generators],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put all generators into a state that `capture` returned.

        Raises:
            ValueError: if it was captured from another number of generators.
        """
        torch.set_rng_state(state["torch"])
        self._restore_cuda(state["cuda"])
        name, keys, position, has_gauss, cached = state["numpy"]
        np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
        version, words, gauss = state["python"]
        random.setstate((version, tuple(words.tolist()), gauss))
        if len(state["generators"]) != len(self.generators):
            raise ValueError(
                f"it holds the states of {len(state['generators'])} generators of the data, these data have "
                f"{len(self.generators)}"
            )
        for generator, one in zip(self.generators, state["generators"], strict=True):
            generator.set_state(one)

    @contextmanager
    def kept_aside(self) -> Iterator[None]:
        """Let the body draw what it likes: afterwards all generators are where they were."""
        state = self.capture()
        try:
            yield
        finally:
            self.restore(state)

    @staticmethod
    def _restore_cuda(states: list[torch.Tensor]) -> None:
        present = torch.cuda.device_count() if states else 0
        if present < len(states):
            warnings.warn(
                f"The checkpoint was written with {len(states)} CUDA devices and {present} are here: training goes on, "
                "but it will not be the same to the last bit.",
                stacklevel=2,
            )
        for device, state in enumerate(states[:present]):
            torch.cuda.set_rng_state(state, device)
