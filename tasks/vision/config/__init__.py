"""Configurations of trainings of image classifiers: dataclasses whose fields are flags of the command line."""

from tasks.vision.config.ait import AITConfig
from tasks.vision.config.dro import DROConfig
from tasks.vision.config.vision import VisionConfig

__all__ = ["CONFIGS", "AITConfig", "DROConfig", "VisionConfig"]

CONFIGS: dict[str, type[VisionConfig]] = {"dro": DROConfig, "ait": AITConfig}
"""The kind of configuration of each task, by the task's name."""
