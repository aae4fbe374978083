"""The trained rule that comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

SHIPPED: Final = Path(__file__).parent / "weights" / "mnist-fgsm-0.1.safetensors"
"""A rule for `bilevel.learned.load`; the README beside it says how it was made."""
