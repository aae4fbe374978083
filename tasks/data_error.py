"""What is wrong with files of data."""

from __future__ import annotations

from bilevel.errors import BilevelError


class DataError(BilevelError):
    """A data file is missing, damaged, or another one than its name says."""


class DataWarning(UserWarning):
    """Data are read, but are not all that their name promises."""
