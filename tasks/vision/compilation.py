"""Classifiers compiled by `torch.compile`."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from bilevel.hypergradient import Direct
from bilevel.play.teaching import Teaching
from bilevel.solver import Solver


def check_compilable(solver: Solver[Any]) -> None:
    """Raise `ConfigurationError` if ``solver`` takes second derivatives, which compiled networks do not have."""
    if isinstance(solver.play, Teaching) or not isinstance(solver.hypergradient, Direct):
        method = solver.play if isinstance(solver.play, Teaching) else solver.hypergradient
        raise ConfigurationError(
            f"{type(method).__name__} differentiates the classifier twice, which torch.compile does not allow: train "
            "with compile=False."
        )


def compile_or_warn(model: nn.Module, example: Float[Tensor, "n c h w"]) -> bool:
    """Compile ``model`` in its place, and say whether that was possible; if not, it stays as it is.

    The names of its parameters do not change. What compiling takes (a compiler, Triton on a GPU, a network that can be
    traced) is tried on a copy, forwards and backwards, so that ``model`` has not been touched when it fails.

    Args:
        model: the classifier.
        example: images as they will come.
    """
    trial = deepcopy(model)
    devices = [example.device] if example.is_cuda else []
    try:
        with torch.random.fork_rng(devices), torch.enable_grad():
            trial.compile()
            trial(example).float().sum().backward()
    except Exception as error:  # noqa: BLE001 (compilers raise whatever they like)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        warnings.warn(f"torch.compile failed, so the classifier runs as it is, uncompiled: {reason}", stacklevel=2)
        return False
    model.compile()
    return True
