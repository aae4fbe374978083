"""What the configurations of all trainings of image classifiers have in common."""

from __future__ import annotations

import abc
from dataclasses import dataclass

from bilevel.errors import ConfigurationError
from tasks.settings import check_types
from tasks.vision.config.classifier import ClassifierSettings
from tasks.vision.config.data import DataSettings
from tasks.vision.config.group import check_groups
from tasks.vision.config.machine import MachineSettings
from tasks.vision.config.optimization import OptimizationSettings
from tasks.vision.methods import Method


@dataclass(frozen=True)
class VisionConfig(MachineSettings, OptimizationSettings, ClassifierSettings, DataSettings, abc.ABC):
    """Train a classifier on perturbed images.

    A subclass says which methods there are, and adds their settings. Lengths of attacks are in multiples of eps, so
    that they go with it.
    """

    eps: float = 0.2
    """The largest change of a pixel, in units of the pixel range [0, 1]."""

    reach: float = 1.0
    """The radius while training, in multiples of eps: a classifier that learns from somewhat larger perturbations may
    withstand those of eps better."""

    @property
    @abc.abstractmethod
    def task(self) -> str:
        """The name of the task, as `bilevel train` has it."""

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """The name of the method in tables; the number of steps belongs to it."""

    @abc.abstractmethod
    def make_method(self) -> Method:
        """Return the method that these settings describe."""

    def __post_init__(self) -> None:
        check_types(self)
        check_groups(self)

    def check(self) -> None:
        """Raise `ConfigurationError` for a radius out of range."""
        self.check_positive("eps", "reach")
        if self.eps > 1:
            raise ConfigurationError(
                f"eps is in units of the pixel range [0, 1], got {self.eps}: 8 grey levels out of 255 are 0.0314."
            )
