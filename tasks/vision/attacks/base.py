"""What every attack is."""

from __future__ import annotations

import abc
import math
import uuid
from collections.abc import Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from tasks.vision.data import ImageBatch


class Attack(abc.ABC):
    """A way to perturb images so that a classifier errs.

    Calling it twice gives the same images: what is random is drawn from the attack's own seed. It leaves the model
    exactly as it found it (gradients, ``requires_grad``, the mode of each submodule, batch-norm statistics), and
    PyTorch's random numbers too. The model is attacked in evaluation mode.
    """

    looks: ClassVar[str] = "gradient"
    """What of the classifier it looks at: gradient, outputs (and no gradient), surrogate (another classifier's) or all.
    """

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """How the attack is called in tables, such as "PGM-20"."""

    @abc.abstractmethod
    def describe(self) -> dict[str, str | float | int]:
        """Return those of eps, norm, steps, step_size and start that the attack has."""

    @abc.abstractmethod
    def __call__(self, model: nn.Module, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return the perturbed images, within the attack's ball around ``batch.x`` and within [0, 1].

        Args:
            model: a classifier of images, whose output is (n, classes).
            batch: the clean images in [0, 1] and their labels.
        """

    @property
    def stages(self) -> Sequence[Attack]:
        """The attacks that this one is made of, each meeting what stands against those before it; else itself.

        A long attack is evaluated stage by stage, so that what was done is kept when it is stopped.
        """
        return (self,)

    @property
    def identity(self) -> str:
        """A text that two attacks share only if they do the same; by it, work that was kept is found again.

        It is the attack's ``repr``; what an attack without one of its own did is never found again.
        """
        if type(self).__repr__ is object.__repr__:
            # That one holds an address, where another attack may lie later.
            return f"{type(self).__qualname__} {uuid.uuid4()}"
        return repr(self)


def check_eps(attack: str, eps: float) -> None:
    """Raise `ConfigurationError` unless ``eps`` is a radius for pixels in [0, 1]."""
    if not (0 < eps <= 1 and math.isfinite(eps)):
        raise ConfigurationError(
            f"{attack}: eps is the largest change of a pixel, above 0 and at most 1 because pixels are in [0, 1]; got "
            f"{eps}. Write 8/255 for 8 levels of 255."
        )


def check_count(attack: str, name: str, count: int) -> None:
    """Raise `ConfigurationError` unless ``count`` is a whole number from 1."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ConfigurationError(f"{attack}: {name} must be a whole number from 1, got {count!r}.")


def check_step(attack: str, step_size: float) -> None:
    """Raise `ConfigurationError` unless ``step_size`` is a length."""
    if not (step_size > 0 and math.isfinite(step_size)):
        raise ConfigurationError(f"{attack}: step_size must be a finite number above 0, got {step_size}.")
