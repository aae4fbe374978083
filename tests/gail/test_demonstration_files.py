"""Files of demonstrations hold what was saved, and a damaged one is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from demonstration_cases import Bomb, same, some

from bilevel.errors import ConfigurationError
from tasks.data_error import DataError
from tasks.gail.demonstrations import load, save


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("ending", ["", ".npz", ".json"])
def test_a_file_holds_what_was_saved(tmp_path, continuous, ending):
    demonstrations = some(continuous=continuous, horizon=20, returns=np.array([1.5, np.nan, -2.0]))
    save(demonstrations, tmp_path / "new" / f"mine-v1.2{ending}")
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["mine-v1.2.json", "mine-v1.2.npz"]
    assert same(load(tmp_path / "new" / f"mine-v1.2{ending}"), demonstrations)
    with np.load(tmp_path / "new" / "mine-v1.2.npz", allow_pickle=False) as file:
        assert set(file) == {"observations", "actions", "lengths"}


def damage(name, change):
    def do(folder):
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return do


def edit(**changed):
    return damage("a.json", lambda raw: json.dumps({**json.loads(raw), **changed}).encode())


@pytest.mark.parametrize(
    ("what", "kind", "message"),
    [
        (lambda folder: (folder / "a.npz").unlink(), ConfigurationError, r"a\.npz is no file: demonstrations are two"),
        (
            lambda folder: (folder / "a.json").unlink(),
            ConfigurationError,
            r"a\.json is no file: demonstrations are two",
        ),
        (damage("a.npz", lambda raw: raw[: len(raw) // 2]), DataError, r"a\.npz is damaged, or not the file"),
        (damage("a.npz", lambda raw: raw[:90] + b"?" + raw[91:]), DataError, r"a\.npz is damaged, or not the file"),
        (damage("a.json", lambda raw: raw[: len(raw) // 2]), DataError, r"a\.json is damaged: it is no JSON"),
        (damage("a.json", lambda raw: b"\xff\xfe"), DataError, r"a\.json is damaged: it is no JSON"),
        (damage("a.json", lambda raw: b"[]"), DataError, r"a\.json was not written by `bilevel train gail-expert`"),
        (edit(version=7), DataError, "format version 7; this version reads 1"),
        (edit(returns="many"), DataError, "its 'returns' is missing or of another type"),
        (edit(horizon=[1]), DataError, "its 'horizon' is missing or of another type"),
        (edit(returns=[1.0]), DataError, "There are 3 trajectories and 1 returns"),
        (edit(returns=["a", "b", "c"]), DataError, "does not hold demonstrations"),
    ],
)
def test_a_file_that_is_damaged_is_named(tmp_path, what, kind, message):
    save(some(), tmp_path / "a")
    what(tmp_path)
    with pytest.raises(kind, match=message):
        load(tmp_path / "a")


def sealed(folder, **arrays):
    """Write an npz of anything, with the right checksum beside it."""
    import hashlib

    np.savez_compressed(folder / "a.npz", **arrays)
    edit(sha256=hashlib.sha256((folder / "a.npz").read_bytes()).hexdigest())(folder)


def test_a_file_with_pickled_or_foreign_arrays_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(some(), tmp_path / "a")
    right = {name: getattr(some(), name) for name in ("observations", "actions", "lengths")}
    bombs = np.array([Bomb()] * 20, object)
    for wrong, message in [
        ({"actions": bombs}, "allow_pickle=False"),
        ({"actions": right["actions"][:5]}, "20 observations and 5 actions"),
        ({"actions": right["actions"].astype(np.int32)}, "actions are int64 of shape"),
        ({"observations": right["observations"][:0]}, "are empty: they hold no pair"),
        ({"observations": right["observations"].ravel()}, r"observations are float32 of 2 dim.*shape \(80,\)"),
        ({"observations": np.full((20, 4), np.nan, np.float32)}, "infinite or not numbers"),
        ({"lengths": np.array([7, 4, 8], np.int64)}, "sum to the 20 pairs, got a sum of 19"),
    ]:
        sealed(tmp_path, **{**right, **wrong})
        with pytest.raises(DataError, match=message):
            load(tmp_path / "a")
    sealed(tmp_path, observations=right["observations"])
    with pytest.raises(DataError, match=r"a\.npz does not hold demonstrations: .*actions"):
        load(tmp_path / "a")
    assert not Path("exploded").exists()
