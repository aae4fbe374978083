"""Demonstrations: what they hold, their files, those of other libraries, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilevel.errors import ConfigurationError
from tasks.data_error import DataError, DataWarning
from tasks.gail.demonstrations import Demonstrations, from_imitation, from_minari, load, save, shipped
from tasks.gail.environments import make

FILES = Path(__file__).parent / "files"
sys.path.insert(0, str(FILES))
from make_files import KINDS, episodes  # noqa: E402


def some(lengths=(7, 4, 9), *, continuous=False, **changed):
    """Return demonstrations whose observations and actions are numbered."""
    n = sum(lengths)
    observations = np.arange(4 * n, dtype=np.float32).reshape(n, 4)
    actions = np.arange(2 * n, dtype=np.float32).reshape(n, 2) if continuous else np.arange(n, dtype=np.int64) % 2
    fields = {
        "environment": "CartPole-v1",
        "horizon": None,
        "observations": observations,
        "actions": actions,
        "lengths": np.array(lengths, np.int64),
        "returns": np.arange(float(len(lengths))),
        "about": {"command": "made here"},
    }
    return Demonstrations(**{**fields, **changed})


def same(a, b):
    arrays = ("observations", "actions", "lengths", "returns")
    plain = (a.environment, a.horizon, dict(a.about)) == (b.environment, b.horizon, dict(b.about))
    return plain and all(
        getattr(a, name).dtype == getattr(b, name).dtype
        and np.array_equal(getattr(a, name), getattr(b, name), equal_nan=name == "returns")
        for name in arrays
    )


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=6), rate=st.integers(1, 12), seed=st.integers(0, 2**32)
)
def test_subsampling_keeps_every_so_many_th_pair_of_each_trajectory(lengths, rate, seed):
    whole = some(tuple(lengths))
    part = whole.subsample(rate, seed)
    begin = row = 0
    for number, length in enumerate(lengths):
        kept = part.observations[row : row + part.lengths[number], 0] / 4 - begin  # the number within the trajectory
        assert 0 <= kept[0] < min(rate, length)
        assert np.array_equal(kept, np.arange(kept[0], length, rate))
        begin, row = begin + length, row + int(part.lengths[number])
    assert row == len(part)
    assert np.array_equal(part.actions, part.observations[:, 0].astype(np.int64) // 4 % 2)
    assert np.array_equal(part.returns, whole.returns)
    assert same(part, whole.subsample(rate, seed))


def test_the_starts_of_subsampling_are_drawn_evenly():
    starts = np.concatenate([some((10,) * 50).subsample(10, seed).observations[:, 0] // 4 % 10 for seed in range(40)])
    counts = np.bincount(starts.astype(np.int64), minlength=10)
    assert counts.sum() == 2000
    assert ((counts - 200) ** 2 / 200).sum() < 27.9  # chi square with 9 degrees of freedom exceeds it once in 1,000


def test_the_first_trajectories_are_taken():
    whole = some()
    part = whole.take(2)
    assert (len(part), part.lengths.tolist(), part.returns.tolist()) == (11, [7, 4], [0.0, 1.0])
    assert np.array_equal(part.observations, whole.observations[:11])
    for trajectories in (0, 4):
        with pytest.raises(ConfigurationError, match=rf"There are 3 .* asked for are {trajectories}: take from 1 to 3"):
            whole.take(trajectories)


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


class Bomb:
    """Something whose unpickling would be noticed."""

    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


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


def test_demonstrations_of_another_environment_are_refused_where_they_are_used():
    cart, car, pendulum = (make(name, count=1, seed=0) for name in ("CartPole-v1", "MountainCar-v0", "Pendulum-v1"))
    mine = some()
    mine.check("CartPole-v1", cart.observation_space, cart.action_space)
    for wrong, name, other, message in [
        (mine, "MountainCar-v0", car, "are of CartPole-v1, the environment is MountainCar-v0: name demonstrations of"),
        (
            replace(mine, environment="MountainCar-v0"),
            "MountainCar-v0",
            car,
            r"4 numbers an observation; its .* \(2,\)",
        ),
        (
            replace(mine, actions=mine.actions + 1),
            "CartPole-v1",
            cart,
            "whole numbers from 1 to 2; its actions .* 0 to 1",
        ),
        (some(continuous=True), "CartPole-v1", cart, "vectors of 2 numbers; its actions are whole numbers from 0 to 1"),
        (
            some(environment="Pendulum-v1", observations=mine.observations[:, :3]),
            "Pendulum-v1",
            pendulum,
            r"whole numbers from 0 to 1; its actions are vectors of shape \(1,\)",
        ),
    ]:
        with pytest.raises(ConfigurationError, match=message):
            wrong.check(name, other.observation_space, other.action_space)


SHIPPED = [("CartPole-v1", None, 10), ("CartPole-v1", 500, 10), ("MountainCar-v0", None, 5), ("MountainCar-v0", 200, 5)]


@pytest.mark.parametrize(("name", "horizon", "trajectories"), SHIPPED)
def test_the_shipped_demonstrations_are_those_of_an_expert(name, horizon, trajectories):
    demonstrations = shipped(name, horizon)
    environments = make(name, count=1, seed=0)
    demonstrations.check(name, environments.observation_space, environments.action_space)
    assert (demonstrations.environment, demonstrations.horizon) == (name, horizon)
    assert len(demonstrations.returns) == trajectories
    assert demonstrations.returns.mean() >= {"CartPole-v1": 495, "MountainCar-v0": -115}[name]
    assert str(demonstrations.about["command"]).startswith(f"bilevel train gail-expert --env {name}")
    rate = {"CartPole-v1": 10, "MountainCar-v0": 5}[name]
    steps = np.abs(demonstrations.returns) if horizon is None else np.full(trajectories, horizon)
    assert np.isin(demonstrations.lengths - steps // rate, [0, 1]).all()  # each step is worth 1, or -1
    # A pair is followed by the state that the environment goes to: the first two pairs of a step are not both here,
    # but no state may be outside of where the environment can be.
    assert environments.observation_space.contains(demonstrations.observations.min(0))
    assert environments.observation_space.contains(demonstrations.observations.max(0))


def test_the_shipped_demonstrations_are_a_few_kilobytes():
    from tasks.gail.demonstrations.shipped import FOLDER

    sizes = {file.name: file.stat().st_size for file in FOLDER.iterdir()}
    assert len(sizes) == 2 * len(SHIPPED)
    assert max(sizes.values()) < 12_000


def test_what_is_not_shipped_is_said():
    with pytest.raises(
        ConfigurationError, match=r"No demonstrations of Acrobot-v1 come .* but of CartPole-v1, CartPole"
    ):
        shipped("Acrobot-v1")
    with pytest.raises(ConfigurationError, match=r"gail-expert --env CartPole-v1 --horizons 77`"):
        shipped("CartPole-v1", 77)


def expected(name):
    """Return what the writer of the test files recorded, as demonstrations have it."""
    recorded = list(episodes(name))
    return (
        np.concatenate([observations[:-1] for observations, _, _ in recorded]),
        np.concatenate([actions for _, actions, _ in recorded]),
        [len(rewards) for _, _, rewards in recorded],
        [rewards.sum() for _, _, rewards in recorded],
    )


def check_read(found, name):
    observations, actions, lengths, returns = expected(name)
    # The environments' cosines may differ in the last bit from those of the machine that wrote the files.
    np.testing.assert_allclose(found.observations, observations, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.actions, actions, rtol=1e-6)
    np.testing.assert_allclose(found.returns, returns, rtol=1e-6)
    assert found.lengths.tolist() == lengths
    environment = gymnasium.make(name)
    found.check(name, environment.observation_space, environment.action_space)


@pytest.mark.parametrize(("name", "kind"), list(KINDS.items()))
def test_data_sets_of_minari_are_read(name, kind):
    found = from_minari(FILES / "minari" / kind / "tiny-v0")
    check_read(found, name)
    assert found.horizon is None
    assert found.about["dataset_id"] == f"{kind}/tiny-v0"


@pytest.mark.parametrize("ending", ["", ".npz"])
@pytest.mark.parametrize(("name", "kind"), list(KINDS.items()))
def test_trajectories_of_imitation_are_read_and_what_is_pickled_is_left_out(name, kind, ending):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = from_imitation(FILES / "imitation" / f"{kind}{ending}", name, horizon=9)
    check_read(found, name)
    assert found.horizon == 9
    # In CartPole's folder all infos are empty; a pickle cannot be looked into.
    told = [str(one.message) for one in said if issubclass(one.category, DataWarning)]
    assert [message.split(": ")[1] for message in told] == (
        []
        if (kind, ending) == ("cartpole", "")
        else ["what the environment said beside (infos) is pickled and was left out."]
    )


def test_an_old_file_of_imitation_without_rewards_has_unknown_returns(tmp_path):
    with np.load(FILES / "imitation" / "cartpole.npz") as file:
        np.savez(tmp_path / "bare.npz", **{name: file[name] for name in ("obs", "acts", "indices", "terminal")})
    found = from_imitation(tmp_path / "bare.npz", "CartPole-v1")
    assert np.isnan(found.returns).all()
    save(found, tmp_path / "kept")
    assert np.isnan(load(tmp_path / "kept").returns).all()


def test_foreign_and_damaged_data_sets_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="is no data set of Minari in HDF5"):
        from_minari("empty")
    with pytest.raises(ConfigurationError, match=r"it has no state\.json"):
        from_imitation("empty", "CartPole-v1")
    with pytest.raises(ConfigurationError, match="nowhere does not exist"):
        from_imitation("nowhere", "CartPole-v1")
    shutil.copytree(FILES / "minari" / "cartpole" / "tiny-v0", "minari")
    hdf5 = tmp_path / "minari" / "data" / "main_data.hdf5"
    (tmp_path / "minari" / "data" / "metadata.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="does not say which environment it is of"):
        from_minari("minari")
    assert from_minari("minari", environment="Mine-v0").environment == "Mine-v0"
    for damaged in ('{"env_spec": "{"}', '{"env_spec": "{}"}', '{"env_spec": ["CartPole-v1"]}'):
        (tmp_path / "minari" / "data" / "metadata.json").write_text(damaged)
        with pytest.raises(DataError, match=r"main_data\.hdf5 does not say .* name it"):
            from_minari("minari")
    hdf5.write_bytes(hdf5.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"main_data\.hdf5 is damaged, or no data set of Minari"):
        from_minari("minari")
    shutil.copytree(FILES / "imitation" / "cartpole", "imitation")
    arrow = next((tmp_path / "imitation").glob("*.arrow"))
    arrow.write_bytes(arrow.read_bytes()[:700])
    with pytest.raises(DataError, match="imitation is damaged, or not written by imitation"):
        from_imitation("imitation", "CartPole-v1")
    np.save(tmp_path / "bomb.npy", np.array([Bomb()], object), allow_pickle=True)
    (tmp_path / "bomb.npy").rename("bomb.pkl")
    with pytest.raises(DataError, match=r"a pickle \(which is never read"):
        from_imitation("bomb.pkl", "CartPole-v1")
    np.savez(tmp_path / "bombs.npz", obs=np.array([Bomb()], object), indices=np.array([], np.int64))
    with pytest.raises(DataError, match=r"bombs\.npz is damaged, a pickle"):
        from_imitation("bombs.npz", "CartPole-v1")
    assert not Path("exploded").exists()


def test_observations_of_several_parts_are_refused(tmp_path):
    import h5py

    (tmp_path / "data").mkdir()
    with h5py.File(tmp_path / "data" / "main_data.hdf5", "w") as file:
        file["episode_0/observations/a"] = np.zeros((3, 2))
        file["episode_0/actions"] = np.zeros(2, np.int64)
        file["episode_0/rewards"] = np.zeros(2)
    with pytest.raises(DataError, match=r"The observations in episode_0 of .* are of several parts"):
        from_minari(tmp_path, environment="Mine-v0")


@pytest.mark.parametrize(
    ("library", "read"),
    [
        ("h5py", lambda: from_minari(FILES / "minari" / "cartpole" / "tiny-v0")),
        ("pyarrow", lambda: from_imitation(FILES / "imitation" / "cartpole", "CartPole-v1")),
    ],
)
def test_a_missing_library_is_one_sentence(monkeypatch, library, read):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigurationError, match=rf"need {library}, .*pip install 'bilevel\[demonstrations\]'"):
        read()
