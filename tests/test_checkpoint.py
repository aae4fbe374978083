"""Checkpoints are whole or absent, and read only if they are ours and undamaged."""

from __future__ import annotations

import os
import pickle
import resource
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import training_cases
from torch import nn
from training_cases import same

import bilevel
from bilevel import checkpoint_file
from bilevel.checkpoint import CheckpointFolder, read
from bilevel.errors import CheckpointError, ConfigurationError
from bilevel.fit import fit


def state(step: int = 0) -> dict[str, Any]:
    return {"weights": torch.arange(1000.0) + step, "nested": [(1, 2.5, None), {"name": "x"}], "step": step}


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_what_is_written_is_read(tmp_path):
    path = CheckpointFolder(tmp_path / "new" / "checkpoints").save(123, state())
    assert path.name == "step-00000123.pt"
    assert names(path.parent) == ["step-00000123.pt"]
    found = read(path)
    assert same({key: found[key] for key in state()}, state())
    assert torch.load(path, weights_only=True)["version"] == checkpoint_file.VERSION


def test_the_last_ones_are_kept(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=2)
    for step in (9, 10, 99_999_999, 100_000_000):
        folder.save(step, state(step))
    assert [p.name for p in folder.files()] == ["step-99999999.pt", "step-100000000.pt"]
    found = folder.latest()
    assert found is not None
    assert found[1]["step"] == 100_000_000


def test_a_damaged_newer_one_never_costs_a_good_one(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=1)
    folder.save(60, state(60)).write_bytes(b"damaged")
    folder.save(50, state(50))
    with pytest.warns(UserWarning, match=r"step-00000060\.pt is damaged.*step-00000050\.pt instead"):
        found = folder.latest()
    assert found is not None
    assert found[1]["step"] == 50
    assert "step-00000050.pt" in folder.last_good()


