"""The demonstrations that come with the package."""

from __future__ import annotations

from pathlib import Path

from bilevel.errors import ConfigurationError
from tasks.gail.demonstrations.demonstrations import Demonstrations
from tasks.gail.demonstrations.files import load

FOLDER = Path(__file__).parent / "data"
"""Where they are; the JSON beside each names the command that made it."""


def shipped(environment: str, horizon: int | None = None) -> Demonstrations:
    """Return the demonstrations of an environment that come with the package.

    Args:
        environment: gymnasium's id.
        horizon: the steps of each episode if that is fixed.

    Raises:
        ConfigurationError: if there are none, listing those that there are.
    """
    path = FOLDER / file_name(environment, horizon)
    if path.with_name(f"{path.name}.json").is_file():
        return load(path)
    there = ", ".join(sorted(file.name.removesuffix(".json") for file in FOLDER.glob("*.json")))
    options = f"--env {environment}" + ("" if horizon is None else f" --horizons {horizon}")
    raise ConfigurationError(
        f"No demonstrations of {path.name} come with the package, but of {there} (gymnasium's ids, with the version). "
        "Make them with `bilevel train "
        f"gail-expert {options}` and name the files."
    )


def file_name(environment: str, horizon: int | None) -> str:
    """Return the name of a file of demonstrations, without its ending."""
    where = environment.replace("/", "_").replace(":", "_")
    return where if horizon is None else f"{where}-horizon-{horizon}"
