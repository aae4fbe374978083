"""Batches that shrink when memory runs out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar, final

import torch
from jaxtyping import Int
from torch import Tensor

from bilevel.breakdown import is_out_of_memory
from bilevel.errors import ConfigurationError

ResultT = TypeVar("ResultT")


@final
class HalvingBatches:
    """Cuts indices into batches of nearly equal size, and halves the size for good when a batch does not fit.

    Args:
        batch_size: the largest batch to begin with.

    Attributes:
        batch_size: the largest batch now.

    Raises:
        ConfigurationError: if ``batch_size`` is no whole number from 1.
    """

    def __init__(self, batch_size: int) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise ConfigurationError(f"batch_size must be a whole number from 1, got {batch_size!r}.")
        self.batch_size = batch_size

    def map(
        self, function: Callable[[Int[Tensor, " m"]], ResultT], indices: Int[Tensor, " n"]
    ) -> Iterator[tuple[Int[Tensor, " m"], ResultT]]:
        """Yield each batch of ``indices`` with what ``function`` makes of it.

        A batch that ran out of memory is begun anew, smaller, with a warning that says so; a single sample that does
        not fit is an error.
        """
        start = 0
        while start < len(indices):
            left = len(indices) - start
            count = math.ceil(left / math.ceil(left / self.batch_size))
            piece = indices[start : start + count]
            try:
                result = function(piece)
            except (RuntimeError, MemoryError) as error:
                if count == 1 or not is_out_of_memory(error):
                    raise
            else:
                yield piece, result
                start += count
                continue
            # Out here the failed pass is no longer held by its exception, so its memory can be returned.
            self.batch_size = count // 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            warnings.warn(
                f"{count} images at a time do not fit into memory: going on with {self.batch_size}.", stacklevel=2
            )