def spoil(path: Path, how: str) -> None:
    whole = path.read_bytes()
    middle = whole.index(torch.arange(5.0, 9.0).numpy().tobytes()) + 100
    content = {
        "empty": b"",
        "cut short": whole[: len(whole) // 2],
        "one bit": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "text": b"not a checkpoint",
        "pickle": pickle.dumps(state()),
    }
    if how in content:
        path.write_bytes(content[how])
    elif how == "foreign":
        torch.save({"model": torch.zeros(3)}, path)
    elif how == "code":
        torch.save({"format": checkpoint_file.FORMAT, "version": 1, "hook": os.getcwd}, path)
    elif how == "newer":
        torch.save({"format": checkpoint_file.FORMAT, "version": 2}, path)


SPOILT = ["empty", "cut short", "one bit", "text", "pickle", "foreign", "code", "newer"]


@pytest.mark.parametrize("how", SPOILT)
def test_a_bad_file_is_passed_over(how, tmp_path):
    folder = CheckpointFolder(tmp_path)
    good, bad = folder.save(1, state(1)), folder.save(2, state(2))
    spoil(bad, how)
    with pytest.raises(CheckpointError, match="step-00000002"):
        read(bad)
    with pytest.warns(UserWarning, match=r"step-00000002\.pt.*step-00000001\.pt instead"):
        found = folder.latest()
    assert found is not None
    assert found[0] == good
    assert same(found[1]["weights"], state(1)["weights"])


def test_none_is_good(tmp_path):
    folder = CheckpointFolder(tmp_path)
    spoil(folder.save(1, state()), "cut short")
    spoil(folder.save(2, state()), "foreign")
    with pytest.raises(CheckpointError, match=r"No checkpoint.*not written by bilevel.*step-00000001\.pt is damaged"):
        folder.latest()


def test_there_is_none(tmp_path):
    assert CheckpointFolder(tmp_path / "absent").latest() is None
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        read(tmp_path / "step-1.pt")


def test_values_that_a_safe_reader_refuses_are_made_plain(tmp_path):
    odd = {"rate": np.float64(0.1), "state": defaultdict(dict, {1: np.int64(3)}), "list": [np.float32(2.0)]}
    found = read(CheckpointFolder(tmp_path).save(1, odd))
    assert (found["rate"], found["state"], found["list"]) == (0.1, {1: 3}, [2.0])


def test_a_view_is_saved_without_the_rest(tmp_path):
    path = CheckpointFolder(tmp_path).save(1, {"view": torch.zeros(1_000_000)[:10]})
    assert path.stat().st_size < 10_000


def test_versions_in_a_modules_state_survive(tmp_path):
    saved = nn.Sequential(nn.BatchNorm1d(3)).state_dict()
    found = read(CheckpointFolder(tmp_path).save(1, {"leader": saved}))["leader"]
    assert isinstance(found, OrderedDict)
    assert found._metadata == saved._metadata  # type: ignore[attr-defined]


@pytest.mark.parametrize("odd", [os.getcwd, lambda: None, Path("x")], ids=["function", "lambda", "object"])
def test_a_state_that_could_not_be_read_back_is_refused(odd, tmp_path):
    folder = CheckpointFolder(tmp_path, resume_hint="bilevel resume RUN")
    folder.save(1, state())
    with pytest.raises(CheckpointError, match=r"step 2.*step-00000001\.pt.*bilevel resume RUN"):
        folder.save(2, {"extras": odd})
    assert names(tmp_path) == ["step-00000001.pt"]


@pytest.fixture
def small_files():
    """Let the system refuse to write files beyond 20 kB, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk(tmp_path, small_files):
    folder = CheckpointFolder(tmp_path, resume_hint="bilevel resume RUN")
    folder.save(1, state())
    with pytest.raises(CheckpointError) as caught:
        folder.save(2, {"weights": torch.zeros(10_000)})
    message = str(caught.value)
    for part in ("step 2", "File too large", "It needs 41", "are free there", "step-00000001.pt", "bilevel resume RUN"):
        assert part in message
    assert names(tmp_path) == ["step-00000001.pt"]
    assert same(read(tmp_path / "step-00000001.pt")["weights"], state()["weights"])


class Growing:
    """A part whose state outgrows the disk at some time."""

    calls = 0

    def evaluate(self) -> dict[str, float]:
        self.calls += 1
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {"buffer": torch.zeros(10_000 if self.calls > 2 else 1)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.calls = 2


def test_a_disk_that_fills_up_during_training(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    part = Growing()
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))
    try:
        with pytest.raises(
            CheckpointError, match=r"step 18 could not.*good checkpoint is .*step-00000012\.pt\. To go on"
        ):
            training_cases.duel().fit(tmp_path, evaluate=part.evaluate, extras={"part": part})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names(tmp_path / "checkpoints") == [f"step-{step:08d}.pt" for step in (0, 6, 12)]
    resumed = training_cases.duel()
    resumed.fit(tmp_path, resume=True, extras={"part": part})
    unbroken = training_cases.duel()
    unbroken.fit(None)
    assert same(resumed.solver.state_dict(), unbroken.solver.state_dict())


class Elephant(bilevel.MinimaxTask[nn.Module, None]):
    def start(self, batch: None) -> torch.Tensor:
        raise AssertionError("training must not begin")

    def loss(self, batch: None, z: Any) -> torch.Tensor:
        raise AssertionError("training must not begin")


def test_room_is_looked_for_before_training(tmp_path):
    leader = nn.Linear(10**8, 10**6, bias=False, device="meta")
    optimizer = torch.optim.SGD(leader.parameters(), lr=0.1)
    solver = bilevel.Solver(Elephant(leader), bilevel.rules.SignGradient(0.1), leader_optimizer=optimizer)
    with pytest.raises(CheckpointError, match=r"4 more checkpoints in .* need 1.6e\+06 GB, but .* are free"):
        fit(solver, [None], epochs=1, folder=tmp_path / "run")
    assert not list(tmp_path.rglob("*.pt"))


def test_room_is_looked_for_what_the_extras_need_too(tmp_path):
    extras = {"part": nn.Linear(10**8, 10**6, bias=False, device="meta")}
    with pytest.raises(CheckpointError, match=r"4 more checkpoints in .* need 1.6e\+06 GB, but .* are free"):
        training_cases.duel().fit(tmp_path, extras=extras)
    assert not list(tmp_path.rglob("*.pt"))


def test_bad_settings(tmp_path):
    with pytest.raises(ConfigurationError, match="keep"):
        CheckpointFolder(tmp_path, keep=0)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="is a file"):
        CheckpointFolder(tmp_path / "file")
