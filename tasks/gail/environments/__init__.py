"""Environments that stand side by side and whose state can be kept: NumPy's, and any of gymnasium."""

from tasks.gail.extra import rl_extra

with rl_extra():
    from tasks.gail.environments.base import VectorEnvironment
    from tasks.gail.environments.make import VECTORISED, make

__all__ = ["VECTORISED", "VectorEnvironment", "make"]
