"""Where the numbers of the epochs go."""

from bilevel.loggers.base import Logger, Row
from bilevel.loggers.csv_file import CSVLogger
from bilevel.loggers.tensorboard import TensorBoardLogger

__all__ = ["CSVLogger", "Logger", "Row", "TensorBoardLogger"]
