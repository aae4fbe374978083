"""Configurations of trainings of image classifiers: dataclasses whose fields are flags of the command line."""

from tasks.vision.config.dro import DROConfig

__all__ = ["DROConfig"]
