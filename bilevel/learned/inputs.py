"""What a learned rule sees: a tuple of inputs, each of which contributes planes of the iterate's shape.

An input is a part of its own, with a memory of its own if it needs one: what a rule's state holds of the past
is what its inputs remember, and nothing else.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import ClassVar, TypeAlias, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bilevel.errors import ConfigurationError
from bilevel.learned.preprocess import BatchMax, Preprocess, Raw

Memory: TypeAlias = Tensor | tuple[()]
"""What an input keeps from one update to the next."""


@final
@dataclass(frozen=True)
class View:
    """The situation of one tensor of the follower's answer, when it is about to move.

    Args:
        z: the iterate.
        gradient: the gradient of the follower's loss at ``z``.
        memory: what the input remembers.
    """

    z: Float[Tensor, "*shape"]
    gradient: Float[Tensor, "*shape"]
    memory: Memory = ()

    @property
    def remembered(self) -> Tensor:
        """The memory, for an input that keeps a tensor.

        Raises:
            ConfigurationError: if there is none.
        """
        if not isinstance(self.memory, Tensor):
            raise ConfigurationError("the state does not come from this rule's init: an input lacks its memory")
        return self.memory


class Input(abc.ABC):
    """A part of the follower's situation, as planes of the iterate's shape."""

    sees_gradient: ClassVar[bool] = True
    """Whether the planes depend on the gradient; where no input does, the solver takes none."""

    @property
    def planes(self) -> int:
        """How many planes this input contributes."""
        return 1

    @property
    def by_rows(self) -> bool:
        """Whether nothing is remembered, and the planes of a row depend on that row alone; by default not."""
        return False

    def init(self, z: Float[Tensor, "*shape"]) -> Memory:
        """Return the memory of a follower that starts at ``z``; it shares no storage with ``z``."""
        return ()

    @abc.abstractmethod
    def read(self, view: View) -> tuple[Float[Tensor, "*shape"], ...]:
        """Return the planes."""

    def remember(self, view: View) -> Memory:
        """Return the memory for the next update; by default it never changes."""
        return view.memory

    def saturated(self, view: View) -> Bool[Tensor, "*shape"] | None:
        """Return where a plane has reached the end of its range; ``None`` if none has an end."""
        return None


@final
@dataclass(frozen=True)
class Iterate(Input):
    r"""The iterate, $c\, z_t$.

    Args:
        detach: whether it enters as a constant. By default the update is differentiated through it, so that
            several updates are trained by back-propagation through time.
        scale: c, where the iterate is of another size than the other inputs, such as the weights of a network.

    Raises:
        ConfigurationError: if ``scale`` is 0 or not finite.
    """

    detach: bool = False
    scale: float = 1.0
    sees_gradient: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.scale) or self.scale == 0:
            raise ConfigurationError(f"Iterate's scale is {self.scale}; it must be finite and not 0")

    @property
    def by_rows(self) -> bool:
        """``True``."""
        return True

    def read(self, view: View) -> tuple[Float[Tensor, "*shape"], ...]:
        """Return the iterate."""
        z = view.z.detach() if self.detach else view.z
        return (z if self.scale == 1 else self.scale * z,)


@final
@dataclass(frozen=True)
class Direction(Input):
    r"""The direction of descent of the follower's loss, preprocessed: $P(-\nabla_z \ell(z_t))$.

    For an attacker, whose loss is minus the classifier's, this is the classifier's gradient itself.

    Args:
        preprocess: how it is scaled.
        detach: whether it enters as a constant (first order). Otherwise a gradient that carries a graph is
            differentiated in its turn (second order).
    """

    preprocess: Preprocess = Raw()  # noqa: RUF009 (frozen)
    detach: bool = True

    @property
    def planes(self) -> int:
        """As many as the preprocessing gives."""
        return self.preprocess.planes

    @property
    def by_rows(self) -> bool:
        """As the preprocessing."""
        return self.preprocess.by_rows

    def read(self, view: View) -> tuple[Float[Tensor, "*shape"], ...]:
        """Return the preprocessed direction."""
        return self.preprocess(-(view.gradient.detach() if self.detach else view.gradient))

    def saturated(self, view: View) -> Bool[Tensor, "*shape"] | None:
        """Return where the preprocessing has reached an end."""
        return self.preprocess.saturated(-view.gradient)


@final
@dataclass(frozen=True)
class LastDirection(Input):
    """What `Direction` saw one update ago, as a constant; the preprocessing of zeros at the first.

    Args:
        preprocess: how it is scaled.
    """

    preprocess: Preprocess = Raw()  # noqa: RUF009 (frozen)

    @property
    def planes(self) -> int:
        """As many as the preprocessing gives."""
        return self.preprocess.planes

    def init(self, z: Float[Tensor, "*shape"]) -> Memory:
        """Return zeros: there was no update yet."""
        return torch.zeros_like(z, requires_grad=False)

    def read(self, view: View) -> tuple[Float[Tensor, "*shape"], ...]:
        """Return the last direction, preprocessed."""
        return self.preprocess(view.remembered)

    def remember(self, view: View) -> Memory:
        """Return the present direction."""
        return -view.gradient.detach()


@final
@dataclass(frozen=True)
class Start(Input):
    """The point $z_0$ where the follower began: for perturbed images, the clean ones."""

    sees_gradient: ClassVar[bool] = False

    def init(self, z: Float[Tensor, "*shape"]) -> Memory:
        """Return a copy of the start."""
        return z.clone()

    def read(self, view: View) -> tuple[Float[Tensor, "*shape"], ...]:
        """Return the start."""
        return (view.remembered,)


@final
@dataclass(frozen=True)
class Displacement(Input):
    """How far the follower has come: $z_t - z_0$."""

    sees_gradient: ClassVar[bool] = False

    def init(self, z: Float[Tensor, "*shape"]) -> Memory:
        """Return a copy of the start."""
        return z.clone()

    def read(self, view: View) -> tuple[Float[Tensor, "*shape"], ...]:
        """Return the iterate minus the start."""
        return (view.z - view.remembered,)


@final
@dataclass(frozen=True)
class Noise(Input):
    """Fresh Gaussian noise at every update, from PyTorch's generator of the iterate's device.

    Args:
        std: its standard deviation, positive.

    Raises:
        ConfigurationError: if ``std`` is not a positive finite number.
    """

    std: float = 1.0
    sees_gradient: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.std) and self.std > 0):
            raise ConfigurationError(f"Noise's std is {self.std}; it must be positive and finite")

    def read(self, view: View) -> tuple[Float[Tensor, "*shape"], ...]:
        """Return the noise."""
        return (self.std * torch.randn_like(view.z, requires_grad=False),)


NAIVE: tuple[Input, ...] = (Iterate(),)
"""The naive attacker's inputs: the image alone (Jiang et al. 2021)."""

GRAD: tuple[Input, ...] = (Iterate(), Direction(BatchMax()))
"""The grad attacker's inputs: the image and the gradient (Jiang et al. 2021, scaled as in their code)."""

GRAD_ONLY: tuple[Input, ...] = (Direction(BatchMax()),)
"""The grad-only attacker's inputs: the gradient alone (Jiang et al. 2021, scaled as in their code)."""
