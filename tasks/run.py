"""A run is a folder: what was asked for, how it went, and what came out."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from bilevel.errors import ConfigurationError
from tasks.run_files import RunError, flat, plain, read_config, read_records, reason, write_config, write_records

__all__ = ["Run", "RunError"]

CONFIG, RESULTS, CURVES = "config.yaml", "results.json", "curves.json"
# What overwriting a run removes. Anything else in the folder is not the run's, so it stays.
_CONTENTS = (
    CONFIG, RESULTS, CURVES, f"{RESULTS}.damaged", f"{CURVES}.damaged", "metrics.csv", "checkpoints", "figures",
    "parts", "demonstrations", "demonstrations.npz", "demonstrations.json", "tensorboard", "evaluation.jsonl",
    "attacked.jsonl", "report.html", "report.md", "report_files", "rule.safetensors", "last-good-rule.safetensors",
)  # fmt: skip
_RESULT_IDENTITY = ("task", "method", "model", "data", "attack", "seed", "split", "norm", "eps", "finding")
_CURVE_IDENTITY = ("task", "method", "data", "attack", "seed", "split", "curve", "x", "eps")


@final
@dataclass(frozen=True)
class Run:
    """A run folder: made by `create`, found again by `open`.

    Every file is written beside its place and then moved there, so that a reader finds the old content or the
    new one, never half of it. Two processes should not append to one run at the same time.

    Attributes:
        path: the folder.
        config: what the run was asked to do, enough to do it again.
    """

    path: Path
    config: dict[str, Any]

    @classmethod
    def create(cls, path: str | Path, config: Mapping[str, Any], *, overwrite: bool = False) -> Run:
        """Make a new run folder and write its configuration.

        Args:
            path: the folder; it must not exist, or be empty.
            config: plain values (numbers, texts, lists, mappings; tuples and paths become lists and texts).
            overwrite: whether a *run* that is already there is removed first. A folder that is not a run is
                never overwritten.

        Raises:
            ConfigurationError: if the folder is taken, or a value cannot be written.
            RunError: if the folder cannot be written.
        """
        path = Path(path)
        settings = plain(config, "")
        _require_free(path, overwrite=overwrite)
        try:
            if (path / CONFIG).exists():
                _clear(path)
            for folder in (path, path / "checkpoints", path / "figures"):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"cannot make the run folder {path}: {reason(error)}") from error
        write_config(path / CONFIG, settings)
        return cls(path, settings)

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Find the run in a folder.

        Raises:
            RunError: if there is no such folder, it is not a run, or its configuration cannot be read.
        """
        path = Path(path)
        if not path.is_dir():
            what = "is a file, not a run folder" if path.exists() else "does not exist"
            raise RunError(f"{path} {what}; name the folder of a run, one that holds a {CONFIG}")
        if not (path / CONFIG).is_file():
            within = sorted(child.parent.name for child in path.glob(f"*/{CONFIG}"))
            hint = f"; it contains the runs {', '.join(within[:8])}: name one of them" if within else ""
            raise RunError(f"{path} is not a run: it holds no {CONFIG}{hint}")
        return cls(path, read_config(path / CONFIG))

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.resolve().name

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """The table of the training: a row a step or an epoch."""
        return self.path / "metrics.csv"

    @property
    def figures(self) -> Path:
        """The folder of the pictures; a report shows every PNG in it."""
        return self.path / "figures"

    def part(self, name: str) -> Path:
        """Return the folder of one training of a run that holds several; it is made if it is not there.

        Raises:
            ConfigurationError: if the name is not one folder's name.
            RunError: if the folder cannot be made.
        """
        if not name or name in {".", ".."} or Path(name).name != name:
            raise ConfigurationError(f"{name!r} cannot name a part of a run: it must be one folder's name")
        folder = self.path / "parts" / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"cannot make the folder {folder}: {reason(error)}") from error
        return folder

    def part_run(self, name: str, config: Mapping[str, Any]) -> Run:
        """Return one training of a run that holds several as a run of its own, which can be attacked by itself.

        Args:
            name: one folder's name.
            config: plain values, enough to do it again.

        Raises:
            ConfigurationError: if the name is not one folder's name, or a value cannot be written.
            RunError: if a file cannot be written.
        """
        part = Run(self.part(name), plain(config, ""))
        part.figures.mkdir(exist_ok=True)
        write_config(part.path / CONFIG, part.config)
        return part

    def append_results(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add flat records to ``results.json``; one replaces an older one of the same identity.

        The identity is (task, method, model, data, attack, seed, split, norm, eps, finding); a field that a record
        lacks is ``None``.

        Raises:
            ConfigurationError: if a record is not flat, or a number in it is not finite.
            RunError: if the file cannot be written.
        """
        self._append(RESULTS, records, _RESULT_IDENTITY)

    def results(self) -> list[dict[str, Any]]:
        """Return the records of ``results.json``; none if there is no such file yet.

        Raises:
            RunError: if the file is damaged. It is then kept aside as ``results.json.damaged``.
        """
        return read_records(self.path / RESULTS)

    def append_curves(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add flat records to ``curves.json``; one replaces an older one of the same identity.

        The identity is (task, method, data, attack, seed, split, curve, x, eps).

        Raises:
            ConfigurationError: if a record is not flat, or a number in it is not finite.
            RunError: if the file cannot be written.
        """
        self._append(CURVES, records, _CURVE_IDENTITY)

    def curves(self) -> list[dict[str, Any]]:
        """Return the records of ``curves.json``; none if there is no such file yet.

        Raises:
            RunError: if the file is damaged. It is then kept aside as ``curves.json.damaged``.
        """
        return read_records(self.path / CURVES)

    def _append(self, name: str, records: Iterable[Mapping[str, Any]], identity: tuple[str, ...]) -> None:
        new = [flat(record, name) for record in records]
        try:
            old = read_records(self.path / name)
        except RunError as error:  # the new records are in hand and took long to make: they are kept
            warnings.warn(str(error), stacklevel=3)
            old = []
        merged = {tuple(record.get(field) for field in identity): record for record in [*old, *new]}
        write_records(self.path / name, list(merged.values()))


def _require_free(path: Path, *, overwrite: bool) -> None:
    if path.is_file():
        raise ConfigurationError(f"{path} is a file; choose another name for the run's folder")
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not (path / CONFIG).exists():
        raise ConfigurationError(
            f"{path} exists and is not a run (it holds no {CONFIG}), so it is never overwritten; choose another name"
        )
    if not overwrite:
        raise ConfigurationError(
            f"{path} is a run already and is not overwritten unasked. Go on with it: `bilevel resume {path}`; "
            "start it anew: `--overwrite`; or choose another name"
        )


def _clear(path: Path) -> None:
    # The configuration goes last: as long as anything of the run is left, the folder is known as a run.
    for name in reversed(_CONTENTS):
        place = path / name
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
