"""Where the real data are, for the tests that read them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("BILEVEL_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def needs(name):
    """Skip a test where the folder ``name`` of real data is not there."""
    return pytest.mark.skipif(not (DATA / name).is_dir(), reason=f"no {name} in {DATA} (see BILEVEL_TEST_DATA)")
