"""A table or figure of the papers: the interface."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, final

from tasks.report.tables import Table
from tasks.reproduce.scale import Scale
from tasks.run import Run
from tasks.vision.config import AITConfig, DROConfig, VisionConfig
from tasks.vision.sweep import Watch


@final
@dataclass(frozen=True)
class Request:
    """What is asked of an experiment.

    Attributes:
        scale: how large its trainings are.
        data: the data set's name.
        data_dir: the folder of the data's files; ``None`` for the usual one.
        seeds: one training of each kind a seed.
        workers: how many trainings run at a time.
        precision: that of the trainings, as `MachineSettings` has it; attacks compute in single precision.
        only: labels of the trainings that are wanted, of an experiment that is divisible; all of them if empty.
    """

    scale: Scale
    data: str
    data_dir: str | None
    seeds: tuple[int, ...]
    workers: int
    precision: str = "32-true"
    only: tuple[str, ...] = ()

    @property
    def base(self) -> DROConfig:
        """The settings that all adversarial trainings share."""
        return replace(self.scale.base, data=self.data, data_dir=self.data_dir, precision=self.precision)

    @property
    def interpolation(self) -> AITConfig:
        """The settings that all trainings by adversarial interpolation share."""
        base = self.scale.interpolation
        return replace(base, data=self.data, data_dir=self.data_dir, precision=self.precision)

    def wants(self, config: VisionConfig) -> bool:
        """Whether a training is among those that are wanted."""
        return not self.only or config.label in self.only


class Experiment(abc.ABC):
    """What a table or figure needs to be made again.

    Attributes:
        what: what it shows, in a few words.
        divisible: whether some of its trainings say something without the others.
    """

    what: str
    divisible: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def data(self) -> tuple[str, ...]:
        """The data sets that it can be made with, the usual one first."""

    def words(self, request: Request) -> str:
        """Return how large its trainings are, for people."""
        return request.scale.words

    @abc.abstractmethod
    def configs(self, request: Request) -> Sequence[VisionConfig]:
        """Return the trainings that it needs; none for one that only measures time."""

    @abc.abstractmethod
    def work(self, run: Run, request: Request, watch: Watch) -> None:
        """Train and measure what is missing of ``run``.

        Raises:
            KeyboardInterrupt: after Ctrl-C or SIGTERM; what is done is kept.
        """

    @abc.abstractmethod
    def tables(self, run: Run, request: Request) -> list[Table]:
        """Return what was measured beside what was printed."""
